"""The errors a caller can catch.

Every error that this package raises on purpose is a ``HybridError``::

    HybridError
    ├── InputError               a value handed in is wrong (also a ValueError)
    │   ├── DocumentError        a document cannot be accepted
    │   │   └── DuplicateIdError an id appears twice, or is already in the index
    │   ├── CorpusError          a corpus file is malformed: names the file and the line
    │   ├── FilterError          a ``where`` filter is malformed
    │   ├── CursorError          a cursor is unknown, altered, of something else, or expired
    │   ├── LimitError           a value exceeds one of the index's `Limits`
    │   └── PipelineError        a pipeline or recipe is malformed
    ├── NotFoundError            an id is not in the index (also a KeyError)
    ├── ConflictError            a document does not have the version that a change expects
    ├── EncoderError             an encoder failed, or returned unusable vectors
    │   ├── FingerprintError     an encoder differs from the one the index was built with
    │   ├── RemoteError          a service over HTTP failed, or refused a request
    │   └── PartialEncodingError an encoder failed midway; what it had encoded is with the error
    ├── BranchError              every branch failed, or one did under ``strict=True``
    ├── StorageError             reading or writing the index folder failed
    │   ├── NotAnIndexError      the folder holds no index
    │   ├── IndexExistsError     the folder already holds an index
    │   ├── FormatError          the index has another format version
    │   ├── CorruptIndexError    a file does not match its checksum
    │   ├── IndexLockedError     another writer holds the index
    │   └── ReadOnlyError        a change was asked of an index opened for reading
    └── MissingDependencyError   an optional package is not installed (also an ImportError)

A message names the value, what is accepted, and the remedy. When an operation that changes an
index raises, nothing has been changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from hybrid.batches import Encoded


class HybridError(Exception):
    """The root of every error that this package raises on purpose."""


class InputError(HybridError, ValueError):
    """A value handed in is wrong."""


class DocumentError(InputError):
    """A document cannot be accepted."""


class DuplicateIdError(DocumentError):
    """An id appears twice in one batch, or is already in the index."""


class CorpusError(InputError):
    """A corpus file is malformed; the message names the file and the line."""


class FilterError(InputError):
    """A ``where`` filter is malformed."""


class CursorError(InputError):
    """A cursor is none, was altered, belongs to another index or query, or its generation is gone."""


class LimitError(InputError):
    """A value exceeds one of the index's limits; the message names both."""


class PipelineError(InputError):
    """A pipeline or a recipe is malformed."""


class NotFoundError(HybridError, KeyError):
    """An id is not in the index."""

    def __str__(self) -> str:
        """Return the message itself (``KeyError`` would quote it)."""
        return str(self.args[0]) if self.args else ""


class ConflictError(HybridError):
    """A document does not have the version that a change expects.

    ``id``: which. ``expected`` and ``found``: versions, None for a document that is not in the index.
    """

    def __init__(self, id: str, expected: int | None, found: int | None) -> None:
        """Take the document's id and both versions."""
        self.id, self.expected, self.found = id, expected, found
        wanted = "not to be in the index" if expected is None else f"to have version {expected}"
        there = "it is not in the index" if found is None else f"its version is {found}"
        super().__init__(
            f"document {id!r} was expected {wanted}, but {there}; nothing was changed: read it again, and "
            "repeat the change if it is still wanted"
        )

    def __reduce__(self) -> tuple[type[ConflictError], tuple[str, int | None, int | None]]:
        return type(self), (self.id, self.expected, self.found)


class EncoderError(HybridError):
    """An encoder failed, or returned unusable vectors."""


class FingerprintError(EncoderError):
    """An encoder differs from the one that the index was built with."""


class RemoteError(EncoderError):
    """A service over HTTP failed, or refused a request; ``status`` is what it answered, or None."""

    def __init__(self, message: str = "", status: int | None = None) -> None:
        """Take the message and the HTTP status."""
        super().__init__(message)
        self.status = status


class PartialEncodingError(EncoderError):
    """An encoder failed midway; ``encoded`` is what it had made of ``texts``, in their order."""

    def __init__(self, message: str = "", texts: Sequence[str] = (), encoded: Encoded | None = None) -> None:
        """Take the message, the texts that were encoded, and what they became."""
        super().__init__(message)
        self.texts, self.encoded = list(texts), encoded


class BranchError(HybridError):
    """Every branch failed, or one did under ``strict=True``."""


class StorageError(HybridError):
    """Reading or writing the index folder failed."""


class NotAnIndexError(StorageError):
    """The folder holds no index."""


class IndexExistsError(StorageError):
    """The folder already holds an index, and overwriting was not asked for."""


class FormatError(StorageError):
    """The index was written in a format version that this release cannot read."""


class CorruptIndexError(StorageError):
    """A file of the index does not match its checksum or its own description."""


class IndexLockedError(StorageError):
    """Another writer holds the index."""


class ReadOnlyError(StorageError):
    """A change was asked of an index that was opened for reading."""


class MissingDependencyError(HybridError, ImportError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        """Name the missing ``package`` and the ``extra`` that installs it."""
        super().__init__(
            f"the package {package!r} is needed for this and is not installed; "
            f"run: pip install 'hybrid-retrieval[{extra}]'"
        )
