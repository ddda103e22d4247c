"""One writer at a time: a lock that the operating system frees when its holder dies."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hybrid.errors import IndexLockedError, StorageError

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK, HOLDER = "write.lock", "writer.json"


class WriterLock:
    """The right to change the index in a folder, held from construction until ``release``.

    The lock itself is an operating-system lock on ``write.lock``, so that no stale one can remain;
    ``writer.json`` beside it only tells others who holds it.

    Raises:
        IndexLockedError: another writer holds it, in this process or in another one; names it.
        StorageError: the folder cannot be written.

    """

    def __init__(self, folder: Path) -> None:
        from filelock import FileLock, Timeout  # slow to import

        self.folder, self._process = folder, os.getpid()
        self._lock: BaseFileLock = FileLock(folder / LOCK, timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise IndexLockedError(
                f"the index {folder} is being written by {_holder(folder)}; wait until it is done, "
                "or open the index for reading"
            ) from error
        except OSError as error:
            raise StorageError(f"cannot lock {folder} for writing: {error.strerror or error}") from error
        try:
            since = datetime.now(UTC).isoformat(timespec="seconds")
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
            (folder / HOLDER).write_text(json.dumps(holder), encoding="utf-8")
        except OSError as error:
            self.release()
            raise StorageError(f"cannot write {folder / HOLDER}: {error.strerror or error}") from error

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back (harmless if done); with ``remove`` its file goes too."""
        if not self._lock.is_locked or self._process != os.getpid():  # a fork does not hold it
            return
        with suppress(OSError):  # only information for others
            (self.folder / HOLDER).unlink(missing_ok=True)
        if remove:
            with suppress(OSError):
                (self.folder / LOCK).unlink(missing_ok=True)
        self._lock.release()


def _holder(folder: Path) -> str:
    """Describe who holds the lock, as far as it can be known."""
    try:
        holder = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another writer"
