"""Numbered lines of a UTF-8 text file, plain or gzipped, with errors that say where.

Both compressed and plain files are streamed. A line may not be longer than ``MAX_LINE_BYTES``, so
that neither a file without line ends nor a decompression bomb can take the memory.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from hybrid.errors import CorpusError

MAX_LINE_BYTES = 64 * 2**20
"""The longest line accepted, after decompression: 64 MiB."""

BOMB_BYTES, BOMB_RATIO = 64 * 2**20, 200
"""A gzip file that unpacks to more than so many bytes, and so many times its size, is refused."""


def read_lines(path: Path, *, limit: int = MAX_LINE_BYTES) -> Iterator[tuple[int, str]]:
    r"""Yield ``(number, text)`` for each line, numbered from 1, without its line end.

    Lines end at ``\n`` or ``\r\n`` only, as JSONL wants it. A UTF-8 byte order mark at the start
    is dropped. Blank lines are yielded too: what they mean is the caller's matter.

    Raises:
        CorpusError: the file cannot be read, is not valid UTF-8, has a line longer than ``limit``
            bytes, or is a gzip file that is damaged or cut short. Never a silent short read.

    """
    with _opened(path) as stream:
        number = grown = 0
        while True:
            number += 1
            line = _next_line(stream, path, number, limit)
            if not line:
                return
            grown += len(line)
            if isinstance(stream, gzip.GzipFile):
                check_growth(path, grown)
            skipped = len(codecs.BOM_UTF8) if number == 1 and line.startswith(codecs.BOM_UTF8) else 0
            line = line[skipped:].removesuffix(b"\n").removesuffix(b"\r")
            try:
                yield number, line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise CorpusError(
                    f"{path}, line {number}: invalid UTF-8 at byte offset {error.start + skipped} "
                    f"of the line ({error.reason}); save the file as UTF-8"
                ) from error


def read_bytes(path: Path, *, limit: int = MAX_LINE_BYTES) -> bytes:
    """Return a whole file of at most ``limit`` bytes.

    Raises:
        CorpusError: the file cannot be read or is larger.

    """
    try:
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise cannot_read(path, error) from error
    if len(content) > limit:
        raise CorpusError(f"{path}: larger than {limit:,} bytes; split it into smaller documents")
    return content


def cannot_read(path: Path, error: OSError) -> CorpusError:
    """Return the error for a file or folder that the system will not let us read."""
    return CorpusError(f"{path}: cannot be read ({error.strerror or error}); check the path and permissions")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a plain file or, by its suffix ``.gz``, a gzip file for reading bytes."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise cannot_read(path, error) from error
    with raw:
        if path.suffix.lower() != ".gz":
            yield raw
            return
        if not raw.peek(1):  # Python's gzip reads an empty file as an empty stream
            raise CorpusError(f"{path}: an empty file is not a gzip file; fetch or write it again")
        with gzip.GzipFile(fileobj=raw, mode="rb") as stream:
            yield cast("BinaryIO", stream)


def check_growth(path: Path, grown: int) -> None:
    """Raise ``CorpusError`` if a packed file gave more bytes than texts do: it was made to fill a disk."""
    if grown > BOMB_BYTES and grown > BOMB_RATIO * path.stat().st_size:
        raise CorpusError(
            f"{path}: it unpacks to over {BOMB_RATIO} times its size, which texts do not; if it is meant, "
            "unpack it first"
        )


def _next_line(stream: BinaryIO, path: Path, number: int, limit: int) -> bytes:
    """Return the next line with its line end; empty at the end of the file."""
    try:
        line = stream.readline(limit + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorpusError(
            f"{path}, line {number}: the gzip stream is damaged or cut short ({error}); "
            "fetch or write the file again"
        ) from error
    except OSError as error:
        raise cannot_read(path, error) from error
    if len(line) > limit:
        raise CorpusError(
            f"{path}, line {number}: longer than {limit:,} bytes; one line holds one document: split it"
        )
    return line
