"""Results, explanations and figures as JSON values, and back: one place for server and client."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, NoReturn

import numpy as np

import hybrid
from hybrid.encoders.caching import Counts
from hybrid.errors import DocumentError, InputError
from hybrid.index.lives import check_expiry, seconds_of

Record = dict[str, Any]
Spans = list[tuple[int, int]]


def result_record(
    result: hybrid.Result, *, reasons: bool = True, highlights: bool = False, cursor: bool = False
) -> Record:
    """Return a result as JSON values; a gap that is not known is None.

    ``reasons``: whether to tell why something is missing; messages may name folders and hosts.
    ``highlights``: whether hits say where they hold words of the query, which costs an analysis of each.
    ``cursor``: whether to say where the next page begins, for which the index keeps the generation.
    """
    following = {"cursor": result.cursor} if cursor else {}
    return following | {
        "query": result.query,
        "hits": [
            _hit_record(hit) | ({"highlights": result.highlights(hit.rank)} if highlights else {})
            for hit in result
        ],
        "exact": result.exact,
        "gap": None if math.isinf(result.gap) else result.gap,
        "degraded": list(result.degraded),
        "notes": notes_record(result.notes, reasons=reasons),
        "generation": result.generation,
        "timings": dict(result.timings),
    }


def _hit_record(hit: hybrid.Hit) -> Record:
    return {
        "rank": hit.rank,
        "id": hit.id,
        "score": hit.score,
        "title": hit.title,
        "text": hit.text,
        "metadata": hit.metadata,
        "scores": dict(hit.scores),
        "passages": [asdict(passage) for passage in hit.passages],
    }


def notes_record(notes: Mapping[str, Sequence[str]], *, reasons: bool) -> dict[str, list[str]]:
    """Return notes, or in the place of each only that there is one."""
    hidden = ["it failed or fell short; the server's log says how"]
    return {name: list(said) if reasons else hidden for name, said in notes.items()}


def read_result(
    record: Mapping[str, Any],
    explain: Callable[[str], hybrid.Explanation],
    highlight: Callable[[str], Spans],
) -> hybrid.Result:
    """Return the result that a record holds; ``explain`` answers for an id, ``highlight`` for a text."""
    return hybrid.Result(
        query=record["query"],
        hits=tuple(map(_read_hit, record["hits"])),
        exact=record["exact"],
        gap=math.inf if record["gap"] is None else record["gap"],
        degraded=tuple(record["degraded"]),
        notes=_read_notes(record["notes"]),
        generation=record["generation"],
        timings=record["timings"],
        _explain=explain,
        _highlight=highlight,
        _cursor=(lambda: record["cursor"]) if "cursor" in record else _no_cursor,
    )


def _no_cursor() -> NoReturn:
    raise InputError("this search was not asked for a cursor; write search(..., pages=True)")


def _read_hit(record: Mapping[str, Any]) -> hybrid.Hit:
    passages = (
        hybrid.PassageHit(**{**each, "headings": tuple(each["headings"]), "context": tuple(each["context"])})
        for each in record["passages"]
    )
    return hybrid.Hit(**{**record, "passages": tuple(passages)})


def _read_notes(record: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(said) for name, said in record.items()}


def read_highlights(record: Mapping[str, Any], text: str) -> Spans:
    """Return the spans that a result's record has for a text; none if the text is no hit's (any more)."""
    found = (hit["highlights"] for hit in record["hits"] if hit["text"] == text)
    return [(start, end) for start, end in next(found, [])]


def explanation_record(explanation: hybrid.Explanation, *, reasons: bool = True) -> Record:
    """Return an explanation as JSON values."""
    return asdict(explanation) | {"notes": notes_record(explanation.notes, reasons=reasons)}


def read_explanation(record: Mapping[str, Any]) -> hybrid.Explanation:
    """Return the explanation that a record holds."""
    branches = tuple(hybrid.BranchPart(**{**part, "terms": _read_terms(part)}) for part in record["branches"])
    stages = tuple(hybrid.StagePart(**{**part, "terms": _read_terms(part)}) for part in record["stages"])
    read = {"degraded": tuple(record["degraded"]), "notes": _read_notes(record["notes"])}
    return hybrid.Explanation(**{**record, **read, "branches": branches, "stages": stages})


def _read_terms(part: Mapping[str, Any]) -> tuple[hybrid.TermMatch, ...]:
    return tuple(hybrid.TermMatch(**term) for term in part["terms"])


def document_record(document: hybrid.Document) -> Record:
    """Return a document as JSON values, with the vectors that no model could make again.

    Raises:
        DocumentError: it brings an image, or its expiry is not accepted.
    """
    if document.image is not None:
        raise DocumentError(
            f"document {document.id!r} brings an image, which this server does not take; add it where the "
            "index is, or bring the vector"
        )
    if document.expires is not None:
        check_expiry(document.expires, f"document {document.id!r}")
    return {
        "id": document.id,
        "text": document.text,
        "title": document.title,
        "metadata": document.metadata,
        "vectors": {name: _plain(vector) for name, vector in document.vectors.items()},
        "expires": None if document.expires is None else seconds_of(document.expires),
    }


def stored_record(index: hybrid.HybridIndex, id: str) -> Record:
    """Return a document of an index with its version, which is that of the content or an older one."""
    version = index.version(id)
    return document_record(index.get(id)) | {"version": version}


def _plain(vector: Any) -> Any:
    if isinstance(vector, Mapping):
        return {str(term): float(weight) for term, weight in vector.items()}
    return np.asarray(vector).tolist()


def read_document(record: Mapping[str, Any]) -> hybrid.Document:
    """Return the document that a record holds."""
    kept = {name: record[name] for name in ("id", "text", "title", "metadata", "vectors")}
    expires = record["expires"]
    return hybrid.Document(**kept, expires=None if expires is None else datetime.fromtimestamp(expires, UTC))


def stats_record(stats: hybrid.Stats) -> Record:
    """Return figures as JSON values."""
    return asdict(stats)


def read_stats(record: Mapping[str, Any]) -> hybrid.Stats:
    """Return the figures that a record holds."""
    encoders = {name: Counts(**counts) for name, counts in record["encoders"].items()}
    return hybrid.Stats(**{**record, "fields": tuple(record["fields"]), "encoders": encoders})
