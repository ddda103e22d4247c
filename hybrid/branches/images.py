"""The image of a document: the bytes that it brings, or the file that its metadata name."""

from __future__ import annotations

from pathlib import Path

from hybrid.errors import DocumentError
from hybrid.types import Document


def image_of(document: Document, key: str) -> bytes | None:
    """Return the content of a document's image file; None if it has no image.

    ``key``: where the metadata have the file's path; a relative one is seen from the working directory.

    Raises:
        DocumentError: what it brings is no bytes, or the file cannot be read.
    """
    if document.image is not None:
        if not isinstance(document.image, bytes):
            raise DocumentError(
                f"the image of document {document.id!r} is a {type(document.image).__name__}; give the bytes "
                f"of an image file, or its path as metadata {key!r}"
            )
        return document.image
    path = document.metadata.get(key)
    if path is None:
        return None
    if not isinstance(path, str) or not path:
        raise DocumentError(f"metadata {key!r} of document {document.id!r} is {path!r}; give an image's path")
    try:
        return Path(path).expanduser().read_bytes()
    except (OSError, ValueError) as error:
        raise DocumentError(f"cannot read the image of document {document.id!r}: {error}") from error
