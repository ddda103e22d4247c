"""Rows of tables as documents: which column is the id, which are the text."""

from __future__ import annotations

import datetime
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybrid.corpus.documents import ID_KEYS, TEXT_KEYS
from hybrid.corpus.files.found import Part
from hybrid.corpus.files.report import UnreadableError
from hybrid.errors import CorpusError

_MOST_BYTES = 64
_TITLES = ("title", "name", "subject", "headline")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table are what; those that are not given are found by their names.

    ``text``: the columns whose values make the text, in order; several are written as ``name: value``, a
    line each. Without it: ``text`` or ``contents``, else every column that holds strings.
    ``id``: the column that tells rows apart (``id``, ``_id``, else the row's number, from 1).
    ``title``: (``title``, ``name``, ``subject``, ``headline``). All other columns become metadata.
    """

    text: Sequence[str] = ()
    id: str | None = None
    title: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.text, str):
            object.__setattr__(self, "text", (self.text,))

    def check(self, names: Iterable[str]) -> None:
        """Raise `UnreadableError` if a column that was asked for is not there."""
        have = list(names)
        for wanted in (*self.text, self.id, self.title):
            if wanted is not None and wanted not in have:
                raise UnreadableError(f"it has no column {wanted!r} (columns: {', '.join(have[:20])})")

    def part(self, row: Mapping[str, Any], number: int, prefix: str = "") -> Part:
        """Return a row as a document; ``number`` is its place, ``prefix`` stands before its key."""
        values = {
            name: value for name, value in ((str(k), _json(v)) for k, v in row.items()) if value is not None
        }
        id_column = self.id or next((key for key in ID_KEYS if key in values), None)
        key = values.get(id_column) if id_column else None
        title_column = self.title or next((key for key in _TITLES if key in values), None)
        title = str(values.get(title_column, "")) if title_column else ""
        text_columns = list(self.text) or [key for key in TEXT_KEYS if key in values][:1]
        if text_columns:
            taken = {*text_columns, id_column, title_column}
        else:
            text_columns = [name for name in values if isinstance(values[name], str) and name != id_column]
            taken = {id_column}
        texts = [(name, values[name]) for name in text_columns if name in values]
        text = str(texts[0][1]) if len(texts) == 1 else "\n".join(f"{name}: {value}" for name, value in texts)
        metadata = {name: value for name, value in values.items() if name not in taken}
        inner = metadata.pop("metadata", None)  # an object of that name is metadata, not a field called so
        if isinstance(inner, Mapping):
            metadata = {**inner, **metadata}
        elif inner is not None:
            metadata["metadata"] = inner
        return Part(text, title, f"{prefix}{number if key is None else _key(key)}", metadata)


def _key(value: Any) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    raise UnreadableError(f"its id {value!r:.60} is neither a string nor a number")


def _json(value: Any) -> Any:
    """Return a cell as JSON can hold it; None for what it cannot, and for what is no value."""
    if isinstance(value, Mapping):
        return {str(key): found for key, item in value.items() if (found := _json(item)) is not None}
    if isinstance(value, list | tuple):
        return [found for item in value if (found := _json(item)) is not None]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, numbers.Number):  # a float, or a decimal number
        number = float(value)  # type: ignore[arg-type]
        return number if math.isfinite(number) else None
    return _spelled(value)


def _spelled(value: Any) -> str | None:
    """Return what JSON has no type for as a string: dates as ISO 8601, a few bytes as hexadecimal digits."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return None if len(value) > _MOST_BYTES else bytes(value).hex()
    return str(value)


def checked_columns(columns: Columns | None) -> Columns:
    """Return the columns asked for."""
    if columns is None:
        return Columns()
    if not isinstance(columns, Columns):
        raise CorpusError(f"columns is {columns!r:.80}; give hybrid.Columns(text=..., id=..., title=...)")
    return columns
