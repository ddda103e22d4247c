"""An index folder: opening it, reading its current generation, and changing it.

A commit writes segment files, fsyncs them and their folder, and then makes one SQLite transaction; a crash
leaves the generation before or the one after. What the catalogue does not name, the next writer removes.
Readers map all files of their generation, and then need nothing from the folder.

A new index takes effect with its first commit; until then its folder holds the file ``unfinished``, and
closing the store, or the next ``create``, removes everything. An overwritten one stays until then.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Self

from hybrid.errors import CorruptIndexError, FormatError, IndexLockedError, ReadOnlyError, StorageError
from hybrid.forking import abandon, renewed_after_fork
from hybrid.index.ages import Ages
from hybrid.index.catalog import (
    CATALOG,
    State,
    encode_settings,
    hold_catalog,
    install_catalog,
    read_catalog,
    remove_catalog,
    write_catalog,
)
from hybrid.index.folder import (
    NEW_CATALOG,
    UNFINISHED,
    begin,
    check_free,
    make_folder,
    remove_folders,
    segment_path,
    sweep,
    undo,
)
from hybrid.index.lock import WriterLock
from hybrid.index.rows import RowType
from hybrid.index.segment import MissingSegmentError, Segment
from hybrid.index.snapshot import SegmentView, Snapshot, open_snapshot
from hybrid.index.transaction import Transaction
from hybrid.types import Progress

_ATTEMPTS = 20
"""How often a reader starts again because a writer merged segments away in between."""


class Store:
    """An open index folder; make one with ``create`` or ``open``. A context manager.

    A reader's ``snapshot`` changes with ``refresh``, a writer's with each commit; those taken never change.
    """

    def __init__(
        self,
        path: Path,
        mode: Literal["r", "w"],
        state: State,
        snapshot: Snapshot,
        *,
        committed: State | None,
        lock: WriterLock | None = None,
        made: Sequence[Path] = (),
    ) -> None:
        self.path = path
        self.mode = mode
        self._state = state
        self._snapshot = snapshot
        self._ages = Ages()
        self._held: sqlite3.Connection | None = None
        self._committed = committed  # what the catalogue holds; None before a new index's first commit
        self._lock = lock
        self._made = made
        self._transaction: Transaction | None = None
        self._closed = False
        self._process = os.getpid()
        renewed_after_fork(self)
        self._uncertain = False

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], settings: Mapping[str, Any], *, overwrite: bool = False
    ) -> Store:
        """Begin a new index and open it for writing; it takes effect with the first commit.

        ``settings``: any JSON object. ``overwrite``: an index that is there is replaced by the first commit.

        Raises:
            IndexExistsError: an index is there, and overwriting was not asked for.
            NotAnIndexError: the folder holds other files.
            IndexLockedError: another writer holds the index.
            StorageError: the system refused.

        """
        settings = json.loads(encode_settings(settings))
        folder = Path(path)
        if check_free(folder, overwrite):
            _read_to_overwrite(folder)  # before a lock file is put anywhere
        made = make_folder(folder)
        try:
            lock = WriterLock(folder)
        except BaseException:
            remove_folders(made)
            raise
        try:
            exists = check_free(folder, overwrite)  # again, now that nobody else can create here
            committed = _read_to_overwrite(folder) if exists else None
            if committed is None:
                begin(folder)
            generation = 0 if committed is None else committed.generation
            state, empty = State(generation, settings), Snapshot(generation, ())
            return cls(folder, "w", state, empty, committed=committed, lock=lock, made=made)
        except BaseException:
            if not (folder / CATALOG).exists():
                undo(folder)
            lock.release(remove=not (folder / CATALOG).exists())
            remove_folders(made)
            raise

    @classmethod
    @contextmanager
    def creating(
        cls, path: str | os.PathLike[str], settings: Mapping[str, Any], *, overwrite: bool = False
    ) -> Iterator[Store]:
        """Create an index for the length of a ``with`` block, which makes its first commit.

        At a normal exit the store stays open. After an exception all is as it was before.
        """
        store = cls.create(path, settings, overwrite=overwrite)
        try:
            yield store
        except BaseException:
            store.close()
            raise

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, mode: Literal["r", "w"] = "r", verify: bool = False
    ) -> Store:
        """Open an index for reading ("r") or changing ("w"); ``verify`` checks every byte.

        Raises:
            NotAnIndexError: the folder holds no index.
            FormatError: a later release wrote it.
            CorruptIndexError: a file is missing or damaged.
            IndexLockedError: mode is "w" and another writer holds the index.
            StorageError: the system refused.

        """
        if mode not in ("r", "w"):
            raise ValueError(f"mode {mode!r} is not accepted; it is 'r' (read) or 'w' (read and change)")
        folder = Path(path)
        if mode == "r":
            state, snapshot = _load(folder, verify=verify)
            return cls(folder, mode, state, snapshot, committed=state)
        read_catalog(folder / CATALOG)  # before a lock file is put anywhere
        lock = WriterLock(folder)
        try:
            state, snapshot = _load(folder, verify=verify)
            sweep(folder, state.uuids())
        except BaseException:
            lock.release()
            raise
        return cls(folder, mode, state, snapshot, committed=state, lock=lock)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The generation's settings."""
        return dict(self._state.settings)

    @property
    def snapshot(self) -> Snapshot:
        """The generation that this store sees, without the documents that have expired."""
        return self._ages.now(self._snapshot)

    @property
    def state(self) -> State:
        """What the catalogue holds of it."""
        return self._state

    @property
    def pending(self) -> bool:
        """Whether a new index waits for its first commit."""
        return self._committed is not self._state

    def refresh(self, accept: Callable[[Mapping[str, Any]], None] = lambda settings: None) -> bool:
        """See the newest generation; return whether that changed anything. A writer always sees it.

        ``accept`` is called with the new generation's settings; if it raises, nothing changes here.
        """
        self._check_open()
        if self.mode == "w":
            return False
        state, snapshot = _load(self.path, self._state, self._snapshot)
        changed = snapshot is not self._snapshot
        accept(dict(state.settings))
        self._state = self._committed = state
        self._snapshot = snapshot
        return changed

    def transaction(self) -> Transaction:
        """Begin a change; use it in a ``with`` block.

        Raises:
            ReadOnlyError: the index was opened for reading.
            IndexLockedError: a transaction of this store is running.

        """
        self._check_open()
        if self.mode != "w":
            raise ReadOnlyError(
                f"the index {self.path} is open for reading; open it with mode='w' to change it"
            )
        if self._transaction is not None:
            raise IndexLockedError(f"a transaction on {self.path} is running; end it first")
        self._transaction = Transaction(self, self._state)
        return self._transaction

    def optimize(self, row_types: Mapping[str, RowType], progress: Progress | None = None) -> bool:
        """Merge all live documents into one segment, in one commit; return whether there was a need."""
        views = self.snapshot.segments
        needed = len(views) > 1 or any(view.live is not None or view.segment.outdated for view in views)
        with self.transaction() as change:
            if needed:
                change.replace(views, row_types, progress)
        sweep(self.path, self._state.uuids())
        return needed

    def merge(
        self, views: Sequence[SegmentView], row_types: Mapping[str, RowType], progress: Progress | None = None
    ) -> None:
        """Merge some segments of ``snapshot`` into one, in one commit."""
        with self.transaction() as change:
            change.replace(views, row_types, progress)

    def renew(self) -> None:
        """Leave the connection to the process that this one was forked from."""
        abandon(self._held)

    def close(self) -> None:
        """Give up the writer's lock; a new index without a commit is removed. Harmless if done."""
        if self._closed or self._process != os.getpid():  # of a fork, the process that opened it cleans up
            return
        self._closed = True
        unfinished = self.mode == "w" and self._committed is None and not self._uncertain
        if unfinished:
            undo(self.path)
        if self._held is not None:
            self._held.close()
        if self._lock is not None:
            self._lock.release(remove=unfinished)
        if unfinished:
            remove_folders(self._made)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def publish(self, state: State, added: Sequence[Segment]) -> None:
        """Commit a new state (for ``Transaction``): change the catalogue, then show it here."""
        self._check_open()
        snapshot = open_snapshot(self.path, state, self._snapshot, added)
        try:
            if self._committed is None:
                new = self.path / NEW_CATALOG
                remove_catalog(new)
                write_catalog(new, None, state)
                install_catalog(new, self.path / CATALOG)
            else:
                if self._held is None:
                    self._held = hold_catalog(self.path / CATALOG)
                write_catalog(self.path / CATALOG, self._committed, state)
        except BaseException:
            self._uncertain = not self._unchanged()
            raise
        self._snapshot = snapshot
        before, self._state, self._committed = self._committed, state, state
        gone = (before or State()).uuids() - state.uuids()
        with suppress(OSError):  # what stays is swept when a writer opens the index
            if before is None:
                (self.path / UNFINISHED).unlink(missing_ok=True)
            for uuid in gone:
                segment_path(self.path, uuid).unlink(missing_ok=True)

    def end_transaction(self) -> bool:
        """Note the end of the transaction; return whether it is certain what the catalogue holds."""
        self._transaction = None
        return not self._uncertain

    def _unchanged(self) -> bool:
        """Return whether, after a commit that failed, the catalogue surely holds what it held."""
        catalog = self.path / CATALOG
        try:
            if self._committed is None:
                return not catalog.exists()
            return read_catalog(catalog).generation == self._committed.generation
        except (StorageError, OSError):
            return False

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(f"the index {self.path} was closed; open it again")
        if self.mode == "w" and self._process != os.getpid():
            raise StorageError(
                f"the index {self.path} was opened for writing by process {self._process}, of which this is "
                "a fork; only that one may change it: open the index here for reading"
            )
        if self._uncertain and not self._unchanged():
            raise StorageError(f"a commit to {self.path} failed half-way; close the index and open it again")
        self._uncertain = False


def _load(
    folder: Path, known: State | None = None, previous: Snapshot | None = None, *, verify: bool = False
) -> tuple[State, Snapshot]:
    """Read the committed state and map its files; start again if a writer changed it in between."""
    state = read_catalog(folder / CATALOG)
    for _ in range(_ATTEMPTS):
        if previous is not None and known is not None and _same(state, known):
            return known, previous
        try:
            return state, open_snapshot(folder, state, previous, verify=verify)
        except MissingSegmentError:
            newer = read_catalog(folder / CATALOG)
            if _same(newer, state):
                raise
            state = newer
    raise StorageError(f"the index {folder} changes faster than it can be read; try again later")


def _same(one: State, other: State) -> bool:
    return one.generation == other.generation and one.segments == other.segments


def _read_to_overwrite(folder: Path) -> State:
    """Return the state of an index that is to be replaced."""
    try:
        return read_catalog(folder / CATALOG)
    except (CorruptIndexError, FormatError) as error:
        raise type(error)(f"{error}; to replace the index all the same, delete {folder} first") from error
