"""The passages of the documents found: which of them speak most for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hybrid.branches.passages import DocumentScorer
from hybrid.engine.candidates import Source, guarded
from hybrid.engine.result import PassageHit
from hybrid.fusion import Fusion
from hybrid.index import Snapshot
from hybrid.index.passages import passages_of
from hybrid.types import Docnums, Document, Doubles


def best_passages(
    snapshot: Snapshot, sources: Sequence[Source], fusion: Fusion, docnums: Docnums, most: int
) -> dict[int, tuple[PassageHit, ...]]:
    """Return each document's best passages by document number, at most so many, best first.

    A passage's score is the sum of what the branches say of it, each mapped to [0, 1] from the lowest score
    that the branch could give to the best that it gives to any of these passages, and weighted as the fusion
    weights it. (A fusion's own normaliser maps documents' scores, and would be at odds with passages'.)
    """
    if not len(docnums):
        return {}
    passages = passages_of(snapshot)
    bounds, numbers = passages.of(docnums)
    scores = _scores(sources, fusion, numbers)
    documents = snapshot.documents(docnums)
    found = {}
    for n, docnum in enumerate(docnums.tolist()):
        own = np.arange(bounds[n], bounds[n + 1])
        order = own[np.argsort(-scores[own], kind="stable")][:most]
        hits = []
        for at in order.tolist():
            start, end, headings = passages.span(int(numbers[at]))
            hits.append(PassageHit(documents[n].text[start:end], start, end, headings, float(scores[at])))
        found[docnum] = tuple(hits)
    return found


def read_passages(
    snapshot: Snapshot, found: Mapping[int, tuple[PassageHit, ...]], docnums: Docnums
) -> list[Document]:
    """Return documents as rerankers read them: with the text of the best passage, under its headings."""
    seen = []
    for docnum, document in zip(docnums.tolist(), snapshot.documents(docnums), strict=True):
        best = found[docnum][0]
        title = " › ".join(filter(None, (document.title, *best.headings)))
        seen.append(replace(document, text=best.text, title=title))
    return seen


def _scores(sources: Sequence[Source], fusion: Fusion, numbers: Docnums) -> Doubles:
    total = np.zeros(len(numbers))
    weights = fusion.weights_for([(source.name, source.kind) for source in sources])
    for source, weight in zip(sources, weights, strict=True):
        if not isinstance(source.scorer, DocumentScorer):
            continue
        with guarded(source.name):
            raw = source.scorer.scorer.scores(numbers).astype(np.float64)
        low = source.scorer.scorer.lower_bound
        high = float(raw.max())
        if high > low:
            total += weight * (raw - low) / (high - low)
    return total
