"""What a reader sees: one generation of the index, whatever a writer does meanwhile."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import CorruptIndexError, NotFoundError
from hybrid.forking import cached_property
from hybrid.index import metadata
from hybrid.index.catalog import SegmentRecord, State
from hybrid.index.documents import PREFIX, DocumentRows
from hybrid.index.filters import evaluate, parse_filter
from hybrid.index.folder import segment_path
from hybrid.index.footer import REMEDY
from hybrid.index.lives import NEVER
from hybrid.index.segment import Segment
from hybrid.types import Docnums, Document


@dataclass(frozen=True, slots=True, eq=False)
class SegmentView:
    """One segment as one snapshot sees it: its documents have the docnums base … base + size - 1.

    ``live``: bool, shape (size,), False for deleted documents; None if all are live.
    """

    segment: Segment
    uuid: str
    base: int
    size: int
    live: NDArray[np.bool_] | None

    @property
    def documents(self) -> DocumentRows:
        """The stored documents, sorted by id."""
        return self.segment.cached(f"{PREFIX}#", lambda: DocumentRows.read(self.segment, PREFIX))

    @property
    def live_count(self) -> int:
        """How many documents are not deleted."""
        return self.size if self.live is None else int(np.count_nonzero(self.live))

    @property
    def mortal(self) -> bool:
        """Whether any of its documents has an expiry."""
        return f"{PREFIX}/expires" in self.segment

    def at(self, time: int) -> SegmentView:
        """Return the view without the documents that have expired at a time (seconds since 1970)."""
        if not self.mortal:
            return self
        gone = self.documents.lives.expires <= time
        live = ~gone if self.live is None else self.live & ~gone
        live.flags.writeable = False
        return replace(self, live=live)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The documents a search may find: live, and let through by the filter.

    ``parts``: one per segment view, bool, shape (size of the segment,); None if all its documents
    are eligible. ``count``: how many are eligible in all.
    """

    parts: tuple[NDArray[np.bool_] | None, ...]
    count: int

    def docnums(self, snapshot: Snapshot) -> Docnums:
        """Return the eligible documents of the mask's snapshot, ascending: int64, shape (count,)."""
        parts = (
            view.base + (np.arange(view.size) if part is None else np.flatnonzero(part))
            for view, part in zip(snapshot.segments, self.parts, strict=True)
        )
        return np.concatenate([np.empty(0, np.int64), *parts])

    def lets_through(self, snapshot: Snapshot, docnum: int) -> bool:
        """Return whether a document of the mask's snapshot is eligible."""
        number, ordinal = snapshot.locate(docnum)
        part = self.parts[number]
        return part is None or bool(part[ordinal])


class Snapshot:
    """One committed generation, fully in memory maps. Immutable, and safe to use from many threads.

    A **docnum** (int64) numbers the documents of all segments, deleted ones too, from 0 to
    ``size`` - 1; it means something in this snapshot only.
    """

    def __init__(self, generation: int, segments: Sequence[SegmentView]) -> None:
        self.generation = generation
        self.segments = tuple(segments)
        self.size = sum(view.size for view in self.segments)
        self.live = sum(view.live_count for view in self.segments)
        self._bases = [view.base for view in self.segments]

    @cached_property
    def until(self) -> int:
        """When the next of the live documents expires, in seconds since 1970 (`NEVER`: none does)."""
        first = NEVER
        for view in self.segments:
            if view.mortal:
                first = min(first, int(view.documents.lives.expires[live_ordinals(view)].min(initial=NEVER)))
        return first

    def versions(self, docnums: Docnums | Sequence[int]) -> list[int]:
        """Return the generations whose commits wrote documents, in the order given."""
        return [int(rows.lives.versions[ordinal]) for rows, ordinal in self._located(docnums)]

    def gone(self, docnums: Docnums, time: int) -> list[bool]:
        """Return which documents have expired at a time (seconds since 1970), in the order given."""
        return [bool(rows.lives.expires[ordinal] <= time) for rows, ordinal in self._located(docnums)]

    def ids(self, docnums: Docnums | Sequence[int]) -> list[str]:
        """Return the ids of documents, in the order given."""
        wanted = np.asarray(docnums, np.int64)
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < self.size:
            self.locate(int(wanted.min() if wanted.min() < 0 else wanted.max()))
        found = [""] * len(wanted)
        numbers = np.searchsorted(self._bases, wanted, "right") - 1
        for number in dict.fromkeys(numbers.tolist()):
            here = np.flatnonzero(numbers == number)
            texts = self.segments[number].documents.ids.texts(wanted[here] - self._bases[number])
            for place, text in zip(here.tolist(), texts, strict=True):
                found[place] = text
        return found

    def tie_keys(self, docnums: Docnums) -> Sequence[Any]:
        """Return what orders documents like their ids: in one segment, their docnums do."""
        first = bisect_right(self._bases, int(docnums.min())) if len(docnums) else 0
        if first == len(self._bases) or (first and docnums.max() < self._bases[first]):
            keys: list[int] = docnums.tolist()
            return keys
        return self.ids(docnums)

    def documents(self, docnums: Docnums | Sequence[int]) -> list[Document]:
        """Return stored documents, in the order given; only those are decoded."""
        return [rows.document(ordinal) for rows, ordinal in self._located(docnums)]

    def docnum(self, id: str) -> int:
        """Return the docnum of the live document with this id, or raise ``NotFoundError``."""
        found = int(self.find([id])[0])
        if found < 0:
            raise NotFoundError(f"no document with the id {id!r} is in the index")
        return found

    def find(self, ids: Sequence[str]) -> Docnums:
        """Return the docnum of the live document with each id, or -1: int64, shape (ids,)."""
        found = np.full(len(ids), -1, np.int64)
        for view in self.segments:
            ordinals = view.documents.find(ids)
            here = ordinals >= 0
            if view.live is not None:
                here &= view.live[ordinals]
            found[here] = ordinals[here] + view.base
        return found

    def iterate(self) -> Iterator[Document]:
        """Iterate over the live documents in order of their ids, decoding one at a time."""
        for docnum in self.by_id():
            yield from self.documents([docnum])

    def by_id(self) -> Iterator[int]:
        """Iterate over the docnums of the live documents in order of their ids."""

        def numbered(view: SegmentView) -> Iterator[tuple[bytes, int]]:
            return ((view.documents.ids[i], view.base + i) for i in live_ordinals(view).tolist())

        return (docnum for _, docnum in heapq.merge(*map(numbered, self.segments)))

    def eligible(self, where: Mapping[str, Any] | None) -> Iterator[int]:
        """Iterate over the docnums of what a filter lets through, in order of the documents' ids."""
        mask = self.mask(where)
        return (docnum for docnum in self.by_id() if mask.lets_through(self, docnum))

    def docnums(self) -> Docnums:
        """Return the docnums of all live documents, ascending."""
        parts = [live_ordinals(view) + view.base for view in self.segments]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def mask(self, where: Mapping[str, Any] | None = None) -> Mask:
        """Return the live documents that a filter (see ``hybrid.index.filters``) lets through."""
        if where is None:
            return self._unfiltered
        return self._mask(parse_filter(where))

    @cached_property
    def _unfiltered(self) -> Mask:
        return self._mask(None)

    def _mask(self, condition: Any) -> Mask:
        parts: list[NDArray[np.bool_] | None] = []
        for view in self.segments:
            part = view.live
            if condition is not None:
                columns = metadata.columns(view.segment, f"{PREFIX}/fields")
                matching = evaluate(condition, columns, view.size)
                part = matching if part is None else matching & part
            parts.append(None if part is None or part.all() else part)
        counts = (
            view.size if part is None else int(np.count_nonzero(part))
            for view, part in zip(self.segments, parts, strict=True)
        )
        return Mask(tuple(parts), sum(counts))

    def fields(self) -> tuple[str, ...]:
        """Return the names of all metadata fields that filters can use, sorted."""
        names: set[str] = set()
        for view in self.segments:
            names.update(metadata.columns(view.segment, f"{PREFIX}/fields").names())
        return tuple(sorted(names))

    def verify(self) -> None:
        """Read every byte of every segment; raise ``CorruptIndexError`` at the first damage."""
        for view in self.segments:
            view.segment.verify()

    def locate(self, docnum: int) -> tuple[int, int]:
        """Return the position of a document's segment view, and its ordinal there."""
        if not 0 <= docnum < self.size:
            raise IndexError(f"docnum {docnum} is not in a snapshot of {self.size} documents")
        number = bisect_right(self._bases, docnum) - 1
        return number, int(docnum) - self._bases[number]

    def _located(self, docnums: Docnums | Sequence[int]) -> Iterator[tuple[DocumentRows, int]]:
        """Yield the rows of its segment and the ordinal of each docnum."""
        for number, ordinal in map(self.locate, np.asarray(docnums, np.int64).tolist()):
            yield self.segments[number].documents, ordinal


def open_snapshot(
    folder: Path,
    state: State,
    previous: Snapshot | None = None,
    opened: Sequence[Segment] = (),
    *,
    verify: bool = False,
) -> Snapshot:
    """Open what a state describes; segments that ``previous`` has open, or are given, are not opened again.

    Raises:
        MissingSegmentError: a segment's file is not there.
        CorruptIndexError: a file is damaged, or is not the one that the catalogue describes.

    """
    known = {segment.path: segment for segment in opened}
    if previous is not None:
        known |= {view.segment.path: view.segment for view in previous.segments}
    views: list[SegmentView] = []
    base = 0
    for record in state.segments:
        path = segment_path(folder, record.uuid)
        segment = known.get(path) or Segment.open(path, verify=verify)
        views.append(check_view(segment, record, state, base))
        base += record.documents
    return Snapshot(state.generation, views)


def live_ordinals(view: SegmentView) -> NDArray[np.int64]:
    """Return the ordinals of the live documents of a segment, ascending."""
    return np.arange(view.size) if view.live is None else np.flatnonzero(view.live)


def check_view(segment: Segment, record: SegmentRecord, state: State, base: int) -> SegmentView:
    """Return a segment as a state sees it; its first document gets the docnum ``base``.

    Raises:
        CorruptIndexError: the file is not the one that the catalogue describes.
    """
    same = segment.info.bytes == record.bytes and segment.info.checksum == record.checksum
    if not same or len(segment[f"{PREFIX}/ids.offsets"]) != record.documents + 1:
        raise CorruptIndexError(
            f"the segment file {segment.path} is not the one that the catalogue describes; {REMEDY}"
        )
    live = None
    if record.uuid in state.tombstones:
        dead = state.tombstones[record.uuid]
        if len(dead) and not 0 <= dead.min() <= dead.max() < record.documents:
            raise CorruptIndexError(
                f"the catalogue calls documents of {segment.path} deleted that are not there; {REMEDY}"
            )
        live = np.ones(record.documents, np.bool_)
        live[dead] = False
        live.flags.writeable = False
    return SegmentView(segment, record.uuid, base, record.documents, live)
