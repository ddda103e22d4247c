"""Arguments of searches and deletes: refused at the boundary, or made plain."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hybrid.branches import Branch
from hybrid.errors import InputError
from hybrid.pipeline import Pipeline
from hybrid.text import Cleaning
from hybrid.types import Document, Query


def checked_query(query: str | Query, pipeline: Pipeline) -> Query:
    """Return a query as a `Query`, cleaned as the pipeline says."""
    asked = Query(query) if isinstance(query, str) else query
    if not isinstance(asked, Query) or not isinstance(asked.text, str):
        raise InputError(f"the query is {query!r}; give a string or a hybrid.Query")
    check_vectors("the query", asked.vectors, pipeline.stores)
    return asked if pipeline.cleaning is None else replace(asked, text=pipeline.cleaning.query(asked.text))


def cleaned(documents: Sequence[Document], cleaning: Cleaning | None) -> Sequence[Document]:
    """Return documents as branches and rerankers see them."""
    if cleaning is None:
        return documents
    clean = cleaning.document
    return [replace(each, title=clean(each.title), text=clean(each.text)) for each in documents]


def check_vectors(whose: str, vectors: Mapping[str, Any], branches: Sequence[Branch]) -> None:
    """Refuse ready-made vectors that no branch would read."""
    taking = [branch.name for branch in branches if branch.takes_vectors]
    if not isinstance(vectors, Mapping):
        raise InputError(f"vectors of {whose} is {vectors!r}; give a mapping from branch names to vectors")
    for name in vectors:
        if name not in taking:
            known = f"the branches that take one are {', '.join(taking)}" if taking else "no branch takes one"
            raise InputError(f"{whose} brings a vector for branch {name!r}; {known}")


def checked_id(id: str) -> str:
    """Return an id."""
    if not isinstance(id, str):
        raise InputError(f"the id {id!r} is not a string; ids are strings")
    return id


def checked_k(k: int, name: str = "k") -> int:
    """Return a number of hits, at least 1, as Python's own."""
    try:
        number = 0 if isinstance(k, bool) else operator.index(k)
    except TypeError:
        number = 0
    if number < 1:
        raise InputError(f"{name} is {k!r}; give a whole number of at least 1")
    return number


def checked_list(what: str, values: Iterable[Any]) -> list[Any]:
    """Return an iterable as a list; a string is one value, not many."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InputError(f"{what} is {values!r}; give a list of strings")
    return list(values)
