"""From a mapping to a ``Document``, strictly.

Known keys:

``_id`` or ``id``       required: a string that is not empty; an integer becomes its decimal string
``text`` or ``contents``  required (``""`` is fine) unless ``vectors`` is given
``title``               optional string
``metadata``            optional object
``vectors``             optional object: branch name -> ready-made vector
``_expires``            optional number: when the document expires, in seconds since 1970

Every other key becomes metadata.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hybrid.errors import CorpusError
from hybrid.types import Document

ID_KEYS = ("_id", "id")
TEXT_KEYS = ("text", "contents")
KNOWN_KEYS = frozenset((*ID_KEYS, *TEXT_KEYS, "title", "metadata", "vectors", "_expires"))
MAX_DEPTH = 64
"""How deeply metadata may be nested."""


def to_document(mapping: Mapping[str, Any], where: str) -> Document:
    """Turn one record into a document.

    Args:
        mapping: the record; see the top of this module for its keys.
        where: what to call the record in a message, for example ``"corpus.jsonl, line 3"``.

    Raises:
        CorpusError: a key is missing, given twice under two names, or of the wrong type; a key
            is both in ``metadata`` and beside it; a string cannot be written as UTF-8.

    >>> to_document({"_id": 7, "text": "Hello", "year": 2024}, "example")
    Document(id='7', text='Hello', title='', metadata={'year': 2024})

    """
    if not isinstance(mapping, Mapping):
        raise CorpusError(f"{where}: expected an object with 'id' and 'text', got {_described(mapping)}")
    identifier = to_id(mapping, where)
    key = _one_of(TEXT_KEYS, mapping, where)
    if key is None and "vectors" not in mapping:
        raise CorpusError(
            f"{where}: document {identifier!r} has no 'text' (keys: {_listed(mapping)}); "
            'add "text", which may be an empty string'
        )
    text = "" if key is None else to_text(mapping[key], key, where)
    title = to_text(mapping.get("title", ""), "title", where)
    metadata, vectors = _metadata(mapping, where), _object(mapping, "vectors", where)
    expires = mapping.get("_expires")
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, int | float)):
        raise CorpusError(f"{where}: '_expires' is {_described(expires)}; give seconds since 1970")
    return Document(identifier, text, title, metadata, vectors, expires=expires)


def to_id(mapping: Mapping[str, Any], where: str) -> str:
    """Return the id of a record: its ``_id`` or ``id``; an integer becomes its decimal string.

    Raises:
        CorpusError: there is no id, there are two, or it is empty or neither string nor integer.

    """
    key = _one_of(ID_KEYS, mapping, where)
    if key is None:
        raise CorpusError(f"{where}: no id (keys: {_listed(mapping)}); give each record an 'id' or '_id'")
    value = mapping[key]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise CorpusError(f"{where}: {key!r} must be a string or an integer, got {_described(value)}")
    if not value.strip():
        raise CorpusError(f"{where}: {key!r} is empty ({value!r}); give each record an id of its own")
    return to_text(value, key, where)


def to_text(value: Any, name: str, where: str) -> str:
    r"""Return ``value`` if it is a string that UTF-8 can hold.

    Raises:
        CorpusError: it is not a string, or holds half a surrogate pair (such as JSON ``"\ud800"``).

    """
    if not isinstance(value, str):
        raise CorpusError(
            f"{where}: {name!r} must be a string, got {_described(value)}; "
            "put quotes around it or leave the key out"
        )
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise CorpusError(
                f"{where}: {name!r} holds half a surrogate pair ({value[error.start]!r} "
                f"at character {error.start}), which is not text; remove it"
            ) from error
    return value


def _metadata(mapping: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Gather ``metadata`` and every unknown key into one JSON object."""
    metadata = dict(_object(mapping, "metadata", where))
    for key in mapping:
        if key in KNOWN_KEYS:
            continue
        if key in metadata:
            raise CorpusError(f"{where}: {key!r} is given both beside 'metadata' and inside it; keep one")
        metadata[key] = mapping[key]
    for key, value in metadata.items():
        _check_json(value, _check_key(key, "metadata", where), where, 1)
    return metadata


def _check_json(value: Any, name: str, where: str, depth: int) -> None:
    """Refuse whatever a JSON file cannot hold; ``name`` is the dotted path to the value."""
    if isinstance(value, str):
        to_text(value, name, where)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise CorpusError(
                f"{where}: {name!r} is {value!r}, which JSON cannot hold; use null or leave it out"
            )
    elif value is None or isinstance(value, int):
        return
    elif depth > MAX_DEPTH:
        raise CorpusError(f"{where}: {name[:60]!r} is nested deeper than {MAX_DEPTH} levels; flatten it")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _check_json(inner, f"{name}.{_check_key(key, name, where)}", where, depth + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_json(inner, name, where, depth + 1)
    else:
        raise CorpusError(
            f"{where}: {name!r} must be a JSON value (string, number, boolean, null, list, object), "
            f"got {_described(value)}"
        )


def _check_key(key: Any, name: str, where: str) -> str:
    """Return a metadata key, which must be a string."""
    if not isinstance(key, str):
        raise CorpusError(f"{where}: the keys of {name!r} must be strings, got {_described(key)}")
    return to_text(key, f"a key of {name}", where)


def _object(mapping: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """Return the object under an optional key."""
    value = mapping.get(key, {})
    if not isinstance(value, Mapping):
        raise CorpusError(f"{where}: {key!r} must be an object, got {_described(value)}")
    return value


def _one_of(keys: tuple[str, ...], mapping: Mapping[str, Any], where: str) -> str | None:
    """Return which of several names for one thing is used, if any."""
    given = [key for key in keys if key in mapping]
    if len(given) > 1:
        raise CorpusError(f"{where}: both {given[0]!r} and {given[1]!r} are given; keep one")
    return given[0] if given else None


def _described(value: Any) -> str:
    """Return a short description of a wrong value, naming its type."""
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 60 else shown[:57] + '...'}"


def _listed(mapping: Mapping[str, Any]) -> str:
    """Return the keys of a record, for a message."""
    keys = ", ".join(repr(key) for key in list(mapping)[:10])
    return keys or "none"
