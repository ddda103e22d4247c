"""Zip files that hold documents (DOCX, EPUB), read without ever being unpacked on disk."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybrid.corpus.files.decoding import WHOLE
from hybrid.corpus.files.report import UnreadableError

MOST_BYTES = 512 * 2**20
"""What all members together may decompress to: 512 MiB. Python reads no more of one than it declares."""

MOST_MEMBERS = 50_000

MOST_TAGS = 4_000_000
"""So many ``<`` may stand in what is made a tree of: each takes about 230 bytes of memory."""

_CHUNK = 1 << 20


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file that decompresses to a bounded size.

    Raises:
        UnreadableError: it is damaged or encrypted, or decompresses to more than the limit. Also raised for
            what goes wrong in the block.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > MOST_BYTES or len(members) > MOST_MEMBERS:
                raise UnreadableError(
                    f"it decompresses to {total:,} bytes in {len(members):,} members; at most {MOST_BYTES:,} "
                    f"in {MOST_MEMBERS:,} are read"
                )
            if any(member.flag_bits & 1 for member in members):
                raise UnreadableError("it is encrypted and needs a password")
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UnreadableError(f"it is not a whole zip file ({error})") from error


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the content of one member.

    Raises:
        UnreadableError: there is none of that name, or it is larger than what is read as one document.
    """
    try:
        size = archive.getinfo(name).file_size
    except KeyError as error:
        raise UnreadableError(f"its member {name!r} is missing") from error
    if size > WHOLE:
        raise UnreadableError(f"its member {name!r} is larger than {WHOLE:,} bytes")
    return archive.read(name)


def check_tags(archive: zipfile.ZipFile) -> None:
    """Raise ``UnreadableError`` if the members together hold more tags than are made trees of."""
    tags = 0
    for each in archive.infolist():
        with archive.open(each) as stream:
            while chunk := stream.read(_CHUNK):
                tags += chunk.count(b"<")
        if tags > MOST_TAGS:
            raise UnreadableError(f"it has more than {MOST_TAGS:,} tags; split it")
