"""The catalogue: the one SQLite file that says what the index consists of.

It names the segments, the deleted documents of each (by segment and ordinal), the settings and the
generation. Changing it is the commit: one SQLite transaction in WAL mode, fsynced. SQLite guards
against torn writes, but does not notice a changed byte, so the whole content is also digested.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import CorruptIndexError, FormatError, NotAnIndexError, StorageError
from hybrid.index.files import sync_folder
from hybrid.version import __version__

CATALOG = "catalog.sqlite"
FORMAT_VERSION = 1
_APPLICATION = 0x48594252  # "HYBR"
_MAGIC = b"SQLite format 3\0"
_UUID = re.compile("[0-9a-f]{32}")
_TIMEOUT = 30.0  # seconds to wait for another connection; commits take milliseconds
_SCHEMA = """
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL, settings TEXT NOT NULL,
    release TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE TABLE segments (
    number INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, documents INTEGER NOT NULL,
    bytes INTEGER NOT NULL, checksum TEXT NOT NULL, created INTEGER NOT NULL
);
CREATE TABLE tombstones (
    segment TEXT NOT NULL REFERENCES segments (uuid) ON DELETE CASCADE, ordinal INTEGER NOT NULL,
    PRIMARY KEY (segment, ordinal)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A segment as the catalogue knows it; ``created`` is the generation that brought it."""

    uuid: str
    documents: int
    bytes: int
    checksum: str
    created: int


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """One committed state of the index.

    ``tombstones``: by segment, the ordinals of its deleted documents, int64, ascending; segments
    without any have no entry.
    """

    generation: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    segments: tuple[SegmentRecord, ...] = ()
    tombstones: Mapping[str, NDArray[np.int64]] = field(default_factory=lambda: MappingProxyType({}))

    def uuids(self) -> frozenset[str]:
        """Return the uuids of all segments."""
        return frozenset(record.uuid for record in self.segments)

    def digest(self) -> str:
        """Return a checksum of everything in the state."""
        rows = [[s.uuid, s.documents, s.bytes, s.checksum, s.created] for s in self.segments]
        content = blake2b(digest_size=16)
        content.update(json.dumps([self.generation, encode_settings(self.settings), rows]).encode())
        for uuid in sorted(self.tombstones):
            content.update(uuid.encode() + self.tombstones[uuid].astype("<i8").tobytes())
        return content.hexdigest()


def encode_settings(settings: Mapping[str, Any]) -> str:
    """Return settings as JSON; raise ``ValueError`` or ``TypeError`` if they are not JSON."""
    return json.dumps(dict(settings), allow_nan=False)


def read_catalog(path: Path) -> State:
    """Return the committed state, read in one transaction.

    Works in a folder that cannot be written and on a full disk, too.

    Raises:
        NotAnIndexError: there is no catalogue.
        FormatError: a later release wrote it in a newer format.
        CorruptIndexError: it is damaged.
        StorageError: it cannot be opened, or is locked for too long.

    """
    _check_magic(path)
    try:
        return _read(path, "mode=rw")
    except StorageError as error:
        if not _cannot_open(error):
            raise
        failure = error
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists() and wal.stat().st_size:
        try:
            return _read(path, "mode=ro")  # works while a writer has the catalogue open
        except StorageError:
            raise StorageError(
                f"cannot read {path}: its last changes are still in {wal.name}, and the folder cannot be "
                f"written ({failure.__cause__}); open the index once where it can"
            ) from failure
    return _read(path, "mode=ro&immutable=1")


def check_database(path: Path) -> list[str]:
    """Return what SQLite itself finds wrong with a catalogue that can be read; empty if nothing."""
    try:
        return _integrity(path, "mode=rw")
    except StorageError as error:
        if not _cannot_open(error):
            raise
    return _integrity(path, "mode=ro&immutable=1")


def _integrity(path: Path, mode: str) -> list[str]:
    with _connect(path, mode) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check(10)").fetchall()]
    return [] if found == ["ok"] else found


def write_catalog(path: Path, before: State | None, after: State) -> None:
    """Commit: turn the catalogue from one state into the next, in one transaction.

    With ``before`` None the file must not exist yet. When this returns, the change is durable.

    Raises:
        StorageError: the disk refused, or the catalogue holds another generation than ``before``.

    """
    with _connect(path, "mode=rwc" if before is None else "mode=rw") as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if before is None:
                _lay_out(connection)
            _write_changes(connection, path, before or State(), after)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if before is None:  # only now, so that the new file is whole without its log
            connection.execute("PRAGMA journal_mode = WAL")


def hold_catalog(path: Path) -> sqlite3.Connection:
    """Return a connection that only has to be open while commits follow each other; any thread may close it.

    The last connection to be closed writes SQLite's log into the database and removes it, which takes
    longer than the commit.
    """
    with _translated(path):
        connection = sqlite3.connect(_address(path, "mode=rw"), uri=True, check_same_thread=False)
        connection.execute("SELECT generation FROM head").fetchone()
    return connection


def _lay_out(connection: sqlite3.Connection) -> None:
    """Create the tables and mark the file as ours."""
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    for statement in _SCHEMA.split(";")[:-1]:
        connection.execute(statement)
    connection.execute("INSERT INTO head VALUES (1, 0, '{}', '', '')")


def _write_changes(connection: sqlite3.Connection, path: Path, before: State, after: State) -> None:
    """Write what differs between two states."""
    generation = connection.execute("SELECT generation FROM head").fetchone()[0]
    if generation != before.generation:
        raise StorageError(
            f"{path} is at generation {generation} and not at {before.generation}: something else changed "
            "it; open the index again"
        )
    gone = [(uuid,) for uuid in sorted(before.uuids() - after.uuids())]
    fresh_segments = [s for s in after.segments if s.uuid not in before.uuids()]
    new = [(s.uuid, s.documents, s.bytes, s.checksum, s.created) for s in fresh_segments]
    connection.executemany("DELETE FROM segments WHERE uuid = ?", gone)
    connection.executemany(
        "INSERT INTO segments (uuid, documents, bytes, checksum, created) VALUES (?, ?, ?, ?, ?)", new
    )
    none = np.empty(0, np.int64)
    for uuid, ordinals in after.tombstones.items():
        fresh = np.setdiff1d(ordinals, before.tombstones.get(uuid, none), assume_unique=True)
        rows = ((uuid, ordinal) for ordinal in fresh.tolist())
        connection.executemany("INSERT INTO tombstones VALUES (?, ?)", rows)
    connection.execute(
        "UPDATE head SET generation = ?, settings = ?, release = ?, digest = ?",
        (after.generation, encode_settings(after.settings), __version__, after.digest()),
    )


def _read(path: Path, mode: str) -> State:
    """Read and check the whole catalogue."""
    with _connect(path, mode) as connection:
        connection.execute("BEGIN")
        _check_format(connection, path)
        head = connection.execute("SELECT generation, settings, digest FROM head").fetchone()
        columns = "uuid, documents, bytes, checksum, created"
        segments = connection.execute(f"SELECT {columns} FROM segments ORDER BY number").fetchall()
        dead = connection.execute("SELECT segment, ordinal FROM tombstones").fetchall()
        connection.execute("COMMIT")
    try:
        by_segment: dict[str, list[int]] = {}
        for uuid, ordinal in dead:
            by_segment.setdefault(uuid, []).append(ordinal)
        tombstones = {uuid: np.array(sorted(dead), np.int64) for uuid, dead in by_segment.items()}
        records = tuple(SegmentRecord(*row) for row in segments)
        if not all(_UUID.fullmatch(record.uuid) and record.documents >= 0 for record in records):
            raise ValueError("it names a segment that no release writes")
        state = State(head[0], json.loads(head[1]), records, MappingProxyType(tombstones))
        intact = state.digest() == head[2]
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise _corrupt(path, str(error)) from error
    if not intact:
        raise _corrupt(path, "its content does not match its checksum")
    return state


def _check_magic(path: Path) -> None:
    """Raise unless the file looks like an SQLite database."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(_MAGIC))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotAnIndexError(
            f"{path.parent} holds no index (there is no {path.name}); create one with hybrid.create"
        ) from error
    except OSError as error:
        raise StorageError(f"cannot open {path}: {error.strerror or error}") from error
    if start != _MAGIC:
        if (path.parent / "segments").is_dir():
            raise _corrupt(path, "it does not begin like an SQLite database")
        raise NotAnIndexError(f"{path} is not a catalogue of hybrid: it is no SQLite database")


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    """Raise unless this release can read the catalogue."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
        raise NotAnIndexError(f"{path} is not a catalogue of hybrid: it is another program's database")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == FORMAT_VERSION:
        return
    if version < 1:
        raise _corrupt(path, f"it has format version {version}")
    try:
        writer = f"hybrid {connection.execute('SELECT release FROM head').fetchone()[0]}"
    except (sqlite3.Error, TypeError):  # a later format may keep it elsewhere
        writer = "another release"
    raise FormatError(
        f"the index {path.parent} has format version {version}, written by {writer}; this is hybrid "
        f"{__version__}, which reads version {FORMAT_VERSION}: upgrade hybrid-retrieval"
    )


@contextmanager
def _connect(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open the catalogue, close it in any case, and turn SQLite's errors into ours."""
    connection = None
    try:
        with _translated(path):
            connection = sqlite3.connect(
                _address(path, mode), uri=True, timeout=_TIMEOUT, isolation_level=None
            )
            yield connection
    finally:
        if connection is not None:
            connection.close()


def _address(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?{mode}"


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
        if isinstance(error, sqlite3.DatabaseError) and damaged:
            raise _corrupt(path, str(error)) from error
        raise StorageError(f"cannot use {path}: {error}{_reason(path)}") from error
    except UnicodeDecodeError as error:  # SQLite's message repeats what is damaged
        raise _corrupt(path, f"it has text that is not UTF-8 ({error})") from error


def _reason(path: Path) -> str:
    """Return why the system opens nothing more, which SQLite does not tell: too many files, say."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return f" ({error.strerror or error})"
    return ""


def _cannot_open(error: StorageError) -> bool:
    """Return whether SQLite failed because it cannot make its files beside the catalogue."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    return code in (
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
    )


def _corrupt(path: Path, reason: str) -> CorruptIndexError:
    """Return the error for a damaged catalogue."""
    return CorruptIndexError(f"the catalogue {path} is damaged: {reason}; restore the index from a copy")


def remove_catalog(path: Path) -> None:
    """Remove a catalogue and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def install_catalog(new: Path, path: Path) -> None:
    """Give a new catalogue its final name, durably; raise ``StorageError`` if the system refuses."""
    try:
        os.replace(new, path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
