"""A query's candidates with every branch's true scores: with them a page fuses again without asking."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

import hybrid
from hybrid.engine import complete
from hybrid.errors import NotFoundError
from hybrid.fusion import Column
from hybrid.fusion.normalizers import as_normalizer
from hybrid.pipeline import to_dict

SHOWN = 320
"""Characters of a snippet at most."""


def candidates_record(
    index: hybrid.HybridIndex, query: str, where: Mapping[str, Any] | None, depth: int
) -> dict[str, Any]:
    """Return the union of the branches' best ``depth``, scored and normalised by each branch, as JSON values.

    The normaliser is the fusion's; where that has none (RRF), `hybrid.TM2C2`. An unseen document has at most
    ``bound_normalized`` in each branch; a branch that is ``exhausted`` has listed all that it ranks.
    """
    began = time.perf_counter()
    (found,) = complete(index, [query], depth=depth, where=where)
    fusion = index.pipeline.fusion
    normalizer = as_normalizer(getattr(fusion, "normalizer", hybrid.TM2C2()))
    weights = fusion.weights_for([(column.name, column.kind) for column in found.columns])
    words = query_stems(query)

    def record(column: Column, bound: float, weight: float) -> dict[str, Any]:
        last = 0.0 if np.isneginf(bound) else bound
        return {
            "name": column.name,
            "kind": column.kind,
            "weight": weight,
            "raw": column.raw.tolist(),
            "ranks": column.ranks.tolist(),
            "normalized": normalizer.normalize(column.raw, column.summary).tolist(),
            "bound_normalized": float(normalizer.normalize(np.array([last]), column.summary)[0]),
            "exhausted": bool(np.isneginf(bound)),
        }

    return {
        "query": query,
        "generation": index.generation,
        "words": words,
        "depth": depth,
        "fusion": to_dict(index.pipeline)["fusion"],
        "columns": [record(*each) for each in zip(found.columns, found.bounds, weights, strict=True)],
        "candidates": [_shown(index, id, words) for id in found.ids],
        "seconds": time.perf_counter() - began,
    }


def query_stems(query: str) -> list[str]:
    """Return how the words begin that a page marks, longest first; function words are left out.

    A stem's last i may stand for the y of its word ("boundari" for boundary): it is left out.
    """
    terms = filter(None, hybrid.analyzer("english").terms(query))
    stems = {term.removesuffix("i") if len(term) > 3 else term for term in terms}
    return sorted(stems, key=lambda stem: (-len(stem), stem))


def _shown(index: hybrid.HybridIndex, id: str, words: list[str]) -> dict[str, Any]:
    document = hybrid.Document(id)
    with suppress(NotFoundError):  # deleted since
        document = index.get(id)
    return {
        "id": id,
        "title": document.title,
        "snippet": snippet(document.text, words),
        "metadata": document.metadata,
    }


def snippet(text: str, words: list[str], length: int = SHOWN) -> str:
    """Return the part of a text that holds the most different words of these, the first at a tie."""
    flat = " ".join(text[:100_000].split())
    if len(flat) <= length or not words:
        return flat[:length]
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})", re.IGNORECASE)
    found = [(match.start(), match.group().lower()) for match in pattern.finditer(flat)][:500]
    best, most = 0, 0
    for n, (start, _) in enumerate(found):
        near = {word for at, word in found[n : n + 60] if at < start + length - 40}
        if len(near) > most:
            best, most = start, len(near)
    start = max(0, best - 40)
    start = flat.find(" ", start) + 1 if start else 0
    return ("… " if start else "") + flat[start : start + length]
