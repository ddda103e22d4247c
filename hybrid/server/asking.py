"""The requests that a client sends, whichever way it sends them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import hybrid
from hybrid.errors import InputError
from hybrid.pipeline import Pipeline, to_dict
from hybrid.server.records import document_record


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: str
    path: str
    json: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Return it as httpx takes it."""
        body = {} if self.json is None else {"json": self.json}
        return {"method": self.method, "url": self.path, "params": dict(self.params), **body}


class Requests:
    """What each call sends; the clients differ in how it is sent."""

    def __init__(self, index: str) -> None:
        self._at = f"/v1/indexes/{index}"

    def search(self, query: str | hybrid.Query, terms: Mapping[str, Any]) -> Request:
        """Search."""
        asked = hybrid.Query(query) if isinstance(query, str) else query
        vectors = {name: _plain(vector) for name, vector in asked.vectors.items()}
        return Request("POST", f"{self._at}/search", {"query": asked.text, "vectors": vectors, **terms})

    def search_many(self, queries: Sequence[str], terms: Mapping[str, Any]) -> Request:
        """Search for several queries."""
        if isinstance(queries, str):
            raise InputError(f"queries is {queries!r}; give a list of queries: [{queries!r}]")
        return Request("POST", f"{self._at}/search-many", {"queries": list(queries), **terms})

    def explain(self, query: str, id: str, terms: Mapping[str, Any]) -> Request:
        """Explain where a document ranks."""
        kept = {name: terms[name] for name in ("k", "where", "branches", "fusion") if name in terms}
        return Request("POST", f"{self._at}/explain", {"query": query, "id": id, **kept})

    def get(self, id: str) -> Request:
        """Return a document."""
        return Request("GET", f"{self._at}/documents", params={"id": [id]})

    def write(self, method: str, documents: Iterable[hybrid.Document]) -> Request:
        """Add (POST) or update (PUT) documents."""
        return Request(method, f"{self._at}/documents", {"documents": list(map(document_record, documents))})

    def delete(self, ids: Iterable[str], missing_ok: bool) -> Request:
        """Delete documents."""
        if isinstance(ids, str):
            raise InputError(f"ids is {ids!r}; give a list of ids: [{ids!r}]")
        return Request("DELETE", f"{self._at}/documents", None, {"id": list(ids), "missing_ok": missing_ok})

    def stats(self) -> Request:
        """Return figures."""
        return Request("GET", f"{self._at}/stats")


def search_terms(
    k: int,
    where: Mapping[str, Any] | None,
    branches: Sequence[str] | None,
    fusion: hybrid.Fusion | None,
    strict: bool,
    deadline: float | None,
) -> dict[str, Any]:
    """Return how to search as JSON values; what is not asked for is left out."""
    terms: dict[str, Any] = {"k": k, "strict": strict, "where": where, "deadline": deadline}
    terms["branches"] = None if branches is None else list(branches)
    terms["fusion"] = None if fusion is None else _fusion_table(fusion)
    return {name: value for name, value in terms.items() if value is not None}


def _fusion_table(fusion: hybrid.Fusion) -> Any:
    names = getattr(fusion, "weights", None)
    branches = tuple(hybrid.BM25(name=name) for name in names) if names else (hybrid.BM25(),)
    return to_dict(Pipeline(branches=branches, fusion=fusion))["fusion"]


def _plain(vector: Any) -> Any:
    return dict(vector) if isinstance(vector, Mapping) else [float(number) for number in vector]
