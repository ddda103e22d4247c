"""Digests of files: equal where a reader would make the same documents of them."""

from __future__ import annotations

from hashlib import blake2b

from hybrid.corpus.files.found import FoundFile
from hybrid.corpus.files.kinds import VERSION

_CHUNK = 1 << 20


def digest_of(file: FoundFile) -> str:
    """Return the BLAKE2b digest of a file's content, its kind, and the version of the readers.

    Raises:
        OSError: the file cannot be read.
    """
    digest = blake2b(f"{VERSION} {file.kind} {file.language}\n".encode(), digest_size=16)
    with file.path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
