"""Merging segments: all live documents of some of them, in order of id, as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import StorageError
from hybrid.index.documents import PREFIX, DocumentRows
from hybrid.index.rows import Rows
from hybrid.index.segment import SegmentWriter
from hybrid.index.snapshot import SegmentView, live_ordinals
from hybrid.types import Progress


def merge(
    views: Sequence[SegmentView],
    row_types: Mapping[str, type[Rows]],
    out: SegmentWriter,
    progress: Progress | None = None,
) -> int:
    """Write the live documents of ``views``, sorted by id, and return how many there are.

    ``row_types`` names the type of every branch's rows. One part is in memory at a time: first
    the documents, then branch after branch.

    Raises:
        ValueError: a segment holds a branch without a type, or lacks one that has a type; merging
            would lose data.

    """
    types: dict[str, type[Rows]] = {PREFIX: DocumentRows, **row_types}
    for view in views:
        held = {name.split("/", 1)[0] for name in view.segment.names()}
        if held != set(types):
            raise ValueError(
                f"segment {view.uuid} holds {sorted(held)}, and rows are given for {sorted(types)}"
            )
    order = _order(views)
    for done, (prefix, row_type) in enumerate(types.items()):
        if progress is not None:
            progress("merge", done, len(types))
        rows = row_type.concat([row_type.read(view.segment, prefix) for view in views])
        if len(rows) != sum(view.size for view in views):
            raise StorageError(f"{prefix!r} has {len(rows)} rows; documents: {sum(v.size for v in views)}")
        rows.take(order).write(out, prefix)
    if progress is not None:
        progress("merge", len(types), len(types))
    return len(order)


def _order(views: Sequence[SegmentView]) -> NDArray[np.int64]:
    """Return the positions of the live documents, in the views' concatenation, sorted by id."""
    positions: list[int] = []
    ids: list[bytes] = []
    base = 0
    for view in views:
        ordinals = live_ordinals(view)
        positions.extend((ordinals + base).tolist())
        ids.extend(view.documents.ids.take(ordinals))
        base += view.size
    return np.array([positions[i] for i in sorted(range(len(ids)), key=ids.__getitem__)], np.int64)
