"""What an index takes at most: so that no request and no document can take the process down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hybrid.errors import InputError, LimitError
from hybrid.index.documents import METADATA_DEPTH
from hybrid.index.filters import DEPTH
from hybrid.types import Document, Query

_NESTING = ("$and", "$or", "$nor", "$not")
_MOST_JSON = 16
"""JSON of a value takes at most about so many times the weight that is guessed for it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds, each for one call or one document; give others to `hybrid.create` and `hybrid.open`.

    ``query_characters``: of a query's text. ``k``: hits of a search, with the pages before. ``filter_depth``:
    how deep ``$and``, ``$or``, ``$nor`` and ``$not`` are nested in a filter (at most 32).
    ``filter_conditions``: fields and operators in it. ``filter_values``: values in it, with those of ``$in``.
    ``document_characters``: of title and text. ``metadata_depth``: how deep metadata is nested (at most 16).
    ``metadata_bytes``: of metadata as JSON.

    Raises:
        InputError: a limit is no whole number of at least 1, or above what is said here.
    """

    query_characters: int = 65_536
    k: int = 1_000_000
    filter_depth: int = DEPTH
    filter_conditions: int = 10_000
    filter_values: int = 100_000
    document_characters: int = 64 << 20
    metadata_depth: int = METADATA_DEPTH
    metadata_bytes: int = 4 << 20

    def __post_init__(self) -> None:
        most = {"filter_depth": DEPTH, "metadata_depth": METADATA_DEPTH}
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{field.name} is {value!r}; give a whole number of at least 1")
            if value > most.get(field.name, value):
                raise InputError(f"{field.name} is {value}; it is at most {most[field.name]}")

    def check_query(self, query: object) -> None:
        """Raise ``LimitError`` if a query is too long."""
        text = query.text if isinstance(query, Query) else query
        if isinstance(text, str):
            self._check("query_characters", "the characters of the query are", len(text))

    def check_k(self, k: int) -> int:
        """Return a number of hits; raise ``LimitError`` if it is too large."""
        self._check("k", "k is", k)
        return k

    def check_filter(self, where: object) -> None:
        """Raise ``LimitError`` if a filter is too deep or too broad, whether or not it means something."""
        conditions = values = 0
        waiting = [(where, 0)]
        while waiting:
            part, depth = waiting.pop()
            if isinstance(part, Mapping):
                conditions += len(part)
                waiting.extend((value, depth + (key in _NESTING)) for key, value in part.items())
            elif isinstance(part, list | tuple):
                inner = [value for value in part if isinstance(value, Mapping | list | tuple)]
                values += len(part) - len(inner)
                waiting.extend((value, depth) for value in inner)
            else:
                values += 1
            self._check("filter_depth", "the filter's depth is", depth)
            self._check("filter_conditions", "the conditions of the filter are", conditions)
            self._check("filter_values", "the values of the filter are", values)

    def check_document(self, document: Document, position: int) -> None:
        """Raise ``LimitError`` if a document, which is well-formed, is too large; ``position`` names it."""
        name = f"document {position} ({document.id!r:.80})"
        size = len(document.title) + len(document.text)
        self._check("document_characters", f"{name}: the characters of title and text are", size)
        metadata = document.metadata
        if metadata:
            self._check("metadata_depth", f"{name}: the depth of its metadata is", _depth(metadata))
            if _weight(metadata) * _MOST_JSON > self.metadata_bytes:
                size = len(json.dumps(metadata, ensure_ascii=False, default=dict).encode())
                self._check("metadata_bytes", f"{name}: the bytes of its metadata are", size)

    def _check(self, name: str, what: str, value: int) -> None:
        limit = getattr(self, name)
        if value > limit:
            raise LimitError(
                f"{what} {value:,}, and the limit is {limit:,}; make it smaller, or open the index with "
                f"limits=hybrid.Limits({name}=…)"
            )


def _depth(value: Any) -> int:
    """Return how deep mappings and lists are nested in each other, below the outermost."""
    inner = value.values() if isinstance(value, Mapping) else value
    return max((1 + _depth(item) for item in inner if isinstance(item, Mapping | list | tuple)), default=0)


def _weight(value: Any) -> int:
    """Return about how much a value of metadata holds."""
    if isinstance(value, Mapping):
        return sum(len(key) + 8 + _weight(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(map(_weight, value))
    return len(value) if isinstance(value, str) else 32
