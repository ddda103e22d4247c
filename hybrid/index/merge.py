"""Merging segments: all live documents of some of them, in order of id, as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hybrid.index.documents import PREFIX, DocumentRows
from hybrid.index.rows import RowType
from hybrid.index.segment import SegmentWriter
from hybrid.index.snapshot import SegmentView, live_ordinals
from hybrid.types import Progress

_SORTED_AT_ONCE = 1 << 17


def merge(
    views: Sequence[SegmentView],
    row_types: Mapping[str, RowType],
    out: SegmentWriter,
    progress: Progress | None = None,
) -> int:
    """Write the live documents of ``views``, sorted by id, and return how many there are.

    ``row_types`` names the type of every branch's rows. Rows are merged in pieces, so memory grows by
    a few numbers a document, not by what the documents hold.

    Raises:
        ValueError: a segment holds a branch without a type, or lacks one that has a type; merging
            would lose data.

    """
    types: dict[str, RowType] = {PREFIX: DocumentRows, **row_types}
    for view in views:
        held = {name.split("/", 1)[0] for name in view.segment.names()}
        if held != set(types):
            raise ValueError(
                f"segment {view.uuid} holds {sorted(held)}, and rows are given for {sorted(types)}"
            )
    order = order_by_id(views)
    segments = [view.segment for view in views]
    for done, (prefix, row_type) in enumerate(types.items()):
        if progress is not None:
            progress("merge", done, len(types))
        row_type.merge(segments, prefix, order, out)
    if progress is not None:
        progress("merge", len(types), len(types))
    return len(order)


def order_by_id(views: Sequence[SegmentView]) -> NDArray[np.int64]:
    """Return the positions of the live documents, in the views' concatenation, sorted by id."""
    bases = np.cumsum([0, *(view.size for view in views)])
    live = [live_ordinals(view) for view in views]
    order = np.empty(sum(map(len, live)), np.int64)
    done = 0
    for spans in _ranges(views, live):
        ids: list[bytes] = []
        positions: list[NDArray[np.int64]] = []
        for view, base, ordinals, (start, stop) in zip(views, bases[:-1], live, spans, strict=True):
            ids.extend(view.documents.ids.many(ordinals[start:stop]))
            positions.append(ordinals[start:stop] + base)
        sorting = sorted(range(len(ids)), key=ids.__getitem__)
        order[done : done + len(ids)] = np.concatenate(positions)[sorting]
        done += len(ids)
    return order


def _ranges(
    views: Sequence[SegmentView], live: Sequence[NDArray[np.int64]]
) -> Iterator[list[tuple[int, int]]]:
    """Cut the ids into ranges that can be sorted one after the other; for each, yield every view's part.

    From each view every n-th id is a sample; between two cuts lie at most twice as many ids as
    are to be sorted at once.
    """
    step = max(1, _SORTED_AT_ONCE // max(1, len(views)))
    samples = sorted(
        id
        for view, ordinals in zip(views, live, strict=True)
        for id in view.documents.ids.many(ordinals[step - 1 :: step])
    )
    starts = [0] * len(views)
    for cut in samples[len(views) - 1 :: len(views)]:
        stops = [
            bisect_right(range(len(ordinals)), cut, key=lambda n: view.documents.ids[int(ordinals[n])])
            for view, ordinals in zip(views, live, strict=True)
        ]
        yield list(zip(starts, stops, strict=True))
        starts = stops
    yield [(start, len(ordinals)) for start, ordinals in zip(starts, live, strict=True)]
