"""Metadata as columns, which is what filters read.

A field is a dotted path into the metadata: ``{"a": {"b": 1}}`` has the fields ``a`` and ``a.b``.
Lists are looked into: each element is a value of the list's own path, so one document can have
several values of a field, also through a list of objects (``{"authors": [{"name": "x"}]}`` has a
value of ``authors.name``). A key that itself holds dots is the same field as the nested path with
that spelling, so ``{"a.b": 1}`` has the field ``a.b``; a document that has both has both values.

Each field has a dictionary of its distinct values in the order null, false, true, numbers,
strings, where numbers and strings ascend, and pairs (document, code) into it. Values are equal as
in Python, save that booleans are not numbers: 1 equals 1.0 and not True. Integers are exact at any
size. The code -1 stands for a value that is no scalar: an object, or an empty list.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import CorruptIndexError
from hybrid.index.segment import Segment, SegmentWriter
from hybrid.index.spool import Spool
from hybrid.index.strings import Strings

Scalar: TypeAlias = "bool | int | float | str | None"

_NO_SCALAR = object()


def values(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (field, value) for everything in one document's metadata, in order.

    An object or an empty list yields the marker that is no scalar.

    >>> [(field, value) for field, value in values({"a": {"b": [1, 2]}}) if field == "a.b"]
    [('a.b', 1), ('a.b', 2)]
    """
    for key, value in record.items():
        yield from _values(key, value)


def _values(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield path, _NO_SCALAR
        for key, item in value.items():
            yield from _values(f"{path}.{key}", item)
    elif isinstance(value, list):
        if not value:
            yield path, _NO_SCALAR
        for item in value:
            yield from _values(path, item)
    else:
        yield path, value


def write(out: SegmentWriter, prefix: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Write the columns of documents' metadata, given in the order of their ordinals.

    Arrays: ``names`` (sorted field names) and ``values`` (each field's dictionary as a JSON list),
    both strings; ``starts`` int64, where each field's pairs begin; ``documents`` and ``codes``,
    int32, the pairs of all fields, ordered by (field, document, code) and distinct.
    """
    fields: dict[str, list[tuple[int, Any]]] = {}
    for ordinal, record in enumerate(records):
        for name, value in values(record):
            fields.setdefault(name, []).append((ordinal, value))
    names, dictionaries, documents, codes = sorted(fields), [], [], []
    for name in names:
        dictionary, pairs = _encode(fields.pop(name))
        dictionaries.append(_json(dictionary))
        documents.append(pairs[:, 0])
        codes.append(pairs[:, 1])
    starts = np.zeros(len(names) + 1, np.int64)
    np.cumsum([len(column) for column in documents], out=starts[1:])
    Strings.of([name.encode() for name in names]).write(out, f"{prefix}/names")
    Strings.of(dictionaries).write(out, f"{prefix}/values")
    out.add(f"{prefix}/starts", starts)
    out.add_chunks(f"{prefix}/documents", np.int32, (int(starts[-1]),), documents)
    out.add_chunks(f"{prefix}/codes", np.int32, (int(starts[-1]),), codes)


def _encode(pairs: list[tuple[int, Any]]) -> tuple[list[Scalar], NDArray[np.int32]]:
    """Return a field's dictionary, and its distinct (document, code) pairs in order."""
    distinct = {_key(value): value for _, value in pairs if value is not _NO_SCALAR}
    order = sorted(distinct)
    codes: dict[Any, int] = {key: code for code, key in enumerate(order)}
    coded = sorted({(ordinal, -1 if value is _NO_SCALAR else codes[_key(value)]) for ordinal, value in pairs})
    return [_spelling(distinct[key]) for key in order], np.array(coded, np.int32).reshape(-1, 2)


def merge(
    parts: Sequence[Segment], prefix: str, places: Sequence[NDArray[np.int64]], out: SegmentWriter
) -> None:
    """Write the columns of documents of several segments, a field at a time, as ``write`` would.

    ``places``: for each segment the new ordinals of its documents, -1 for those left out.
    """
    held = [columns(part, prefix) for part in parts]
    names: list[bytes] = []
    counts: list[int] = []
    sizes: list[int] = []
    with ExitStack() as files:
        kinds = (np.uint8, np.int32, np.int32)
        values, documents, codes = (files.enter_context(Spool(out.path.parent, kind)) for kind in kinds)
        for name in sorted(set().union(*(part.names() for part in held))):
            dictionary, pairs = _merged([part.decode(name) for part in held], places)
            if len(pairs):
                spelled = _json(dictionary)
                names.append(name.encode())
                sizes.append(len(spelled))
                counts.append(len(pairs))
                values.add(np.frombuffer(spelled, np.uint8))
                documents.add(pairs[:, 0])
                codes.add(pairs[:, 1])
        Strings.of(names).write(out, f"{prefix}/names")
        out.add_chunks(f"{prefix}/values.data", np.uint8, (values.count,), values)
        out.add(f"{prefix}/values.offsets", np.cumsum([0, *sizes], dtype=np.int64))
        out.add(f"{prefix}/starts", np.cumsum([0, *counts], dtype=np.int64))
        out.add_chunks(f"{prefix}/documents", np.int32, (documents.count,), documents)
        out.add_chunks(f"{prefix}/codes", np.int32, (codes.count,), codes)


def _merged(
    parts: Sequence[Field | None], places: Sequence[NDArray[np.int64]]
) -> tuple[list[Scalar], NDArray[np.int32]]:
    """Return one field's dictionary and pairs over all parts."""
    kept: list[tuple[Field, NDArray[np.int64], NDArray[np.int32]]] = []
    distinct: dict[Any, Scalar] = {}
    for field, moved in zip(parts, places, strict=True):
        if field is not None:
            documents = moved[field.documents]
            codes = field.codes[documents >= 0]
            kept.append((field, documents[documents >= 0], codes))
            used = np.unique(codes[codes >= 0]).tolist()
            distinct |= {_key(value): value for value in map(field.dictionary.__getitem__, used)}
    order = sorted(distinct)
    numbers = {key: code for code, key in enumerate(order)}
    keys = []
    for field, documents, codes in kept:
        new = [numbers.get(_key(value), -1) for value in field.dictionary]
        recoded = np.array([*new, -1], np.int64)[codes]  # the code -1 finds the last, which is -1
        keys.append(documents * (len(order) + 1) + recoded + 1)
    pairs = np.divmod(np.sort(np.concatenate([np.empty(0, np.int64), *keys])), len(order) + 1)
    return [_spelling(distinct[key]) for key in order], np.stack((pairs[0], pairs[1] - 1), axis=1).astype(
        np.int32
    )


def _json(dictionary: list[Scalar]) -> bytes:
    return json.dumps(dictionary, ensure_ascii=False, separators=(",", ":")).encode()


def _spelling(value: Scalar) -> Scalar:
    """Return the one form of equal values in which a dictionary holds them: 1 for 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _key(value: Scalar) -> tuple[int, Any]:
    """Return the sort key of a value: its kind, then itself."""
    if value is None:
        return 0, 0
    if isinstance(value, bool):
        return 1, value
    return (3, value) if isinstance(value, str) else (2, value)


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of one segment: its dictionary in order, and where each kind begins in it.

    ``documents``, ``codes``: int32, shape (pairs,).
    """

    dictionary: list[Scalar]
    numbers: int
    strings: int
    documents: NDArray[np.int32]
    codes: NDArray[np.int32]

    def code(self, value: Scalar) -> int | None:
        """Return the code of a value, or None if no document has it."""
        low, high = self._kind(value)
        position = bisect_left(self.dictionary, _key(value), low, high, key=_key)
        return position if position < high and _key(self.dictionary[position]) == _key(value) else None

    def below(self, value: str | float, *, inclusive: bool) -> tuple[int, int]:
        """Return the range of codes with a value of the same kind below (or equal to) ``value``."""
        low, high = self._kind(value)
        bisect = bisect_right if inclusive else bisect_left
        return low, bisect(self.dictionary, _key(value), low, high, key=_key)

    def above(self, value: str | float, *, inclusive: bool) -> tuple[int, int]:
        """Return the range of codes with a value of the same kind above (or equal to) ``value``."""
        _, high = self._kind(value)
        return self.below(value, inclusive=not inclusive)[1], high

    def _kind(self, value: Scalar) -> tuple[int, int]:
        """Return the range of codes of values of the same kind."""
        kind = _key(value)[0]
        edges = (0, 0, self.numbers, self.strings, len(self.dictionary))
        return (0, self.numbers) if kind < 2 else (edges[kind], edges[kind + 1])


class MetadataColumns:
    """The metadata columns of one segment; a field's dictionary is decoded when it is first used."""

    def __init__(self, segment: Segment, prefix: str) -> None:
        self._segment = segment
        self._prefix = prefix
        names = Strings.read(segment, f"{prefix}/names")
        self._numbers = {name.decode(): number for number, name in enumerate(names)}

    def names(self) -> list[str]:
        """Return the names of all fields, sorted."""
        return list(self._numbers)

    def field(self, name: str) -> Field | None:
        """Return a field, or None if no document of the segment has it."""
        number = self._numbers.get(name)
        if number is None:
            return None
        return self._segment.cached(f"{self._prefix}#{name}", lambda: self._decode(number))

    def decode(self, name: str) -> Field | None:
        """Return a field like `field`, without remembering it."""
        number = self._numbers.get(name)
        return None if number is None else self._decode(number)

    def _decode(self, number: int) -> Field:
        segment, prefix = self._segment, self._prefix
        try:
            dictionary = json.loads(Strings.read(segment, f"{prefix}/values")[number])
            kinds = [_key(value)[0] for value in dictionary]
        except (ValueError, TypeError) as error:
            raise CorruptIndexError(
                f"the metadata columns of {segment.path} cannot be read ({error}); "
                "restore the index from a copy"
            ) from error
        start, stop = segment[f"{prefix}/starts"][number : number + 2].tolist()
        return Field(
            dictionary,
            bisect_left(kinds, 2),
            bisect_left(kinds, 3),
            segment[f"{prefix}/documents"][start:stop],
            segment[f"{prefix}/codes"][start:stop],
        )


def columns(segment: Segment, prefix: str) -> MetadataColumns:
    """Return the metadata columns of a segment (the same object at each call)."""
    return segment.cached(f"{prefix}#", lambda: MetadataColumns(segment, prefix))
