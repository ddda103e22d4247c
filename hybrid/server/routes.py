"""What callers may ask of an index."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

import hybrid
from hybrid.engine import Ask
from hybrid.engine.deadline import Deadline
from hybrid.pipeline import from_dict, to_dict
from hybrid.server import schemas
from hybrid.server.candidates import candidates_record
from hybrid.server.hosting import Hosted
from hybrid.server.problems import Problem
from hybrid.server.records import (
    explanation_record,
    result_record,
    stats_record,
    stored_record,
)
from hybrid.server.settings import Settings

logger = logging.getLogger("hybrid.server")
router = APIRouter(prefix="/v1/indexes")

Ids = Annotated[list[schemas.Id], Query(min_length=1, max_length=1000, description="Ids, one or more")]


@router.get("", response_model=schemas.Indexes)
async def indexes(request: Request) -> Response:
    """List the indexes."""
    return answer({"indexes": [index_record(hosted) for hosted in request.app.state.hosted.values()]})


@router.get("/{index}", response_model=schemas.Index)
async def describe(request: Request, index: str) -> Response:
    """Describe an index: its pipeline, its fields, its state."""
    return answer(index_record(hosted_of(request, index)))


@router.post("/{index}/search", response_model=schemas.Result)
async def search(request: Request, index: str, body: schemas.Search) -> Response:
    """Search."""
    hosted = hosted_of(request, index)
    query = hybrid.Query(body.query, body.vectors or {})
    terms = ask(request, hosted, body, query, body.strict, body.deadline, body.cursor)
    (outcome,) = await hosted.search([terms])
    paged = body.pages or body.cursor is not None
    record = partial(
        result_record,
        raised(outcome),
        reasons=reasons(request),
        highlights=body.highlights,
        cursor=paged,
    )
    return answer(await hosted.reads.run(record) if body.highlights or paged else record())


@router.post("/{index}/search-many", response_model=schemas.Results)
async def search_many(request: Request, index: str, body: schemas.SearchMany) -> Response:
    """Search for several queries; one that fails fails all."""
    hosted = hosted_of(request, index)
    queries = [
        each if isinstance(each, str) else hybrid.Query(each.query, each.vectors) for each in body.queries
    ]
    asks = [ask(request, hosted, body, query, body.strict, body.deadline) for query in queries]
    outcomes = await hosted.search(asks)
    tell = reasons(request)
    return answer({"results": [result_record(raised(outcome), reasons=tell) for outcome in outcomes]})


@router.post("/{index}/explain", response_model=schemas.Explanation)
async def explain(request: Request, index: str, body: schemas.Explain) -> Response:
    """Explain where a document ranks for a query."""
    hosted = hosted_of(request, index)
    work = partial(
        hosted.index.explain,
        hybrid.Query(body.query, body.vectors or {}),
        body.id,
        body.k,
        body.where,
        branches=body.branches,
        fusion=fusion_of(hosted.index, body.fusion),
    )
    found = await hosted.reads.run(work)
    return answer(explanation_record(found, reasons=reasons(request)))


@router.post("/{index}/candidates", response_model=schemas.Columns)
async def candidates(request: Request, index: str, body: schemas.Candidates) -> Response:
    """Return a query's candidates with every branch's true scores, for those who fuse by themselves."""
    hosted = hosted_of(request, index)
    work = partial(candidates_record, hosted.index, body.query, body.where, body.depth)
    return answer(await hosted.reads.run(work))


@router.get("/{index}/documents", response_model=schemas.StoredDocuments)
async def documents(request: Request, index: str, id: Ids) -> Response:
    """Return documents by their ids, with their versions."""
    hosted = hosted_of(request, index)
    found = await hosted.reads.run(lambda: [stored_record(hosted.index, each) for each in id])
    return answer({"documents": found})


@router.post("/{index}/documents", response_model=schemas.Changed, status_code=201)
async def add(request: Request, index: str, body: schemas.NewDocuments) -> Response:
    """Add documents in one atomic commit; ids that are there are refused."""
    hosted = hosted_of(request, index)
    return answer(await hosted.change(lambda index: index.add(given(body))), 201)


@router.put("/{index}/documents", response_model=schemas.Changed)
async def update(request: Request, index: str, body: schemas.Documents) -> Response:
    """Add documents in one atomic commit, replacing those of the same ids; on conditions, if any."""
    hosted = hosted_of(request, index)
    versions = body.if_version
    return answer(await hosted.change(lambda index: index.update(given(body), if_version=versions)))


@router.delete("/{index}/documents", response_model=schemas.Changed)
async def delete(request: Request, index: str, id: Ids, missing_ok: bool = False) -> Response:
    """Delete documents by their ids in one atomic commit."""
    return await remove(
        request, index, schemas.Deletion(ids=id, where=None, missing_ok=missing_ok, if_version=None)
    )


@router.post("/{index}/delete", response_model=schemas.Changed)
async def remove(request: Request, index: str, body: schemas.Deletion) -> Response:
    """Delete documents in one atomic commit, by ids or by a filter; on conditions, if any."""
    hosted = hosted_of(request, index)
    missing: Literal["error", "ignore"] = "ignore" if body.missing_ok else "error"
    where, versions = body.where, body.if_version
    change = partial(hybrid.HybridIndex.delete, where=where, missing=missing, if_version=versions)
    return answer(await hosted.change(lambda index: change(index, body.ids)))


@router.get("/{index}/stats", response_model=schemas.Stats)
async def stats(request: Request, index: str) -> Response:
    """Return an index's figures."""
    hosted = hosted_of(request, index)
    return answer(stats_record(await hosted.reads.run(hosted.index.stats)))


def hosted_of(request: Request, name: str) -> Hosted:
    """Return an index by its name, which is looked up and never used as a path."""
    hosted: dict[str, Hosted] = request.app.state.hosted
    if name not in hosted:
        raise Problem(404, "no-such-index", f"there is no index {name!r}; there are {', '.join(hosted)}")
    return hosted[name]


def ask(
    request: Request,
    hosted: Hosted,
    terms: schemas.Terms,
    query: str | hybrid.Query,
    strict: bool,
    deadline: float | None,
    cursor: str | None = None,
) -> Ask:
    """Return a search on its terms, within the server's bounds; its deadline begins now."""
    settings: Settings = request.app.state.settings
    if terms.k > settings.max_k:
        raise Problem(422, "input", f"k is {terms.k}; this server gives at most {settings.max_k} hits")
    longest = settings.deadline if deadline is None else min(deadline, settings.deadline)
    return Ask(
        query,
        terms.k,
        terms.where,
        None if terms.branches is None else tuple(terms.branches),
        fusion_of(hosted.index, terms.fusion),
        strict,
        Deadline(longest),
        cursor,
    )


def fusion_of(index: hybrid.HybridIndex, table: dict[str, Any] | None) -> hybrid.Fusion | None:
    """Return the fusion that a table describes, checked against the index's branches; None for its own."""
    if table is None:
        return None
    return from_dict({**to_dict(index.pipeline), "fusion": table}).fusion


def given(body: schemas.NewDocuments) -> list[hybrid.Document]:
    """Return the documents that were sent."""
    return [
        hybrid.Document(each.id, each.text, each.title, each.metadata, each.vectors, expires=each.expires)
        for each in body.documents
    ]


def index_record(hosted: Hosted) -> dict[str, Any]:
    """Return what callers may know of an index; its folder is not theirs to know."""
    index = hosted.index
    return {
        "name": hosted.name,
        "documents": len(index),
        "generation": index.generation,
        "branches": [{"name": branch.name, "kind": branch.kind} for branch in index.pipeline.branches],
        "stages": [stage.name for stage in index.pipeline.rerank],
        "pipeline": to_dict(index.pipeline),
        "fields": list(index.stats().fields),
        "writable": hosted.settings.write,
    }


def reasons(request: Request) -> bool:
    """Whether callers hear why something failed: where there are no keys, they are at the machine."""
    return not len(request.app.state.keys)


def raised(outcome: hybrid.Result | Exception) -> hybrid.Result:
    """Return a result, or raise the error in its place."""
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def answer(record: dict[str, Any], status: int = 200) -> Response:
    """Return JSON, made here: to check our own answers against their models would cost as much again."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json")
