"""One immutable file of named arrays: how it is written, and how it is opened; `footer` has the layout.

The file's checksum is checked whenever it is opened. An array of up to `CHECKED` bytes is checked whole
when it is first used; a longer one on demand (``verify``), because that reads every byte.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hybrid import forking
from hybrid.errors import CorruptIndexError, StorageError
from hybrid.index.files import map_file, sync_folder
from hybrid.index.footer import (
    ALIGNMENT,
    DIGEST,
    DTYPES,
    HEADER,
    REMEDY,
    SEGMENT_VERSION,
    START,
    TRAILER,
    Entry,
    checksum,
    corrupt,
    footer,
    read_footer,
)

CHECKED = 4 << 20
"""Arrays of up to so many bytes are checked when they are first used: some milliseconds each."""

_RELEASE_BYTES = 1 << 24
_T = TypeVar("_T")


class MissingSegmentError(CorruptIndexError):
    """A segment file is not there (a writer may just have merged it away)."""


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """What the catalogue remembers of a segment file: its size in bytes and its checksum (hex)."""

    bytes: int
    checksum: str


class SegmentWriter:
    """Writes one segment file, array after array, each straight from its memory.

    A context manager: a normal exit closes (and so fsyncs) the file, an exception removes it. The
    file must not exist yet. An array is complete, or the whole file is given up: after any error
    the file is removed and the writer is of no further use.

    ``sources`` are segments that are read to write this one: what was read of them is let go of as
    the file grows, so that merging does not need their size in memory. A segment that is ``passing``
    is merged into another before anyone searches it: rows leave out what only makes searching fast.
    """

    def __init__(self, path: Path, sources: Sequence[Segment] = (), *, passing: bool = False) -> None:
        self.path = path
        self.passing = passing
        self._sources = sources
        self._released = 0
        self.info: SegmentInfo | None = None
        self._entries: dict[str, Entry] = {}
        self._position = 0
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
        except OSError as error:
            raise _failed("create", path, error) from error
        self._write(HEADER.pack(START, SEGMENT_VERSION))

    def add(self, name: str, array: NDArray[Any]) -> None:
        """Write one array of booleans, integers or floats under a name not used before.

        Raises:
            ValueError: the name is taken, or the dtype is not one of ``DTYPES``.
            StorageError: the disk refused; names the file and the system's reason.

        """
        self.add_chunks(name, array.dtype, array.shape, (array,))

    def add_chunks(
        self, name: str, dtype: DTypeLike, shape: tuple[int, ...], chunks: Iterable[NDArray[Any]]
    ) -> None:
        """Write one array given as consecutive pieces in C order, so that no second copy is needed.

        The pieces are cast to ``dtype``; together they must hold exactly ``prod(shape)`` values.
        """
        kind = np.dtype(dtype).newbyteorder("<")
        try:
            if name in self._entries:
                raise ValueError(f"the segment already holds an array named {name!r}")
            if kind.str not in DTYPES:
                raise ValueError(f"array {name!r} has dtype {kind}; accepted: {', '.join(sorted(DTYPES))}")
            self._write(bytes(-self._position % ALIGNMENT))
            offset, digest = self._position, blake2b(digest_size=DIGEST)
            for chunk in chunks:
                data = np.ascontiguousarray(chunk, dtype=kind).reshape(-1).view(np.uint8).data
                digest.update(data)
                self._write(data)
            written = self._position - offset
            if written != kind.itemsize * prod(shape):
                raise ValueError(f"array {name!r}: {written} bytes do not fill {kind} of shape {shape}")
        except BaseException:
            self.abort()
            raise
        self._entries[name] = Entry(kind.str, tuple(map(int, shape)), offset, written, digest.hexdigest())

    def close(self) -> SegmentInfo:
        """Write the footer, fsync the file and its folder, and return what the catalogue needs."""
        if self.info is not None:
            return self.info
        end, whole = footer(self._entries, self._position)
        self._write(end)
        try:
            os.fsync(self._fd)
            fd, self._fd = self._fd, -1
            os.close(fd)
            sync_folder(self.path.parent)
        except OSError as error:
            self.abort()
            raise _failed("write", self.path, error) from error
        self.info = SegmentInfo(self._position, whole)
        return self.info

    def abort(self) -> None:
        """Close and remove the unfinished file; harmless if that was done, or if it is finished."""
        if self.info is not None:
            return
        fd, self._fd = self._fd, -1
        with suppress(OSError):  # best effort: an unnamed file is swept by the next writer
            if fd >= 0:
                os.close(fd)
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _write(self, data: bytes | memoryview) -> None:
        """Write all of ``data``."""
        if self._fd < 0:
            raise ValueError(f"the segment {self.path} is closed")
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self.abort()
            raise _failed("write", self.path, error) from error
        self._position += len(data)
        if self._position - self._released >= _RELEASE_BYTES:
            self._released = self._position
            for segment in self._sources:
                segment.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class Segment:
    """An open segment file: a read-only mapping from names to arrays that lie in one mmap.

    Arrays stay valid as long as anything refers to them, even after unlinking. Thread-safe.
    """

    def __init__(self, path: Path, memory: mmap.mmap, entries: dict[str, Entry], info: SegmentInfo) -> None:
        self.path = path
        self.info = info
        self._memory = memory
        self._entries = entries
        self._sound: set[str] = set()
        self._cache: dict[str, Any] = {}
        self._locks: dict[str, forking.Lock] = {}
        self._lock = forking.Lock()

    @classmethod
    def open(cls, path: Path, *, verify: bool = False) -> Segment:
        """Map a file and check its header, trailer, footer and size; with ``verify`` every array too.

        Raises:
            MissingSegmentError: the file is not there.
            CorruptIndexError: the file does not match its own description.
            FormatError: a later release wrote it.
            StorageError: the system refused to open it.

        """
        try:
            memory = map_file(path)
        except FileNotFoundError as error:
            raise MissingSegmentError(f"the segment file {path} is missing; {REMEDY}") from error
        except OSError as error:
            raise _failed("open", path, error) from error
        size = len(memory)
        if isinstance(memory, bytes) or size < HEADER.size + TRAILER.size:
            raise corrupt(path, f"it has {size} bytes, which is less than any segment has")
        entries, whole = read_footer(path, memory, size)
        segment = cls(path, memory, entries, SegmentInfo(size, whole))
        if verify:
            segment.verify()
        return segment

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array, read-only and without copying it; the first time, a short one is checked."""
        try:
            entry = self._entries[name]
        except KeyError:
            raise corrupt(self.path, f"it holds no array named {name!r}") from None
        if entry.bytes <= CHECKED and name not in self._sound:
            self._check(name)
        count = prod(entry.shape)
        array: NDArray[Any] = np.frombuffer(self._memory, entry.dtype, count, entry.offset)
        array.flags.writeable = False
        return array.reshape(entry.shape)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return self.info.bytes

    @property
    def outdated(self) -> bool:
        """Whether its format is an older one than is written now."""
        return bool(HEADER.unpack_from(self._memory)[1] < SEGMENT_VERSION)

    @property
    def content(self) -> mmap.mmap:
        """The bytes of the file."""
        return self._memory

    def names(self) -> list[str]:
        """Return the names of all arrays, in the order in which they were written."""
        return list(self._entries)

    def size_of(self, name: str) -> int:
        """Return the bytes of one array without touching it."""
        return self._entries[name].bytes

    def release(self) -> None:
        """Let the system take back the memory of what was read; reading it again is always possible."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._memory.madvise(mmap.MADV_DONTNEED)

    def verify(self) -> None:
        """Read every byte that was not yet checked; raise ``CorruptIndexError`` at the first damage."""
        end = HEADER.size
        for name, entry in self._entries.items():
            if any(self._memory[end : entry.offset]):
                raise corrupt(self.path, f"the padding before array {name!r} is not zero")
            end = entry.offset + entry.bytes
            if name not in self._sound:
                self._check(name)

    def damaged(self) -> Iterator[str]:
        """Read every byte; yield the names of the arrays that do not match their checksums."""
        for name, entry in self._entries.items():
            with memoryview(self._memory)[entry.offset : entry.offset + entry.bytes] as data:
                if checksum(data) == entry.checksum:
                    self._sound.add(name)
                else:
                    yield name

    def unchecked(self) -> Segment:
        """Return the same segment as one that hands out what is there, damaged or not."""
        same = Segment(self.path, self._memory, self._entries, self.info)
        same._sound.update(self._entries)
        return same

    def checksum_of(self, name: str) -> str:
        """Return the checksum that an array should have, in hexadecimal."""
        return self._entries[name].checksum

    def _check(self, name: str) -> None:
        """Read an array; raise unless it matches its checksum."""
        entry = self._entries[name]
        with memoryview(self._memory)[entry.offset : entry.offset + entry.bytes] as data:
            if checksum(data) != entry.checksum:
                raise corrupt(self.path, f"array {name!r} does not match its checksum")
        self._sound.add(name)

    def cached(self, key: str, build: Callable[[], _T]) -> _T:
        """Return ``build()``, called at most once per key in this segment's life, thread-safely."""
        with self._lock:
            lock = self._locks.get(key) or self._locks.setdefault(key, forking.Lock(threading.RLock))
        with lock:
            if key not in self._cache:
                self._cache[key] = build()
            value: _T = self._cache[key]
            return value


def _failed(verb: str, path: Path, error: OSError) -> StorageError:
    """Return the error for a refusal by the system."""
    return StorageError(f"cannot {verb} {path}: {error.strerror or error}")
