"""Keeping an index equal to a folder: what is new is added, what changed replaced, what is gone removed.

A sync commits in portions of whole files. Each portion is one atomic commit, so one that is killed leaves
whole files behind, and the next sync goes on with the rest.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from hybrid.corpus.files import (
    FoundFile,
    PartNotes,
    Selection,
    UnreadableError,
    file_documents,
    reason,
)
from hybrid.engine.changing import Changeable
from hybrid.engine.syncing.indexed import Indexed, Memory, indexed_files
from hybrid.engine.syncing.plan import KEPT, Plan, SyncReport, plan_sync, planned
from hybrid.errors import CorpusError, InputError
from hybrid.index import check_documents
from hybrid.types import Document, Progress

PORTION = 16 << 20
"""A portion is committed when it holds so many bytes of documents, or `PORTION_DOCUMENTS`."""

PORTION_DOCUMENTS = 5000
_HELD = 4 << 20
FOLDERS = "folders"
"""The setting of an index that says which folder each name stands for."""


def sync_folder(
    index: Changeable,
    folder: str | Path,
    name: str | None,
    select: Selection,
    *,
    verify: bool,
    dry_run: bool,
    allow_empty: bool,
    portion: int,
    progress: Progress | None,
) -> SyncReport:
    """Do what `HybridIndex.sync` says."""
    if not isinstance(portion, int) or portion < 1:
        raise InputError(f"portion is {portion!r}; give a number of bytes, at least 1")
    root, source = checked_root(folder), source_name(folder, name)
    folders = index._store.settings.get(FOLDERS, {})
    _check_source(source, root, folders)
    memory = Memory(index.path, source)
    indexed = indexed_files(index._store.snapshot, source)
    plan = plan_sync(root, select, indexed, memory, verify=verify, allow_empty=allow_empty)
    if dry_run:
        return planned(plan, indexed)
    with index._changing() as (transaction, _):  # nothing is committed if they are the same
        transaction.update_settings({FOLDERS: {**folders, source: str(root)}})
    run = _Run(index, source, indexed, memory, plan, portion)
    return run.all(progress)


def checked_root(folder: str | Path) -> Path:
    """Return the folder's absolute path; raise ``CorpusError`` if there is none."""
    root = Path(folder)
    if not root.is_dir():
        raise CorpusError(
            f"there is no folder {str(folder)!r}; give the folder whose files are to be searched"
        )
    return root.resolve()


def source_name(folder: str | Path, name: str | None) -> str:
    """Return what the folder is called in the index: its own name, unless another was given."""
    source = Path(folder).resolve().name if name is None else name
    if not isinstance(source, str) or not source.strip() or "/" in source or not source.isprintable():
        raise InputError(f"the folder's name is {source!r}; give name= (--name), a word without '/'")
    return source


def _check_source(source: str, root: Path, folders: Mapping[str, str]) -> None:
    """Refuse a name that stands for another folder, which still exists; one that moved keeps its name."""
    other = folders.get(source)
    if other is not None and other != str(root) and Path(other).is_dir():
        raise CorpusError(
            f"the index has another folder under the name {source!r}: {other}; give this one another name "
            "with name= (--name)"
        )


@dataclass(slots=True)
class _Portion:
    """Whole files that are committed together: what goes, and what comes, on the disk if it is much."""

    spool: IO[bytes] = field(default_factory=partial(tempfile.SpooledTemporaryFile, _HELD))
    looks: list[tuple[FoundFile, str, str]] = field(default_factory=list)
    doomed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def documents(self) -> Iterator[Document]:
        """Read back the documents."""
        self.spool.seek(0)
        for line in self.spool:
            yield Document(**json.loads(line))


class _Run:
    """One sync at work."""

    def __init__(
        self,
        index: Changeable,
        source: str,
        indexed: Mapping[str, Indexed],
        memory: Memory,
        plan: Plan,
        limit: int,
    ) -> None:
        self._index, self._source, self._indexed, self._memory = index, source, indexed, memory
        self._plan, self._limit = plan, limit
        self._portion = _Portion()
        self._done: list[str] = []
        self._written = 0

    def all(self, progress: Progress | None) -> SyncReport:
        """Do everything that is planned, in portions."""
        try:
            self._portions(progress)
        finally:
            self._portion.spool.close()
        self._memory.keep(self._plan.same)
        fresh, done = planned(self._plan, self._indexed), set(self._done)
        return replace(
            fresh,
            added=tuple(name for name in fresh.added if name in done),
            updated=tuple(name for name in fresh.updated if name in done),
            renamed=tuple(pair for pair in fresh.renamed if pair[1] in done),
            documents=self._written,
            dry_run=False,
        )

    def _portions(self, progress: Progress | None) -> None:
        plan = self._plan
        renamed = set(plan.renamed.values())
        for path in plan.gone:
            if path not in renamed:
                self._remove(path)
        for number, (file, digest) in enumerate(plan.fresh, 1):
            self._read(file, digest)
            if self._portion.spool.tell() >= self._limit or len(self._portion.ids) >= PORTION_DOCUMENTS:
                self._commit(progress)
            if progress is not None:
                progress("read", number, len(plan.fresh))
        self._commit(progress)

    def _remove(self, path: str) -> None:
        self._portion.doomed += self._indexed[path].ids
        self._portion.gone.append(path)

    def _read(self, file: FoundFile, digest: str) -> None:
        """Put a file's documents into the portion; if it cannot be read, nothing of it."""
        portion, report = self._portion, self._plan.report
        start, notes = portion.spool.tell(), PartNotes(report, file.name)
        before = self._indexed.get(file.name)
        kept = KEPT if before is not None else ""
        try:
            ids = self._spool(file, digest, notes)
        except Exception as error:  # as in a reading of the folder: nothing of a file is fatal
            portion.spool.seek(start)
            portion.spool.truncate()
            why = reason(error)
            report.skip(file.name, why + kept)
            if isinstance(error, UnreadableError):  # it is the content's fault, which the digest stands for
                portion.looks.append((file, digest, why))
            return
        finally:
            notes.close()
        portion.ids.update(ids)
        portion.looks.append((file, digest, ""))
        if before is not None:
            portion.doomed += before.ids
        if file.name in self._plan.renamed:
            self._remove(self._plan.renamed[file.name])
        self._done.append(file.name)
        self._written += len(ids)

    def _spool(self, file: FoundFile, digest: str, notes: PartNotes) -> list[str]:
        """Write a file's documents to the spool, each with the number of all; return their ids."""
        about: dict[str, Any] = {"source": self._source, "digest": digest}
        ids: list[str] = []
        with tempfile.SpooledTemporaryFile(_HELD) as waiting:
            for document in file_documents(file, notes, f"{self._source}/", about):
                check_documents([document])
                if document.id in self._portion.ids:
                    raise UnreadableError(f"its document {document.id!r} has the id of another file's")
                ids.append(document.id)
                fields = {name: getattr(document, name) for name in ("id", "text", "title", "metadata")}
                waiting.write(json.dumps(fields).encode() + b"\n")
            if not ids:
                raise UnreadableError("it is empty, or none of its parts can be read")
            waiting.seek(0)
            for line in waiting:
                fields = json.loads(line)
                fields["metadata"]["file"]["parts"] = len(ids)
                self._portion.spool.write(json.dumps(fields).encode() + b"\n")
        return ids

    def _commit(self, progress: Progress | None) -> None:
        """Commit the portion in one transaction, then remember what its files looked like."""
        portion, self._portion = self._portion, _Portion()
        with portion.spool:
            if portion.ids or portion.doomed:
                with self._index._changing() as (transaction, snapshot):
                    found = snapshot.find(portion.doomed)
                    transaction.delete(found[found >= 0])
                    self._index._put(transaction, snapshot, portion.documents(), progress)
        self._memory.keep(portion.looks, portion.gone)
