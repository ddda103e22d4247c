"""Embeddings in one SQLite file, shared by any number of processes, of bounded size."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from hybrid import forking
from hybrid.errors import InputError, StorageError

logger = logging.getLogger("hybrid.encoders")

LIMIT = 4 << 30
"""How many bytes the file may have, if nothing else is said."""

LEAST = 1 << 20
_KEPT = 0.9
"""How much of the limit is left after a cleanup, so that not every write needs one."""

RESOLUTION = 3600
"""How old, in seconds, the note of an entry's last use may be before a use is noted anew."""

_APPLICATION = 0x68796563
_VERSION = 1
_TIMEOUT = 30.0
_KEYS = 500  # of one statement
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA = """
CREATE TABLE entries (key BLOB NOT NULL UNIQUE, used INTEGER NOT NULL, value BLOB NOT NULL);
CREATE INDEX by_use ON entries (used);
"""

T = TypeVar("T")


class SQLiteCache:
    """An embedding cache in a file.

    It may be used by several threads and processes at once. What `put` has returned from survives the
    death of the process. When the file comes to ``limit`` bytes (4 GiB), the entries whose use lies
    furthest back, to the hour, make room; beside it, SQLite keeps a journal of what was written last. A
    file that is damaged is set aside under another name, and a new one begun.
    """

    def __init__(self, path: str | Path, limit: int = LIMIT) -> None:
        """Take the file's path; nothing is opened before the first use.

        Raises:
            InputError: the limit is under 1 MiB.
        """
        if not isinstance(limit, int) or limit < LEAST:
            raise InputError(f"the cache's limit is {limit!r}; give a number of bytes, at least {LEAST:,}")
        self.path = Path(path).expanduser().absolute()
        self.limit = limit
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int, int] = (0, 0, 0)
        self._lock = forking.Lock(threading.RLock)

    def __repr__(self) -> str:
        """Show the path."""
        return f"SQLiteCache({str(self.path)!r})"

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the values of those keys that are there.

        Raises:
            StorageError: the file cannot be used.
        """
        return self._do(lambda connection: _get(connection, keys))

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values, in one transaction.

        Raises:
            StorageError: the file cannot be used.
        """
        self._do(lambda connection: _put(connection, values, self.limit))

    def figures(self) -> Mapping[str, int]:
        """Return the number of ``entries``, and the ``bytes`` of the pages in use."""
        return self._do(
            lambda connection: {
                "entries": _number(connection, "SELECT count(*) FROM entries"),
                "bytes": _used(connection),
            }
        )

    def close(self) -> None:
        """Close the file; it is opened again when it is used again."""
        with self._lock:
            if self._connection is not None and self._opened[2] == os.getpid():
                self._connection.close()
            self._connection = None

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the file; with a new one if it turns out to be damaged."""
        try:
            with self._lock:
                try:
                    return work(self._connected())
                except sqlite3.DatabaseError as error:
                    if not _damaged(error):
                        raise
                    self._set_aside(error)
                    return work(self._connected())
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the embedding cache {self.path} cannot be used: {error}") from error

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None or self._opened[2] != os.getpid():
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            status = self.path.stat()
            self._opened = (status.st_dev, status.st_ino, os.getpid())
            self._connection = _open(self.path)
        return self._connection

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Give the damaged file another name, unless another process has done so."""
        from filelock import FileLock

        with FileLock(f"{self.path}.lock", timeout=_TIMEOUT):
            self.close()
            status = self.path.stat()
            if (status.st_dev, status.st_ino) != self._opened[:2]:
                return
            aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns():x}")
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            self.path.rename(aside)
        logger.warning("the embedding cache %s is damaged (%s); it is now %s", self.path, error, aside.name)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {64 << 20}")
        connection.execute("BEGIN IMMEDIATE")
        application, version = (
            _number(connection, f"PRAGMA {name}") for name in ("application_id", "user_version")
        )
        if application == version == _number(connection, "SELECT count(*) FROM sqlite_master") == 0:
            for statement in _SCHEMA.split(";")[:-1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        elif (application, version) != (_APPLICATION, _VERSION):
            raise sqlite3.OperationalError("it is another program's database, or another release's cache")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _get(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    old = []
    now = int(time.time())
    for start in range(0, len(keys), _KEYS):
        some = keys[start : start + _KEYS]
        marks = ",".join("?" * len(some))
        rows = connection.execute(f"SELECT key, value, used, rowid FROM entries WHERE key IN ({marks})", some)
        for key, value, used, row in rows:
            found[key] = value
            if used < now - RESOLUTION:
                old.append((now, row))
    if old:
        _transaction(connection, "UPDATE entries SET used = ? WHERE rowid = ?", old)
    return found


def _put(connection: sqlite3.Connection, values: Mapping[bytes, bytes], limit: int) -> None:
    now = int(time.time())
    statement = (
        "INSERT INTO entries (key, used, value) VALUES (?, ?, ?) "
        "ON CONFLICT (key) DO UPDATE SET used = excluded.used, value = excluded.value"
    )
    rows = [(key, now, value) for key, value in values.items()]
    _transaction(connection, statement, rows, limit)


def _transaction(
    connection: sqlite3.Connection,
    statement: str,
    rows: Sequence[tuple[object, ...]],
    limit: int | None = None,
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(statement, rows)
        if limit is not None:
            _make_room(connection, limit)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _make_room(connection: sqlite3.Connection, limit: int) -> None:
    """Delete the entries used longest ago if all of them are more than the limit; their pages are reused."""
    over = _used(connection) - int(limit * _KEPT) if _used(connection) > limit else 0
    gone = []
    for row, size in connection.execute("SELECT rowid, length(value) FROM entries ORDER BY used, rowid"):
        if over <= 0:
            break
        over -= size
        gone.append((row,))
    connection.executemany("DELETE FROM entries WHERE rowid = ?", gone)


def _used(connection: sqlite3.Connection) -> int:
    pages = _number(connection, "PRAGMA page_count") - _number(connection, "PRAGMA freelist_count")
    return pages * _number(connection, "PRAGMA page_size")


def _number(connection: sqlite3.Connection, question: str) -> int:
    return int(connection.execute(question).fetchone()[0])


def _damaged(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE
