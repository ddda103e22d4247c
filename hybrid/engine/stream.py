"""Group commit: changes that come one by one share a commit, and each is told when it is on the disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from hybrid.engine.building import accepted
from hybrid.engine.changing import Changeable, checked_version, to_delete, version_of
from hybrid.engine.checks import checked_id
from hybrid.errors import (
    ConflictError,
    DuplicateIdError,
    HybridError,
    InputError,
    NotFoundError,
    StorageError,
)
from hybrid.types import Document

WAITING = 4
"""How many groups of changes may wait; then whoever brings the next one waits as well."""


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """One change: a document that is put in place of ``id``, or nothing."""

    kind: Literal["add", "update", "delete"]
    id: str
    document: Document | None
    expects: Callable[[int | None], None]
    done: Future[int] = field(default_factory=Future)


class Stream:
    """Changes to one index, committed in groups by a thread of the stream. Thread-safe.

    Changes take effect in the order in which they come; in one group the last one of an id stays. The future
    of a change gives the generation of its commit, which is the document's version, and is done when that
    commit is on the disk; or it raises what was wrong with the change, which does not touch the others of its
    group. A future that is cancelled while its change waits takes the change back.
    """

    def __init__(self, index: Changeable, every: int, seconds: float) -> None:
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise InputError(f"every is {every!r}; give a whole number of at least 1")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e6:
            raise InputError(f"seconds is {seconds!r}; give a number from 0")
        self._index, self._every, self._seconds = index, every, seconds
        self._waiting: list[_Change] = []
        self._since = 0.0
        self._hurry = self._closed = self._busy = False
        self._changed = threading.Condition()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="hybrid-stream", daemon=True)
        self._thread.start()

    def add(self, document: Document | Mapping[str, Any]) -> Future[int]:
        """Add a document; its future raises ``DuplicateIdError`` if its id is in the index."""

        def expects(found: int | None) -> None:
            if found is not None:
                raise DuplicateIdError(
                    f"the id {whole.id!r} is already in the index; update replaces a document"
                )

        whole = accepted(document, self._index.pipeline, self._index.limits)
        return self._put(_Change("add", whole.id, whole, expects))

    def update(self, document: Document | Mapping[str, Any], *, if_version: int | None = None) -> Future[int]:
        """Add a document, or replace it; with ``if_version`` only one of that version (``ConflictError``)."""
        whole = accepted(document, self._index.pipeline, self._index.limits)
        return self._put(_Change("update", whole.id, whole, _expecting(whole.id, if_version)))

    def delete(
        self, id: str, *, missing: Literal["error", "ignore"] = "error", if_version: int | None = None
    ) -> Future[int]:
        """Delete a document; its future raises ``NotFoundError`` if it is not there, unless ignored."""
        if missing not in ("error", "ignore"):
            raise InputError(f"missing is {missing!r}; it is 'error' or 'ignore'")
        version = _expecting(checked_id(id), if_version)

        def expects(found: int | None) -> None:
            version(found)
            if found is None and missing == "error":
                raise NotFoundError(f"document {id!r} is not in the index; missing='ignore' skips it")

        return self._put(_Change("delete", id, None, expects))

    def flush(self) -> None:
        """Wait until everything that came before is committed.

        Raises:
            HybridError: a commit failed since the last call, as a whole (its futures raise the same).
        """
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._busy)
            self._hurry = False
            failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Commit what waits, and end; harmless if done. Raises as `flush` does."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, change: _Change) -> Future[int]:
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < WAITING * self._every or self._closed)
            if self._closed:
                raise StorageError("the stream was closed; open another one with index.stream()")
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(change)
            if len(self._waiting) in (1, self._every):
                self._changed.notify_all()
        return change.done

    def _run(self) -> None:
        """Commit group after group until the stream is closed and nothing waits."""
        while group := self._next():
            try:
                self._commit([change for change in group if change.done.set_running_or_notify_cancel()])
            except BaseException as error:  # whatever it is, whoever waits for these must hear of it
                for change in group:
                    if not change.done.done():
                        change.done.set_exception(error)
                if isinstance(error, StorageError) or not isinstance(error, HybridError):
                    self._failed = error
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> list[_Change]:
        """Wait for the next group; it is empty at the end."""
        with self._changed:
            while not self._due():
                left = self._since + self._seconds - time.monotonic() if self._waiting else None
                self._changed.wait(left)
            group, self._waiting = self._waiting[: self._every], self._waiting[self._every :]
            self._since = time.monotonic()
            self._busy = bool(group)
            self._changed.notify_all()
            return group

    def _due(self) -> bool:
        if not self._waiting:
            return self._closed
        late = time.monotonic() >= self._since + self._seconds
        return late or self._hurry or self._closed or len(self._waiting) >= self._every

    def _commit(self, group: Sequence[_Change]) -> None:
        """Make one commit of a group; if what one of them brings is refused there, commit each by itself."""
        try:
            outcome, generation = self._apply(group)
        except HybridError as error:
            if isinstance(error, StorageError) or len(group) == 1:
                raise
            for change in group:
                try:
                    self._commit([change])
                except HybridError as own:
                    change.done.set_exception(own)
                    if isinstance(own, StorageError):
                        self._failed = own
            return
        for change, refused in zip(group, outcome, strict=True):
            if refused is None:
                change.done.set_result(generation)
            else:
                change.done.set_exception(refused)

    def _apply(self, group: Sequence[_Change]) -> tuple[list[HybridError | None], int]:
        """Commit what can be; return what was refused, change by change, and the generation."""
        with self._index._changing() as (transaction, snapshot):
            generation = snapshot.generation + 1
            versions: dict[str, int | None] = {}
            last: dict[str, Document | None] = {}
            outcome: list[HybridError | None] = []
            for change in group:
                if change.id not in versions:
                    versions[change.id] = version_of(snapshot, change.id)
                try:
                    change.expects(versions[change.id])
                except HybridError as error:
                    outcome.append(error)
                    continue
                outcome.append(None)
                last[change.id] = change.document
                versions[change.id] = None if change.document is None else generation
            gone = [id for id, document in last.items() if document is None]
            transaction.delete(to_delete(snapshot, gone, ignore_missing=True))
            documents = [document for document in last.values() if document is not None]
            self._index._put(transaction, snapshot, documents)
        return outcome, generation


def _expecting(id: str, version: int | None) -> Callable[[int | None], None]:
    """Return a check of the version that a document is found with."""
    if version is not None:
        checked_version(version)

    def expects(found: int | None) -> None:
        if version is not None and found != version:
            raise ConflictError(id, version, found)

    return expects
