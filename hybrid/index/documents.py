"""Documents as columns: what is accepted, how they are stored, and how they come back."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import CorruptIndexError, DocumentError, DuplicateIdError
from hybrid.index import metadata
from hybrid.index.footer import REMEDY
from hybrid.index.lives import Lives, check_expiry
from hybrid.index.messages import shown
from hybrid.index.segment import Segment, SegmentWriter
from hybrid.index.strings import Strings
from hybrid.types import Document

PREFIX = "documents"
"""The name under which a segment holds its documents."""

METADATA_DEPTH = 16
_COLUMNS = ("ids", "titles", "texts", "metadata")
_FIND_BLOCK = 1 << 16
_DIGEST_BLOCK = 1 << 10
_EMPTY = b"{}"
"""How no metadata is stored."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_INTEGER_BITS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class DocumentRows:
    """The stored fields of n documents: ids, titles, texts and metadata (canonical JSON), in UTF-8.

    ``lives``: which commit wrote each document, and when it expires. Ready-made vectors are not kept
    here: they belong to the branches that use them. Written to a segment, the rows also write the columns
    that filters read; those are derived, never merged.

    ``digests``: of rows that were read, a checksum of each document, uint64, shape (n,), by which it is
    known to be whole when it is decoded; None for rows in memory, and of segments that have none.
    """

    ids: Strings
    titles: Strings
    texts: Strings
    metadata: Strings
    lives: Lives = field(kw_only=True)
    digests: NDArray[np.uint64] | None = field(default=None, kw_only=True)

    @classmethod
    def from_documents(cls, documents: Sequence[Document]) -> Self:
        """Return the rows of documents that ``check_documents`` accepts, in the order given."""
        return cls(
            Strings.of([document.id.encode() for document in documents]),
            Strings.of([document.title.encode() for document in documents]),
            Strings.of([document.text.encode() for document in documents]),
            Strings.of([_canonical(document.metadata) for document in documents]),
            lives=Lives.of([document.expires for document in documents]),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows at these positions, in this order."""
        return type(self)(*(column.take(order) for column in self._columns()), lives=self.lives.take(order))

    def written_by(self, generation: int) -> Self:
        """Return the rows as those of the commit that makes this generation."""
        return dataclasses.replace(self, lives=self.lives.written_by(generation))

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write the columns, their digests, and those that filters read, under ``f"{prefix}/fields"``."""
        for name, column in zip(_COLUMNS, self._columns(), strict=True):
            column.write(out, f"{prefix}/{name}")
        self.lives.write(out, prefix)
        out.add(f"{prefix}/digests", self._computed())
        records = (json.loads(text) if text != _EMPTY else {} for text in self.metadata)
        metadata.write(out, f"{prefix}/fields", records)

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the rows of a segment, sharing its memory."""
        columns = [Strings.read(segment, f"{prefix}/{name}") for name in _COLUMNS]
        kept = f"{prefix}/digests" in segment  # earlier releases wrote none
        digests = segment[f"{prefix}/digests"] if kept else None
        return cls(*columns, lives=Lives.read(segment, prefix, len(columns[0])), digests=digests)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        columns = zip(*(part._columns() for part in parts), strict=True)
        return cls(*map(Strings.concat, columns), lives=Lives.concat([part.lives for part in parts]))

    @classmethod
    def merge(
        cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Write documents of segments, given as positions in their concatenation, in bounded memory."""
        for name in _COLUMNS:
            Strings.merge(
                [Strings.read(part, f"{prefix}/{name}") for part in parts], order, out, f"{prefix}/{name}"
            )
        rows = [cls.read(part, prefix) for part in parts]
        Lives.concat([part.lives for part in rows]).take(order).write(out, prefix)
        digests = [each._computed() if each.digests is None else each.digests for each in rows]
        out.add(f"{prefix}/digests", np.concatenate(digests)[order])
        sizes = [*map(len, rows)]
        places = np.full(sum(sizes), -1, np.int64)
        places[order] = np.arange(len(order))
        metadata.merge(parts, f"{prefix}/fields", np.split(places, np.cumsum(sizes)[:-1]), out)

    def order(self) -> NDArray[np.int64]:
        """Return the permutation that sorts the documents by id."""
        ids = [*self.ids]  # UTF-8 bytes sort like the strings
        return np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the position of each id, or -1; the rows must be sorted by id."""
        wanted = [id.encode(errors="surrogatepass") for id in ids]
        if len(wanted) * 8 > len(self):
            return self._find_many(wanted)
        found = np.full(len(wanted), -1, np.int64)
        column = self.ids
        for row, id in enumerate(wanted):
            position = bisect_left(column, id)
            if position < len(column) and column[position] == id:
                found[row] = position
        return found

    def _find_many(self, wanted: Sequence[bytes]) -> NDArray[np.int64]:
        """Find ids by going through the whole column, a block at a time."""
        found = np.full(len(wanted), -1, np.int64)
        rows: dict[bytes, list[int]] = {}
        for row, id in enumerate(wanted):
            rows.setdefault(id, []).append(row)
        for first in range(0, len(self), _FIND_BLOCK):
            block = np.arange(first, min(first + _FIND_BLOCK, len(self)))
            for position, id in enumerate(self.ids.many(block), first):
                if id in rows:
                    found[rows[id]] = position
        return found

    def document(self, position: int) -> Document:
        """Return one document, decoding nothing else.

        Raises:
            CorruptIndexError: it is not what was stored.
        """
        id, title, text, stored = (column[position] for column in self._columns())
        digest = None if self.digests is None else int(self.digests[position])
        if digest is not None and digest != _digest(
            id, title, text, stored, int(self.lives.expires[position])
        ):
            raise CorruptIndexError(
                f"the stored document number {position} of a segment does not match its checksum; {REMEDY}"
            )
        try:
            return Document(
                id=id.decode(),
                text=text.decode(),
                title=title.decode(),
                metadata=json.loads(stored) if stored != _EMPTY else {},
                expires=self.lives.expiry(position),
            )
        except ValueError as error:  # undecodable bytes or JSON
            raise CorruptIndexError(
                f"the stored document number {position} of a segment cannot be read ({error}); {REMEDY}"
            ) from error

    def damaged(self) -> NDArray[np.int64]:
        """Return the positions of the documents that do not match their digests; all, if there are none."""
        if self.digests is None:
            return np.arange(len(self))
        return np.flatnonzero(self._computed() != self.digests)

    def _computed(self) -> NDArray[np.uint64]:
        """Return each document's digest, computed now."""
        found = np.empty(len(self), np.uint64)
        for first in range(0, len(self), _DIGEST_BLOCK):
            block = np.arange(first, min(first + _DIGEST_BLOCK, len(self)))
            fields = (column.many(block) for column in self._columns())
            found[block] = [*map(_digest, *fields, self.lives.expires[block].tolist())]
        return found

    def _columns(self) -> tuple[Strings, Strings, Strings, Strings]:
        return self.ids, self.titles, self.texts, self.metadata


def _digest(id: bytes, title: bytes, text: bytes, stored: bytes, expires: int) -> int:
    """Return a checksum of one document's fields."""
    content = b"%d %d %d %d %b%b%b%b" % (len(id), len(title), len(text), expires, id, title, text, stored)
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


def check_documents(documents: Sequence[Document], first: int = 0) -> None:
    """Raise at the first document that an index cannot accept.

    Accepted are: an ``id`` that is a non-empty string without control characters or line ends
    (spaces are allowed, though run files and qrels in TREC format cannot carry them); a ``title``
    and a ``text`` that are strings, possibly empty; ``metadata`` that is a mapping of JSON values
    with string keys, finite numbers, at most 16 levels deep. All strings must be valid Unicode.
    Messages count the documents from ``first``.

    Raises:
        DuplicateIdError: an id appears twice among them; names the id and both positions.
        DocumentError: any other reason; names the document, the value and what is accepted.

    """
    positions: dict[str, int] = {}
    for position, document in enumerate(documents, first):
        if not isinstance(document, Document):
            raise DocumentError(
                f"document {position}: expected a hybrid.Document, got {shown(document)}; "
                "a dict of its fields becomes one by hybrid.Document(**fields)"
            )
        _check_id(document.id, position)
        name = f"document {position} ({document.id!r})"
        for part in ("title", "text"):
            _check_text(getattr(document, part), f"{name}: {part}")
        if document.expires is not None:
            check_expiry(document.expires, name)
        if not isinstance(document.metadata, Mapping):
            raise DocumentError(f"{name}: metadata must be a mapping, got {shown(document.metadata)}")
        for path, value in _walk(document.metadata, (), name):
            _check_scalar(value, f"{name}: metadata {'.'.join(path)!r}")
        if positions.setdefault(document.id, position) != position:
            raise DuplicateIdError(
                f"the id {document.id!r} appears twice: documents {positions[document.id]} and {position} "
                "(counted from 0); ids must be unique"
            )


def _check_id(id: object, position: int) -> None:
    """Raise unless ``id`` can name a document."""
    _check_text(id, f"document {position}: id")
    if not id or _CONTROL.search(str(id)):
        raise DocumentError(
            f"document {position}: id {id!r} is not accepted; an id is a non-empty string without "
            "control characters or line ends"
        )


def _check_text(text: object, name: str) -> None:
    """Raise unless ``text`` is a string that UTF-8 can encode."""
    if not isinstance(text, str):
        hint = "; decode it first" if isinstance(text, bytes) else "; write '' for none" * (text is None)
        raise DocumentError(f"{name} must be a string, got {shown(text)}{hint}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DocumentError(
            f"{name} is not valid Unicode: it has the lone surrogate {text[error.start]!r} at position "
            f"{error.start}; read the source with its right encoding"
        ) from error


def _walk(
    value: object, path: tuple[str, ...], name: str, depth: int = 0
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every scalar of a metadata value with its path; raise for bad keys and for depth."""
    if depth > METADATA_DEPTH:
        raise DocumentError(f"{name}: metadata {'.'.join(path)[:80]!r} is over {METADATA_DEPTH} levels deep")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_text(key, f"{name}: a key of metadata {'.'.join(path)!r}")
            yield from _walk(item, (*path, key), name, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _walk(item, path, name, depth + 1)
    else:
        yield path, value


def _check_scalar(value: object, name: str) -> None:
    """Raise unless ``value`` is a JSON scalar that can be stored and compared exactly."""
    if isinstance(value, str):
        _check_text(value, name)
    elif isinstance(value, float) and not math.isfinite(value):
        raise DocumentError(
            f"{name} is {value!r}; numbers must be finite: leave the field out, or write None"
        )
    elif isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
        raise DocumentError(f"{name} is an integer of over {_INTEGER_BITS} bits; write it as a string")
    elif value is not None and not isinstance(value, (bool, int, float)):
        raise DocumentError(
            f"{name} is {shown(value)}; accepted are strings, finite numbers, booleans, None, lists and "
            "mappings of them (write a date as an ISO string: it sorts and compares)"
        )


def _canonical(value: Mapping[str, Any]) -> bytes:
    """Return metadata as JSON with sorted keys."""
    if not value:
        return _EMPTY
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), default=_plain
    ).encode()


def _plain(value: object) -> dict[str, Any]:
    """Return a mapping that is not a dict as one (json knows only dicts)."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not a JSON value: {value!r}")
