"""The ``where`` language: which documents may be found.

A filter is a JSON object. Its keys are fields (dotted paths into the metadata, see
``hybrid.index.metadata``) or ``$and``, ``$or``, ``$nor`` (lists of filters) and ``$not`` (a
filter); all of them must hold. A field's condition is a plain value, or an object of operators
that must all hold::

    {"year": 2024}                       {"year": {"$gte": 2020, "$lt": 2024}}
    {"lang": {"$in": ["en", "de"]}}      {"$or": [{"stars": {"$gt": 3}}, {"pinned": True}]}
    {"title": {"$exists": False}}        {"year": {"$not": {"$gt": 2020}}}

========================  ==================================================================
``$eq`` v (or plain v)    some value of the field equals v
``$ne`` v                 not ``$eq``: also true of documents that lack the field
``$in`` [v, …]            some value of the field equals one of them; of an empty list: never
``$nin`` [v, …]           not ``$in``
``$gt $gte $lt $lte`` v   some value of the field compares so with v (a number or a string)
``$exists`` bool          the field is there, with whatever value, or is not
``$not`` condition        the condition does not hold (one operator object or one filter)
``$and $or $nor`` [f, …]  all hold, some holds, none holds; the list is not empty
========================  ==================================================================

- A field with several values (a list) matches if any of them does, each operator for itself:
  ``{"n": {"$gt": 1, "$lt": 5}}`` holds for ``[0, 9]``.
- ``$ne``, ``$nin``, ``$not`` and ``$nor`` are exact complements.
- Null is a value: ``{"a": None}`` finds ``{"a": null}``, not documents without ``a``.
- Numbers compare with numbers, exactly, and strings with strings, by code point. 1 equals 1.0;
  a boolean equals only itself. Values of different kinds are never equal, above or below.
- An object or an empty list is there (``$exists``) but equals nothing.
- ``{}`` holds for every document.

Anything else is a ``FilterError`` that says where, what was found, and what is accepted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import FilterError
from hybrid.index.messages import shown
from hybrid.index.metadata import Field, MetadataColumns, Scalar

DEPTH = 32
_Bools: TypeAlias = NDArray[np.bool_]
_RangeOperator: TypeAlias = Literal["$gt", "$gte", "$lt", "$lte"]
_RANGES = ("$gt", "$gte", "$lt", "$lte")
_FIELD_OPERATORS = ("$eq", "$ne", "$in", "$nin", *_RANGES, "$exists", "$not")
_LOGICAL_OPERATORS = ("$and", "$or", "$nor", "$not")


@dataclass(frozen=True, slots=True)
class OneOf:
    """Some value of the field is one of ``values``."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Some value of the field, of the bound's kind, compares with the bound as the operator says."""

    field: str
    operator: _RangeOperator
    bound: str | int | float


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there."""

    field: str


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold (of no parts: always)."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some part holds (of no parts: never)."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter: TypeAlias = OneOf | Range | Exists | And | Or | Not


def parse_filter(where: Mapping[str, Any]) -> Filter:
    """Return a ``where`` object as a tree, or raise ``FilterError``.

    >>> parse_filter({"year": {"$gte": 2020}})
    Range(field='year', operator='$gte', bound=2020)
    """
    return _filter(where, "where", 0)


def evaluate(node: Filter, columns: MetadataColumns, size: int) -> _Bools:
    """Return which of a segment's ``size`` documents a filter lets through: bool, shape (size,)."""
    match node:
        case And(parts):
            result = np.ones(size, np.bool_)
            for part in parts:
                result &= evaluate(part, columns, size)
        case Or(parts):
            result = np.zeros(size, np.bool_)
            for part in parts:
                result |= evaluate(part, columns, size)
        case Not(part):
            result = ~evaluate(part, columns, size)
        case OneOf(name) | Range(name) | Exists(name):
            result = np.zeros(size, np.bool_)
            field = columns.field(name)
            if field is not None:
                result[field.documents[_pairs(node, field)]] = True
    return result


def _pairs(node: OneOf | Range | Exists, field: Field) -> _Bools | slice:
    """Return which of a field's (document, code) pairs satisfy a condition."""
    if isinstance(node, Exists):
        return slice(None)
    if isinstance(node, OneOf):
        codes = [code for code in map(field.code, node.values) if code is not None]
        return field.codes == codes[0] if len(codes) == 1 else np.isin(field.codes, np.array(codes, np.int32))
    side = field.above if node.operator in ("$gt", "$gte") else field.below
    low, high = side(node.bound, inclusive=node.operator in ("$gte", "$lte"))
    return (field.codes >= low) & (field.codes < high)


def _filter(where: object, path: str, depth: int) -> Filter:
    """Parse a filter object."""
    _check_depth(path, depth)
    if not isinstance(where, Mapping):
        raise FilterError(f"{path} must be an object such as {{'year': 2024}}, got {shown(where)}")
    parts: list[Filter] = []
    for key, value in where.items():
        if not isinstance(key, str):
            raise FilterError(f"{path}: a field's name must be a string, got {shown(key)}")
        if key.startswith("$"):
            parts.append(_logical(key, value, path, depth))
        else:
            parts.append(_condition(key, value, f"{path}.{key}", depth))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _logical(operator: str, operand: object, path: str, depth: int) -> Filter:
    """Parse ``$and``, ``$or``, ``$nor`` or ``$not`` where a field's name could stand."""
    here = f"{path}.{operator}"
    if operator not in _LOGICAL_OPERATORS:
        known = operator in _FIELD_OPERATORS
        hint = f"; it goes inside a field: {{'year': {{{operator!r}: …}}}}" if known else ""
        raise FilterError(
            f"{path}: unknown operator {operator!r}{hint}; accepted here: "
            f"{', '.join(_LOGICAL_OPERATORS)}, and names of fields"
        )
    if operator == "$not":
        return Not(_filter(operand, here, depth + 1))
    if not isinstance(operand, (list, tuple)) or not operand:
        raise FilterError(f"{here} takes a list of one or more filters, got {shown(operand)}")
    parts = tuple(_filter(part, f"{here}[{i}]", depth + 1) for i, part in enumerate(operand))
    if operator == "$and":
        return And(parts)
    return Or(parts) if operator == "$or" else Not(Or(parts))


def _condition(field: str, condition: object, path: str, depth: int) -> Filter:
    """Parse what stands at a field: a plain value, or an object of operators."""
    _check_depth(path, depth)
    if not isinstance(condition, Mapping):
        return OneOf(field, (_scalar(condition, path, "to match one of several values, write $in"),))
    if not condition:
        raise FilterError(f"{path} is an empty object; accepted: {', '.join(_FIELD_OPERATORS)}, or a value")
    parts = tuple(_operator(field, key, value, path, depth) for key, value in condition.items())
    return parts[0] if len(parts) == 1 else And(parts)


def _operator(field: str, operator: object, operand: object, path: str, depth: int) -> Filter:
    """Parse one operator of a field."""
    here = f"{path}.{operator}"
    result: Filter
    match operator:
        case "$eq" | "$ne":
            result = OneOf(field, (_scalar(operand, here),))
        case "$in" | "$nin":
            result = OneOf(field, _scalars(operand, here))
        case "$gt" | "$gte" | "$lt" | "$lte":
            result = Range(field, operator, _bound(operand, here))
        case "$exists":
            result = _exists(field, operand, here)
        case "$not":
            result = _negation(field, operand, here, depth)
        case _:
            nested = f"; for a nested field write {f'{field}.{operator}'!r}"
            raise FilterError(
                f"{path}: unknown operator {operator!r}{nested * (not str(operator).startswith('$'))}; "
                f"accepted here: {', '.join(_FIELD_OPERATORS)}"
            )
    return Not(result) if operator in ("$ne", "$nin") else result


def _exists(field: str, operand: object, path: str) -> Filter:
    """Parse the operand of ``$exists``."""
    if not isinstance(operand, bool):
        raise FilterError(f"{path} takes true or false, got {shown(operand)}")
    return Exists(field) if operand else Not(Exists(field))


def _negation(field: str, operand: object, path: str, depth: int) -> Filter:
    """Parse the operand of a field's ``$not``."""
    if not isinstance(operand, Mapping):
        raise FilterError(f"{path} takes an object of operators, got {shown(operand)}; for a value write $ne")
    return Not(_condition(field, operand, path, depth + 1))


def _scalars(operand: object, path: str) -> tuple[Scalar, ...]:
    """Return the values of a list."""
    if not isinstance(operand, (list, tuple)):
        raise FilterError(f"{path} takes a list of values, got {shown(operand)}")
    return tuple(_scalar(value, f"{path}[{i}]") for i, value in enumerate(cast("Sequence[object]", operand)))


def _scalar(value: object, path: str, hint: str = "") -> Scalar:
    """Return a value that a field can equal."""
    if value is None or isinstance(value, (str, bool, int)) or _finite(value):
        return cast("Scalar", value)
    accepted = "accepted is a string, a finite number, true, false or null"
    raise FilterError(f"{path}: cannot compare with {shown(value)}; {accepted}{'; ' * bool(hint)}{hint}")


def _bound(value: object, path: str) -> str | int | float:
    """Return a value that a field can be above or below."""
    if not isinstance(value, bool) and (isinstance(value, (str, int)) or _finite(value)):
        return cast("str | int | float", value)
    raise FilterError(f"{path} takes a string or a finite number, got {shown(value)}")


def _finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _check_depth(path: str, depth: int) -> None:
    if depth > DEPTH:
        raise FilterError(f"{path[:120]}… is nested over {DEPTH} levels deep")
