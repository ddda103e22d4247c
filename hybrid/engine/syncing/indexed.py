"""What an index knows of a folder: the files that its documents come from, and when they were last looked at.

The documents themselves say which file they come from, and its digest, so what is synced is what is
committed. Beside them lies a memory of sizes and times, which only saves the digesting of files that nobody
touched: it may be lost or damaged, and that costs nothing but time.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hybrid.corpus.files import FoundFile
from hybrid.index import Snapshot
from hybrid.index.folder import LOOKS

_LOGGER = logging.getLogger("hybrid.engine")
_RECENT = 2 * 10**9
"""A file changed so few nanoseconds ago may change again without a change of its time."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS seen (source TEXT, path TEXT, size INTEGER, modified INTEGER, digest TEXT, "
    "reason TEXT, PRIMARY KEY (source, path)) WITHOUT ROWID"
)


@dataclass(slots=True)
class Indexed:
    """What is in the index of one file: its digest, its documents, and how many of them there should be."""

    digest: str
    parts: int
    ids: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every document is there."""
        return len(self.ids) == self.parts


def indexed_files(snapshot: Snapshot, source: str) -> dict[str, Indexed]:
    """Return what a snapshot holds of a folder, by the files' paths relative to it."""
    found: dict[str, Indexed] = {}
    for docnum in snapshot.mask({"file.source": source}).docnums(snapshot).tolist():
        number, ordinal = snapshot.locate(docnum)
        rows = snapshot.segments[number].documents
        metadata = json.loads(rows.metadata[ordinal])
        about, path = metadata["file"], str(metadata.get("path", "")).removeprefix(f"{source}/")
        file = found.setdefault(path, Indexed(str(about.get("digest")), int(about.get("parts", 0))))
        file.ids.append(rows.ids[ordinal].decode())
        if file.digest != about.get("digest"):
            file.parts = 0  # documents of two versions: never whole
    return found


class Look(NamedTuple):
    """A file when it was last digested; ``reason``: why its content cannot be read, or empty."""

    size: int
    modified: int
    digest: str
    reason: str = ""

    def still(self, file: FoundFile) -> bool:
        """Return whether the file looks as it did then."""
        return (self.size, self.modified) == (file.size, file.modified)


class Memory:
    """The last looks at the files of one folder, kept in a file of the index's folder."""

    def __init__(self, index: Path, source: str) -> None:
        self._path, self._source = index / LOOKS, source
        self._looks = dict(self._load())

    def get(self, name: str) -> Look | None:
        """Return the last look at a file."""
        return self._looks.get(name)

    def keep(self, looks: Iterable[tuple[FoundFile, str, str]], gone: Iterable[str] = ()) -> None:
        """Remember files with their digests and reasons, and forget those that are ``gone``.

        Files that changed a moment ago are not remembered. Nor is anything, if the system refuses: the files
        are digested again by the next sync.
        """
        now = time.time_ns()
        rows = [
            (self._source, file.name, file.size, file.modified, digest, reason)
            for file, digest, reason in looks
            if file.modified < now - _RECENT
        ]
        try:
            with self._connected() as database:
                database.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?)", rows)
                forgotten = [(self._source, name) for name in gone]
                database.executemany("DELETE FROM seen WHERE source = ? AND path = ?", forgotten)
        except sqlite3.Error as error:
            _LOGGER.warning("%s cannot be written (%s); the next sync takes longer", self._path, error)

    def _load(self) -> list[tuple[str, Look]]:
        if not self._path.exists():
            return []
        try:
            with self._connected() as database:
                query = "SELECT path, size, modified, digest, reason FROM seen WHERE source = ?"
                return [(path, Look(*rest)) for path, *rest in database.execute(query, (self._source,))]
        except sqlite3.OperationalError:  # locked, or the system refuses
            return []
        except sqlite3.DatabaseError:  # damaged: it is only a memory
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            return []

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=30)) as database, database:
            database.execute(_SCHEMA)
            yield database
