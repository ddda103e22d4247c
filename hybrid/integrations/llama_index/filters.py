"""LlamaIndex's metadata filters as ``where`` filters of an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from hybrid.errors import FilterError
from hybrid.integrations.llama_index.nodes import EMPTY, ID, SOURCE

Where = dict[str, Any]

_COMPARISONS = {
    FilterOperator.EQ: "$eq",
    FilterOperator.NE: "$ne",
    FilterOperator.GT: "$gt",
    FilterOperator.GTE: "$gte",
    FilterOperator.LT: "$lt",
    FilterOperator.LTE: "$lte",
    FilterOperator.CONTAINS: "$eq",
}
_LISTS = {FilterOperator.IN: "$in", FilterOperator.NIN: "$nin", FilterOperator.ANY: "$in"}
_CONDITIONS = {FilterCondition.AND: "$and", FilterCondition.OR: "$or", FilterCondition.NOT: "$nor"}
_EXPRESSED = (*_COMPARISONS, *_LISTS, FilterOperator.ALL, FilterOperator.IS_EMPTY)


def where_of(
    filters: MetadataFilters | None,
    doc_ids: Sequence[str] | None = None,
    node_ids: Sequence[str] | None = None,
) -> Where | None:
    """Return what lets through the nodes that all of these let through; None if none is given.

    A field with several values matches if any of them does (`hybrid.index.filters`). ``doc_ids`` are ids of
    source documents.

    Raises:
        FilterError: an operator, or its value, is one that an index cannot express.
    """
    parts = [] if filters is None else [_all(filters)]
    for field, ids in ((SOURCE, doc_ids), (ID, node_ids)):
        if ids is not None:
            parts.append({field: {"$in": list(ids)}})
    parts = [part for part in parts if part]
    return {"$and": parts} if len(parts) > 1 else parts[0] if parts else None


def _all(filters: MetadataFilters) -> Where:
    """Return filters under their condition; without any, everything is let through."""
    parts = [_all(each) if isinstance(each, MetadataFilters) else _one(each) for each in filters.filters]
    condition = filters.condition or FilterCondition.AND
    return {_CONDITIONS[FilterCondition(condition)]: parts} if parts else {}


def _one(filter: MetadataFilter) -> Where:
    """Return the filter of one field."""
    key, operator, value = filter.key, FilterOperator(filter.operator), filter.value
    if operator == FilterOperator.IS_EMPTY:
        return {"$or": [{key: {"$exists": False}}, {key: {"$in": [None, ""]}}, {EMPTY: key}]}
    if operator in _COMPARISONS:
        if value is None or isinstance(value, list):
            raise FilterError(
                f"the filter of {key!r} has the operator {operator.value!r} and the value {value!r}; give a "
                "string or a number (is_empty finds what is not there, in and any take lists)"
            )
        return {key: {_COMPARISONS[operator]: value}}
    if operator not in (*_LISTS, FilterOperator.ALL):
        raise FilterError(
            f"the filter of {key!r} has the operator {operator.value!r}, which an index cannot express; "
            f"accepted: {', '.join(each.value for each in _EXPRESSED)}"
        )
    if not isinstance(value, list):
        raise FilterError(
            f"the filter of {key!r} has the operator {operator.value!r} and the value {value!r}; give a list"
        )
    if operator in _LISTS:
        return {key: {_LISTS[operator]: value}}
    return {"$and": [{key: {"$exists": True}}, {key: {"$ne": None}}, *({key: each} for each in value)]}
