"""Haystack's filters as ``where`` filters of an index."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from haystack.errors import FilterError

from hybrid.integrations.haystack.documents import ID

Where = dict[str, Any]

_COMPARISONS = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_OPERATORS = ("==", "!=", *_COMPARISONS, "in", "not in")
_LOGIC = ("AND", "OR", "NOT")
_FIELDS = ("content", "blob", "score", "embedding", "sparse_embedding", "meta")
_NEVER: Where = {ID: {"$in": []}}


def where_of(filters: Mapping[str, Any] | None) -> Where | None:
    """Return a filter as the index has it; None if there is none.

    A field with several values matches if any of them does (`hybrid.index.filters`). Dates are ISO strings,
    and compare as strings do.

    Raises:
        haystack.errors.FilterError: it is malformed, or one that an index cannot express.
    """
    return _parsed(filters) if filters else None


def _parsed(filters: Any) -> Where:
    if not isinstance(filters, Mapping):
        raise FilterError(f"a filter is an object with an operator, got {filters!r}")
    return _comparison(filters) if "field" in filters else _logic(filters)


def _logic(filters: Mapping[str, Any]) -> Where:
    operator, conditions = _given(filters, "operator"), _given(filters, "conditions")
    if operator not in _LOGIC or not isinstance(conditions, list):
        raise FilterError(
            f"the operator is {operator!r} over {conditions!r}; accepted over a list of conditions: "
            f"{', '.join(_LOGIC)}"
        )
    parts = [_parsed(condition) for condition in conditions]
    if operator == "OR":
        return {"$or": parts} if parts else _NEVER
    every: Where = {"$and": parts} if parts else {}
    return {"$not": every} if operator == "NOT" else every


def _comparison(filters: Mapping[str, Any]) -> Where:
    operator, value = _given(filters, "operator"), _given(filters, "value")
    field = _field(filters["field"])
    if isinstance(value, datetime):
        value = value.isoformat()
    if operator in _COMPARISONS:
        return _ordered(field, operator, value)
    if operator in ("in", "not in"):
        if not isinstance(value, list):
            raise FilterError(f"{operator!r} at {field!r} takes a list, got {value!r}")
        return _one_of(field, value, operator == "not in")
    if operator in ("==", "!="):
        return _one_of(field, [value], operator == "!=")
    raise FilterError(f"unknown operator {operator!r} at {field!r}; accepted: {', '.join(_OPERATORS)}")


def _one_of(field: str, values: list[Any], negated: bool) -> Where:
    """Return the filter of equality with any of some values; None is what is not there, too."""
    for value in values:
        if isinstance(value, (list, tuple, dict, set)):
            raise FilterError(
                f"cannot compare {field!r} with {value!r}; accepted are strings, numbers, booleans and None"
            )
    where: Where = {field: {"$in": values}}
    if None in values:
        where = {"$or": [where, {field: {"$exists": False}}]}
    return {"$not": where} if negated else where


def _ordered(field: str, operator: str, value: Any) -> Where:
    """Return the filter of what lies above or below a number or a date; nothing does of None."""
    if value is None:
        return _NEVER
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError as error:
            raise FilterError(
                f"{operator!r} at {field!r} takes a number or an ISO date, got {value!r}"
            ) from error
    elif not isinstance(value, (int, float)) or isinstance(value, bool):
        raise FilterError(f"{operator!r} at {field!r} takes a number or an ISO date, got {value!r}")
    return {field: {_COMPARISONS[operator]: value}}


def _field(name: Any) -> str:
    """Return what a field is called in the index; ``meta.`` may be left out."""
    if not isinstance(name, str) or not name or name in _FIELDS:
        raise FilterError(f"an index cannot filter by {name!r}; accepted: 'id', and 'meta.…'")
    return ID if name == "id" else name.removeprefix("meta.")


def _given(filters: Mapping[str, Any], key: str) -> Any:
    if key not in filters:
        raise FilterError(f"{key!r} is missing in {dict(filters)!r}")
    return filters[key]
