"""One change of the index: nothing of it is seen before its commit, and all of it after."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import DuplicateIdError
from hybrid.index.catalog import SegmentRecord, State, encode_settings
from hybrid.index.documents import PREFIX, DocumentRows
from hybrid.index.folder import segment_path
from hybrid.index.merge import merge
from hybrid.index.passages import rows_in
from hybrid.index.rows import HeldRows, RowType
from hybrid.index.seen import SeenIds
from hybrid.index.segment import Segment, SegmentWriter
from hybrid.index.snapshot import SegmentView, Snapshot
from hybrid.kernels.blocks import MOST_DOCUMENTS
from hybrid.types import Docnums, Progress


class Owner(Protocol):
    """What a transaction needs of the store that it changes."""

    path: Path

    @property
    def snapshot(self) -> Snapshot:
        """The current generation."""
        ...

    @property
    def pending(self) -> bool:
        """Whether a new index still waits for its first commit."""
        ...

    def publish(self, state: State, added: Sequence[Segment]) -> None:
        """Commit a new state; ``added`` are its new segments, opened."""
        ...

    def end_transaction(self) -> bool:
        """Note the end; return whether it is certain what the catalogue holds."""
        ...


class Transaction:
    """Deletes and additions that become one new generation, or nothing at all.

    A context manager, made by ``Store.transaction``: a normal exit commits; an exception rolls
    back and removes the files written. Without any change there is no new generation. To replace
    a document, delete it first and then add its successor, in the same transaction.
    """

    def __init__(self, store: Owner, state: State) -> None:
        self._store = store
        self._state = state
        self._views = store.snapshot.segments  # without what has expired, which ends with this change
        self._live: dict[str, NDArray[np.bool_]] = {}
        self._merged: set[str] = set()
        self._added: list[tuple[SegmentRecord, Segment]] = []
        self._passing: set[str] = set()
        self._seen = SeenIds()
        self._settings: Mapping[str, Any] = state.settings

    def delete(self, docnums: Docnums) -> None:
        """Delete live documents of ``store.snapshot``.

        Raises:
            ValueError: a docnum is not in the snapshot, is given twice, or is deleted already.

        """
        wanted = np.asarray(docnums, np.int64)
        if len(np.unique(wanted)) != len(wanted):
            raise ValueError("a docnum to delete is given twice")
        inside = (wanted >= 0) & (wanted < self._store.snapshot.size)
        if not inside.all():
            raise ValueError(f"docnums not in the snapshot: {wanted[~inside][:5].tolist()}")
        changed: dict[str, NDArray[np.bool_]] = {}
        for view in self._views:
            ordinals = wanted[(wanted >= view.base) & (wanted < view.base + view.size)] - view.base
            if len(ordinals):
                live = self._live_of(view).copy()
                if not live[ordinals].all() or view.uuid in self._merged:
                    raise ValueError("a docnum to delete is deleted already")
                live[ordinals] = False
                changed[view.uuid] = live
        self._live |= changed

    def delete_expired(self) -> int:
        """Delete the documents that have expired, as any change does; return how many there are."""
        gone = 0
        for view in self._views:
            dead = self._state.tombstones.get(view.uuid, ())
            expired = view.size - view.live_count - len(dead)
            if expired:
                self._live.setdefault(view.uuid, self._live_of(view))
            gone += expired
        return gone

    def add(
        self,
        documents: DocumentRows,
        branches: Mapping[str, HeldRows],
        *,
        replace: bool = False,
        passing: bool = False,
    ) -> None:
        """Write documents and their branches' rows, in the same order, as one new segment.

        The rows are sorted by id here. The file is written and fsynced now; the catalogue names
        it at the commit. No documents: nothing happens. With ``replace``, live documents of
        ``store.snapshot`` with the same ids are deleted. With ``passing``, the segment is merged into
        another by `consolidate`, which must be called, and is not made ready for searching.

        Raises:
            DuplicateIdError: an id is given twice in this transaction, or names a live document.
            ValueError: a branch has another number of rows, or an unusable name.
            StorageError: the disk refused.

        """
        for name, rows in branches.items():
            if name == PREFIX or not name or "/" in name:
                raise ValueError(f"a branch cannot be named {name!r}")
            if len(rows) != len(documents):
                raise ValueError(f"branch {name!r} has {len(rows)} rows for {len(documents)} documents")
        if not len(documents):
            return
        given = [*documents.ids]
        order = documents.order()
        ids = [given[n].decode() for n in order.tolist()]
        self._refuse_repeats(given, ids, order)
        live = self._without(ids, delete=replace)
        sort = not np.array_equal(order, np.arange(len(order)))
        if sort:
            documents = documents.take(order)
        waiting = dict(branches)
        del branches  # what is written or sorted is let go of at once, if the caller did not keep it
        uuid = uuid4().hex
        with SegmentWriter(segment_path(self._store.path, uuid), passing=passing) as out:
            documents.written_by(self._state.generation + 1).write(out, PREFIX)
            del documents
            for name in list(waiting):
                rows = waiting.pop(name)
                if sort:
                    rows = rows.take(order)
                rows.write(out, name)
                del rows
        self._register(uuid, out, len(order))
        if passing:
            self._passing.add(uuid)
        self._live |= live
        self._seen.add(given)

    def consolidate(self, row_types: Mapping[str, RowType], progress: Progress | None = None) -> None:
        """Merge the segments that this transaction has added into as few as can be.

        ``row_types`` names the type of every branch's rows. Memory is bounded as in `merge`.

        Raises:
            StorageError: the disk refused.

        """
        for views in _groups(self._added):
            if len(views) > 1 or views[0].uuid in self._passing:
                self._write_merged(views, row_types, progress)
                gone = {view.uuid for view in views}
                self._passing -= gone
                self._added = [pair for pair in self._added if pair[0].uuid not in gone]
                for view in views:
                    with suppress(OSError):  # swept later
                        view.segment.path.unlink(missing_ok=True)

    def replace(
        self,
        views: Sequence[SegmentView],
        row_types: Mapping[str, RowType],
        progress: Progress | None = None,
    ) -> None:
        """Replace segments by one that holds their live documents in order of id.

        They are read whole and checked first: what is damaged must not get a new checksum.

        Raises:
            ValueError: this transaction has deleted from one of them, or a type of rows is missing.
            CorruptIndexError: one of them is damaged.
            StorageError: the disk refused.

        """
        uuids = {view.uuid for view in views}
        if not uuids <= {view.uuid for view in self._views} or uuids & (self._live.keys() | self._merged):
            raise ValueError("only unchanged segments of the store's snapshot can be merged")
        for view in views:
            view.segment.verify()
        if any(view.live_count for view in views):
            self._write_merged(views, row_types, progress)
        self._merged |= uuids

    def update_settings(self, changes: Mapping[str, Any]) -> None:
        """Set some of the settings; raise ``ValueError`` or ``TypeError`` if they are not JSON."""
        self._settings = json.loads(encode_settings({**self._settings, **changes}))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        committed = False
        try:
            if kind is None:
                self._commit()
                committed = True
        finally:
            certain = self._store.end_transaction()
            if not committed and certain:
                self._remove_files()

    def _commit(self) -> None:
        """Publish the new state, if there is any change."""
        if self._passing:
            raise ValueError(f"segments {sorted(self._passing)} are not made for searching: consolidate")
        changed = self._added or self._live or self._merged or self._settings != self._state.settings
        if changed or self._store.pending:
            self._store.publish(self._next_state(), [segment for _, segment in self._added])

    def _next_state(self) -> State:
        """Return the state after this transaction; segments without live documents are dropped."""
        records = {record.uuid: record for record in self._state.segments}
        segments: list[SegmentRecord] = []
        tombstones: dict[str, NDArray[np.int64]] = {}
        for view in self._views:
            live = self._live_of(view)
            if view.uuid in self._merged or not live.any():
                continue
            segments.append(records[view.uuid])
            if not live.all():
                tombstones[view.uuid] = np.flatnonzero(~live)
        segments += [record for record, _ in self._added]
        generation = self._state.generation + 1
        return State(generation, self._settings, tuple(segments), MappingProxyType(tombstones))

    def _write_merged(
        self, views: Sequence[SegmentView], row_types: Mapping[str, RowType], progress: Progress | None
    ) -> None:
        uuid = uuid4().hex
        path = segment_path(self._store.path, uuid)
        with SegmentWriter(path, sources=[view.segment for view in views]) as out:
            count = merge(views, row_types, out, progress)
        self._register(uuid, out, count)

    def _refuse_repeats(self, given: Sequence[bytes], ids: Sequence[str], order: NDArray[np.int64]) -> None:
        """Raise if an id comes twice, in ``given`` (by ``order``: ``ids``) or with what was added before."""
        first = self._seen.count
        for n, (id, following) in enumerate(pairwise(ids)):
            if id == following:
                raise _repeated(id, first + int(order[n]), first + int(order[n + 1]))
        for row, position in self._seen.suspects(given):
            id = given[row].decode()
            if any(DocumentRows.read(segment, PREFIX).find([id])[0] >= 0 for _, segment in self._added):
                raise _repeated(id, position, first + row)

    def _without(self, ids: Sequence[str], *, delete: bool) -> dict[str, NDArray[np.bool_]]:
        """Return which documents stay live where one of these ids is deleted; if not allowed, raise."""
        changed: dict[str, NDArray[np.bool_]] = {}
        for view in self._views:
            ordinals = view.documents.find(ids)
            taken = (ordinals >= 0) & self._live_of(view)[ordinals]
            if taken.any():
                if not delete or view.uuid in self._merged:
                    raise DuplicateIdError(
                        f"the id {ids[int(np.argmax(taken))]!r} is already in the index; "
                        "update replaces a document, or delete it first"
                    )
                changed[view.uuid] = self._live_of(view).copy()
                changed[view.uuid][ordinals[taken]] = False
        return changed

    def _live_of(self, view: SegmentView) -> NDArray[np.bool_]:
        """Return which documents of a segment are live after the deletes so far."""
        if view.uuid in self._live:
            return self._live[view.uuid]
        return np.ones(view.size, np.bool_) if view.live is None else view.live

    def _register(self, uuid: str, out: SegmentWriter, documents: int) -> None:
        """Open a segment just written, so that nothing can fail after the commit."""
        info = out.close()
        record = SegmentRecord(uuid, documents, info.bytes, info.checksum, self._state.generation + 1)
        try:
            self._added.append((record, Segment.open(out.path)))
        except BaseException:
            out.path.unlink(missing_ok=True)
            raise

    def _remove_files(self) -> None:
        """Remove what this transaction wrote, as far as the system lets us; the rest is swept later."""
        for _, segment in self._added:
            with suppress(OSError):
                segment.path.unlink(missing_ok=True)


def _groups(added: Sequence[tuple[SegmentRecord, Segment]]) -> list[list[SegmentView]]:
    """Return segments in groups of at most as many rows of a branch as one segment can hold."""
    groups: list[list[SegmentView]] = []
    base, rows = 0, MOST_DOCUMENTS + 1
    for record, segment in added:
        more = rows_in(segment, record.documents)
        if rows + more > MOST_DOCUMENTS:
            groups.append([])
            base = rows = 0
        groups[-1].append(SegmentView(segment, record.uuid, base, record.documents, None))
        base += record.documents
        rows += more
    return groups


def _repeated(id: str, first: int, second: int) -> DuplicateIdError:
    low, high = sorted((first, second))
    return DuplicateIdError(
        f"the id {id!r} appears twice: documents {low} and {high} (counted from 0); ids must be unique"
    )
