"""The calls of a client, whichever way they are sent: what each sends, and how its answer is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypedDict, TypeVar, Unpack

import hybrid
from hybrid.errors import InputError
from hybrid.pipeline import Pipeline, to_dict
from hybrid.server.records import (
    document_record,
    read_document,
    read_explanation,
    read_highlights,
    read_result,
    read_stats,
)
from hybrid.server.settings import NAME

T = TypeVar("T")
Missing = Literal["error", "ignore"]


class Variant(TypedDict, total=False):
    """Other branches and another fusion than the index's, as `hybrid.HybridIndex.search` takes them."""

    branches: Sequence[str] | None
    fusion: hybrid.Fusion | None


class ManyTerms(Variant, total=False):
    """How to search for many queries: with ``strict``, a branch that fails is an error."""

    strict: bool


class PageTerms(ManyTerms, total=False):
    """How to search for pages; ``deadline``: seconds of each."""

    deadline: float | None


class SearchTerms(PageTerms, total=False):
    """How to search once.

    ``cursor``: the page after the result that has it. ``pages``: whether the result has a cursor, for which
    the server then keeps its generation for 10 minutes; a search with a cursor has one anyway.
    """

    cursor: str | None
    pages: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Return it as httpx takes it.

        Raises:
            InputError: what is to be sent is not JSON.
        """
        sent = {"method": self.method, "url": self.path, "params": dict(self.params)}
        if self.body is None:
            return sent
        try:
            content = json.dumps(self.body, allow_nan=False, default=_plain)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"this cannot be sent as JSON: {error}; give JSON values") from error
        return {**sent, "content": content, "headers": {"content-type": "application/json"}}


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and what makes a value of the JSON that answers it."""

    request: Request
    read: Callable[[Any], T]


Follow = Callable[[Call[Any]], Any]
"""Makes a call at once, for results that ask on; raises where that would hold up an event loop."""


class Calls:
    """The calls that both clients make of an index."""

    def __init__(self, index: str, follow: Follow) -> None:
        if not NAME.fullmatch(index):
            raise InputError(
                f"the index name {index!r} is not accepted; names have letters, digits, '.', '_' and '-'"
            )
        self._at, self._follow = f"/v1/indexes/{index}", follow

    def search(
        self,
        query: str | hybrid.Query,
        k: int,
        where: Mapping[str, Any] | None,
        **terms: Unpack[SearchTerms],
    ) -> Call[hybrid.Result]:
        """Search."""
        body = {**_asked(query), **_terms(SearchTerms, k, where, terms)}
        return Call(self._post("search", body), lambda record: self._result(record, body))

    def search_many(
        self,
        queries: Sequence[str | hybrid.Query],
        k: int,
        where: Mapping[str, Any] | None,
        **terms: Unpack[ManyTerms],
    ) -> Call[list[hybrid.Result]]:
        """Search for several queries."""
        if isinstance(queries, str | hybrid.Query):
            raise InputError(f"queries is {queries!r}; give a list of queries: [{queries!r}]")
        known, asked = _terms(ManyTerms, k, where, terms), [_asked(query) for query in queries]

        def read(record: Any) -> list[hybrid.Result]:
            found = zip(record["results"], asked, strict=True)
            return [self._result(each, {**query, **known}) for each, query in found]

        return Call(self._post("search-many", {"queries": asked, **known}), read)

    def explain(
        self,
        query: str | hybrid.Query,
        id: str,
        k: int,
        where: Mapping[str, Any] | None,
        **terms: Unpack[Variant],
    ) -> Call[hybrid.Explanation]:
        """Explain where a document ranks."""
        return self._explain({**_asked(query), **_terms(Variant, k, where, terms)}, id)

    def get(self, id: str) -> Call[hybrid.Document]:
        """Return a document."""
        return Call(self._document(id), lambda record: read_document(record["documents"][0]))

    def version(self, id: str) -> Call[int]:
        """Return a document's version."""
        return Call(self._document(id), lambda record: int(record["documents"][0]["version"]))

    def add(self, documents: Iterable[hybrid.Document]) -> Call[int]:
        """Add documents."""
        return self._change("POST", "documents", {"documents": [document_record(each) for each in documents]})

    def update(
        self, documents: Iterable[hybrid.Document], if_version: Mapping[str, int | None] | None
    ) -> Call[int]:
        """Update documents."""
        body = {"documents": [document_record(each) for each in documents], "if_version": if_version}
        return self._change("PUT", "documents", body)

    def delete(
        self,
        ids: Iterable[str] | None,
        where: Mapping[str, Any] | None,
        missing: Missing,
        if_version: Mapping[str, int | None] | None,
    ) -> Call[int]:
        """Delete documents."""
        if isinstance(ids, str):
            raise InputError(f"ids is {ids!r}; give a list of ids: [{ids!r}]")
        if missing not in ("error", "ignore"):
            raise InputError(f"missing is {missing!r}; it is 'error' or 'ignore'")
        listed = None if ids is None else list(ids)
        body = {"ids": listed, "where": where, "missing_ok": missing == "ignore", "if_version": if_version}
        return self._change("POST", "delete", body)

    def stats(self) -> Call[hybrid.Stats]:
        """Return figures."""
        return Call(Request("GET", f"{self._at}/stats"), read_stats)

    def _post(self, what: str, body: Mapping[str, Any]) -> Request:
        return Request("POST", f"{self._at}/{what}", body)

    def _document(self, id: str) -> Request:
        return Request("GET", f"{self._at}/documents", params={"id": [id]})

    def _change(self, method: str, what: str, body: Mapping[str, Any]) -> Call[int]:
        return Call(Request(method, f"{self._at}/{what}", body), lambda record: int(record["changed"]))

    def _explain(self, body: Mapping[str, Any], id: str) -> Call[hybrid.Explanation]:
        kept = {name: body[name] for name in ("query", "vectors", "k", "where", "branches", "fusion")}
        return Call(self._post("explain", {**kept, "id": id}), read_explanation)

    def _result(self, record: Mapping[str, Any], body: Mapping[str, Any]) -> hybrid.Result:
        """Return a result that explains itself by further calls; ``body``: what was asked."""
        reached = max([body["k"], *(hit["rank"] for hit in record["hits"])])  # on a later page beyond k

        def explain(id: str) -> hybrid.Explanation:
            found: hybrid.Explanation = self._follow(self._explain({**body, "k": reached}, id))
            return found

        def highlight(text: str) -> list[tuple[int, int]]:
            again = self._post("search", {**body, "highlights": True})
            found: list[tuple[int, int]] = self._follow(Call(again, lambda r: read_highlights(r, text)))
            return found

        return read_result(record, explain, highlight)


def _asked(query: str | hybrid.Query) -> dict[str, Any]:
    asked = hybrid.Query(query) if isinstance(query, str) else query
    if not isinstance(asked, hybrid.Query):
        raise InputError(f"the query is {query!r}; give a string or a hybrid.Query")
    return {"query": asked.text, "vectors": dict(asked.vectors)}


def _terms(
    kind: Any, k: int, where: Mapping[str, Any] | None, options: Mapping[str, object]
) -> dict[str, Any]:
    """Return how to search as JSON values, None for what the index decides; ``kind``: the options there are.

    Raises:
        TypeError: there is another option.
    """
    for name in options:
        if name not in kind.__optional_keys__:
            raise TypeError(
                f"there is no option {name!r}; there are {', '.join(sorted(kind.__optional_keys__))}"
            )
    branches: Any = options.get("branches")
    fusion: Any = options.get("fusion")
    return {
        **options,
        "k": k,
        "where": where,
        "branches": None if branches is None else list(branches),
        "fusion": None if fusion is None else _fusion_table(fusion),
    }


def _fusion_table(fusion: hybrid.Fusion) -> Any:
    names = getattr(fusion, "weights", None)
    branches = tuple(hybrid.BM25(name=name) for name in names) if names else (hybrid.BM25(),)
    return to_dict(Pipeline(branches=branches, fusion=fusion))["fusion"]


def _plain(value: Any) -> Any:
    """Return as JSON what Python's writer does not know: mappings, arrays and their numbers."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r:.80} is a {type(value).__name__}")
