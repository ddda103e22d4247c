"""Documents whose branches hold several rows each: one for every passage.

A segment then has, under ``passages/`` (and under ``passages.NAME/`` for a branch with passages of its own),
which rows are whose, and where each passage stands in its document's text. Documents stay what ids, filters,
deletes and merges are about; only branches see passages, through a `PassageSnapshot`, in which passages are
numbered as documents are in a `Snapshot`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid.forking import cached_property
from hybrid.index.groups import spread, together
from hybrid.index.memo import memoized
from hybrid.index.rows import HeldRows, RowType
from hybrid.index.segment import Segment, SegmentWriter
from hybrid.index.snapshot import Mask, SegmentView, Snapshot
from hybrid.index.strings import Strings
from hybrid.types import Docnums, Document

PREFIX = "passages"
"""The name under which a segment holds those that branches share."""


def prefix_of(branch: str) -> str:
    """Return the name under which a segment holds a branch's own."""
    return f"{PREFIX}.{branch}"


@dataclass(frozen=True, slots=True, eq=False)
class PassageRows:
    """The passages of n documents.

    ``bounds``: int64, shape (n + 1,); document i has the passages ``bounds[i]`` to ``bounds[i + 1]``, at
    least one. ``spans``: int64, shape (passages, 2), where each begins and ends in its document's text, in
    characters; ``parts``: the same of the larger part that each was cut from (itself where there is none).
    ``titles``: what stands before each for models and analyzers. ``headings``: JSON lists.
    """

    bounds: NDArray[np.int64]
    spans: NDArray[np.int64]
    parts: NDArray[np.int64]
    titles: Strings
    headings: Strings

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows at these positions, in this order."""
        bounds, entries = spread(self.bounds, order)
        return type(self)(
            bounds,
            self.spans[entries],
            self.parts[entries],
            self.titles.take(entries),
            self.headings.take(entries),
        )

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order."""
        return cls(
            together([part.bounds for part in parts]),
            np.concatenate([part.spans for part in parts]),
            np.concatenate([part.parts for part in parts]),
            Strings.concat(part.titles for part in parts),
            Strings.concat(part.headings for part in parts),
        )

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write the arrays."""
        out.add(f"{prefix}/bounds", self.bounds)
        out.add(f"{prefix}/spans", self.spans)
        out.add(f"{prefix}/parts", self.parts)
        self.titles.write(out, f"{prefix}/titles")
        self.headings.write(out, f"{prefix}/headings")

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the rows of a segment, sharing its memory."""
        return cls(
            segment[f"{prefix}/bounds"],
            segment[f"{prefix}/spans"],
            segment[f"{prefix}/parts" if f"{prefix}/parts" in segment else f"{prefix}/spans"],
            Strings.read(segment, f"{prefix}/titles"),
            Strings.read(segment, f"{prefix}/headings"),
        )

    @classmethod
    def merge(
        cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Write rows of segments, given as positions in their concatenation, in bounded memory."""
        rows = [cls.read(part, prefix) for part in parts]
        bounds, entries = spread(together([each.bounds for each in rows]), order)
        out.add(f"{prefix}/bounds", bounds)
        out.add(f"{prefix}/spans", np.concatenate([each.spans for each in rows])[entries])
        out.add(f"{prefix}/parts", np.concatenate([each.parts for each in rows])[entries])
        Strings.merge([each.titles for each in rows], entries, out, f"{prefix}/titles")
        Strings.merge([each.headings for each in rows], entries, out, f"{prefix}/headings")


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """A branch's rows of passages, as rows of their documents; ``bounds`` as in `PassageRows`."""

    bounds: NDArray[np.int64]
    rows: HeldRows

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows of the documents at these positions, in this order."""
        bounds, entries = spread(self.bounds, order)
        return type(self)(bounds, self.rows.take(entries))

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order."""
        rows = type(parts[0].rows).concat([part.rows for part in parts])
        return cls(together([part.bounds for part in parts]), rows)

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write the branch's rows; the bounds are those that `PassageRows` write."""
        self.rows.write(out, prefix)


@dataclass(frozen=True, slots=True)
class GroupedRows:
    """How a branch's rows of passages are merged, in place of the type of its rows."""

    rows: RowType
    passages: str = PREFIX

    def merge(
        self, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Write the rows of documents, given as positions in the concatenation of the segments."""
        bounds = together([part[f"{self.passages}/bounds"] for part in parts])
        self.rows.merge(parts, prefix, spread(bounds, order)[1], out)


class PassageSnapshot(Snapshot):
    """A snapshot's passages, numbered as documents are in it; get one with `passages_of`."""

    def __init__(self, generation: int, segments: Sequence[SegmentView], prefix: str = PREFIX) -> None:
        self._documents = tuple(segments)
        self._rows = [PassageRows.read(view.segment, prefix) for view in segments]
        views, base = [], 0
        for view, rows in zip(segments, self._rows, strict=True):
            size = int(rows.bounds[-1])
            live = None if view.live is None else np.repeat(view.live, np.diff(rows.bounds))
            views.append(replace(view, base=base, size=size, live=live))
            base += size
        super().__init__(generation, views)

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """Where each document's passages begin, and the end: int64, shape (documents + 1,)."""
        return together([rows.bounds for rows in self._rows])

    @cached_property
    def uncut(self) -> bool:
        """Whether every document is one passage, so that both have the same numbers."""
        return self.size == sum(view.size for view in self._documents)

    @cached_property
    def whole(self) -> Mask:
        """All live passages."""
        parts = tuple(view.live for view in self.segments)
        return Mask(parts, self.live)

    def masked(self, mask: Mask) -> Mask:
        """Return the passages of the documents that a mask lets through."""
        if all(part is view.live for part, view in zip(mask.parts, self._documents, strict=True)):
            return self.whole
        parts = tuple(
            None if part is None else np.repeat(part, np.diff(rows.bounds))
            for part, rows in zip(mask.parts, self._rows, strict=True)
        )
        counts = (
            view.size if part is None else int(np.count_nonzero(part))
            for view, part in zip(self.segments, parts, strict=True)
        )
        return Mask(parts, sum(counts))

    def of(self, docnums: Docnums) -> tuple[NDArray[np.int64], Docnums]:
        """Return documents' passages put end to end: their bounds, int64 (documents + 1,), and numbers."""
        return spread(self.bounds, docnums)

    def homes(self, passages: Docnums) -> Docnums:
        """Return which document each passage is of."""
        return np.searchsorted(self.bounds, passages, "right") - 1

    def ids(self, docnums: Docnums | Sequence[int]) -> list[str]:
        """Return names of passages that order them by their documents' ids, and then by where they stand."""
        found = []
        for number, ordinal, owner in self._owners(docnums):
            first = int(self._rows[number].bounds[owner])
            found.append(f"{self._documents[number].documents.ids[owner].decode()}\0{ordinal - first:010d}")
        return found

    def documents(self, docnums: Docnums | Sequence[int]) -> list[Document]:
        """Return passages as documents: with their titles, and the part of the text that they are."""
        return [
            replace(
                (whole := self._documents[number].documents.document(owner)),
                title=self._rows[number].titles[ordinal].decode(),
                text=whole.text[slice(*self._rows[number].spans[ordinal].tolist())],
            )
            for number, ordinal, owner in self._owners(docnums)
        ]

    def span(self, passage: int) -> tuple[int, int, tuple[str, ...]]:
        """Return where a passage begins and ends in its document's text, and its headings."""
        number, ordinal = self.locate(passage)
        start, end = self._rows[number].spans[ordinal].tolist()
        return start, end, tuple(json.loads(self._rows[number].headings[ordinal]))

    def around(self, passage: int, context: int | str) -> tuple[int, int]:
        """Return where a passage with its context begins and ends: so many neighbours, or its "part"."""
        number, ordinal = self.locate(passage)
        rows = self._rows[number]
        if context == "part":
            start, end = rows.parts[ordinal].tolist()
            return start, end
        owner = int(np.searchsorted(rows.bounds, ordinal, "right")) - 1
        first = max(ordinal - int(context), int(rows.bounds[owner]))
        last = min(ordinal + int(context), int(rows.bounds[owner + 1]) - 1)
        return int(rows.spans[first : last + 1, 0].min()), int(rows.spans[first : last + 1, 1].max())

    def _owners(self, passages: Docnums | Sequence[int]) -> list[tuple[int, int, int]]:
        """Return each passage's segment, its ordinal there, and that of its document."""
        found = []
        for passage in np.asarray(passages, np.int64).tolist():
            number, ordinal = self.locate(passage)
            owner = int(np.searchsorted(self._rows[number].bounds, ordinal, "right")) - 1
            found.append((number, ordinal, owner))
        return found


def passages_of(snapshot: Snapshot, prefix: str = PREFIX) -> PassageSnapshot:
    """Return a snapshot's passages; the same object each time."""
    return memoized(
        snapshot,
        (PassageSnapshot, prefix),
        lambda: PassageSnapshot(snapshot.generation, snapshot.segments, prefix),
    )


def rows_in(segment: Segment, documents: int) -> int:
    """Return how many rows a branch has in a segment at most: its passages, or documents that are not cut."""
    kept = (name.partition("/") for name in segment.names())
    prefixes = (prefix for prefix, _, what in kept if what == "bounds" and prefix.split(".")[0] == PREFIX)
    return max((int(segment[f"{prefix}/bounds"][-1]) for prefix in prefixes), default=documents)
