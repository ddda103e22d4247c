"""What can be saved of a damaged index: the store of its whole segments, and documents out of the others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import CorruptIndexError, StorageError
from hybrid.index.catalog import CATALOG, State, read_catalog
from hybrid.index.checking import Checked, Finding, check_segments
from hybrid.index.documents import PREFIX, DocumentRows
from hybrid.index.files import sync_folder
from hybrid.index.folder import DAMAGED, segment_path
from hybrid.index.lock import WriterLock
from hybrid.index.segment import Segment
from hybrid.index.snapshot import SegmentView, Snapshot
from hybrid.index.store import Store


@dataclass(frozen=True, slots=True, eq=False)
class Wreck:
    """A segment that is not whole.

    ``view``: what its file still gives, unchecked; None if not even its description can be read.
    ``documents``: how many live documents it has. ``kept``: the positions of those that are known to be
    whole; ``lost``: the ids of the others, as far as ids can be read. ``damaged``: names of arrays.
    """

    findings: tuple[Finding, ...]
    view: SegmentView | None
    documents: int
    kept: NDArray[np.int64]
    lost: tuple[str, ...]
    damaged: frozenset[str]

    def whole(self, prefix: str) -> bool:
        """Return whether no array under a name is damaged."""
        return not any(name.split("/", 1)[0] == prefix for name in self.damaged)


def open_wrecks(folder: Path) -> tuple[Store, list[Wreck]]:
    """Open what is whole of an index for writing, and return what is not.

    The first commit of the store takes the damaged segments out of the index; until then the folder is as
    it was, but for copies of the damaged files that are put aside.

    Raises:
        CorruptIndexError: the catalogue is damaged: nothing says any more what the index consists of.
        IndexLockedError: a writer has it open.
        StorageError: the system refused.
    """
    read_catalog(folder / CATALOG)  # before a lock file is put anywhere
    lock = WriterLock(folder)
    try:
        state = read_catalog(folder / CATALOG)
        checked = check_segments(folder, state)
        bad = [segment for segment in checked if segment.findings]
        _keep(folder, [segment.record.uuid for segment in bad])
        names = {segment.record.uuid for segment in bad}
        records = tuple(record for record in state.segments if record.uuid not in names)
        dead = {uuid: ordinals for uuid, ordinals in state.tombstones.items() if uuid not in names}
        rest = State(state.generation, state.settings, records, MappingProxyType(dead)) if bad else state
        views, base = [], 0
        for segment in checked:
            if segment.view is not None and not segment.findings:
                view = segment.view
                views.append(SegmentView(view.segment, view.uuid, base, view.size, view.live))
                base += view.size
        store = Store(folder, "w", rest, Snapshot(state.generation, views), committed=state, lock=lock)
        return store, [_wreck(segment, state) for segment in bad]
    except BaseException:
        lock.release()
        raise


def _wreck(segment: Checked, state: State) -> Wreck:
    record, view = segment.record, segment.view
    live = record.documents - len(state.tombstones.get(record.uuid, ()))
    none = np.empty(0, np.int64)
    damaged = frozenset(finding.part for finding in segment.findings)
    if view is None or not damaged or "" in damaged:
        return Wreck(segment.findings, None, live, none, (), damaged)
    ordinals = np.arange(view.size) if view.live is None else np.flatnonzero(view.live)
    try:
        kept = _sound(view, ordinals, damaged)
        lost = tuple(_ids(view.segment, np.setdiff1d(ordinals, kept), damaged))
        rows = DocumentRows.read(view.segment, PREFIX)
        view.segment.cached(f"{PREFIX}#", lambda: replace(rows, digests=None))  # they have been looked at
    except (CorruptIndexError, ValueError, IndexError):  # its columns have other lengths than documents
        kept, lost = none, ()
    return Wreck(segment.findings, view, live, kept, lost, damaged)


def _sound(view: SegmentView, ordinals: NDArray[np.int64], damaged: frozenset[str]) -> NDArray[np.int64]:
    """Return which of these documents are known to be what was stored."""
    rows = DocumentRows.read(view.segment, PREFIX)
    columns = [f"{PREFIX}/{name}." for name in ("ids", "titles", "texts", "metadata")]
    if PREFIX not in damaged and not any(name.startswith(tuple(columns)) for name in damaged):
        return ordinals
    if f"{PREFIX}/digests" in damaged or rows.digests is None:
        return np.empty(0, np.int64)
    return np.setdiff1d(ordinals, rows.damaged())


def _ids(segment: Segment, ordinals: NDArray[np.int64], damaged: frozenset[str]) -> Iterator[str]:
    """Yield the ids of documents, if the column of ids is whole."""
    if not any(name.startswith(f"{PREFIX}/ids.") for name in damaged):
        ids = DocumentRows.read(segment, PREFIX).ids
        yield from (ids[ordinal].decode(errors="replace") for ordinal in ordinals.tolist())


def _keep(folder: Path, uuids: Sequence[str]) -> None:
    """Put the files of segments aside under a second name, durably."""
    try:
        for uuid in uuids:
            source, target = segment_path(folder, uuid), folder / DAMAGED / f"{uuid}.seg"
            if not source.exists() or target.exists():
                continue
            target.parent.mkdir(exist_ok=True)
            sync_folder(folder)
            with suppress(OSError):
                os.link(source, target)
            if not target.exists():  # a file system without hard links
                shutil.copyfile(source, target)
            sync_folder(target.parent)
    except OSError as error:
        raise StorageError(
            f"cannot put damaged files aside in {folder / DAMAGED}: {error.strerror or error}"
        ) from error
