"""The passages of the documents found: which of them speak most for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from hybrid.branches.over_passages import DocumentScorer
from hybrid.engine.candidates import Source, guarded
from hybrid.engine.result import PassageHit
from hybrid.fusion import Fusion
from hybrid.index import Snapshot
from hybrid.index.passages import PassageSnapshot
from hybrid.types import Docnums, Document, Doubles


def best_passages(
    snapshot: Snapshot, sources: Sequence[Source], fusion: Fusion, docnums: Docnums, most: int
) -> dict[int, tuple[PassageHit, ...]]:
    """Return the best passages of documents by document number, at most so many each, best first.

    A passage's score is the sum of what the branches that compare it say, each mapped to [0, 1] from the
    lowest score that the branch could give to the best that it gives to any of these passages, and weighted
    as the fusion weights it. (A fusion's own normaliser maps documents' scores, and would be at odds with
    passages'.) Where branches cut differently, a passage that overlaps a better one of another branch is left
    out, and so is one that is part of a better one, or has it as a part. Of documents that are whole because
    only long ones are cut there is none.
    """
    candidates: dict[int, list[_Candidate]] = {}
    for scorer, scores in _scored(sources, fusion, docnums):
        bounds, numbers = scorer.passages.of(docnums)
        for n, docnum in enumerate(docnums.tolist()):
            own = range(int(bounds[n]), int(bounds[n + 1]))
            if len(own) > 1 or scorer.how.cut == "all":
                candidates.setdefault(docnum, []).extend(
                    _Candidate(float(scores[at]), scorer.passages, int(numbers[at]), scorer.how.context)
                    for at in own
                )
    wanted = [docnum for docnum in docnums.tolist() if docnum in candidates]
    documents = snapshot.documents(np.array(wanted, np.int64))
    return {
        docnum: tuple(_chosen(candidates[docnum], document.text, most))
        for docnum, document in zip(wanted, documents, strict=True)
    }


def read_passages(
    snapshot: Snapshot, found: Mapping[int, tuple[PassageHit, ...]], docnums: Docnums
) -> list[Document]:
    """Return documents as rerankers read them: of those that are cut the best passage, under its headings."""
    seen = []
    for docnum, document in zip(docnums.tolist(), snapshot.documents(docnums), strict=True):
        if docnum not in found:
            seen.append(document)
            continue
        best = found[docnum][0]
        title = " › ".join(filter(None, (document.title, *best.headings)))
        seen.append(replace(document, text=best.text, title=title))
    return seen


class _Candidate(NamedTuple):
    """A passage of a document, by its number in a snapshot of passages."""

    score: float
    passages: PassageSnapshot
    number: int
    context: int | str


def _chosen(candidates: Sequence[_Candidate], text: str, most: int) -> Iterator[PassageHit]:
    """Yield the best of one document's passages."""
    taken: list[tuple[PassageSnapshot, int, int]] = []
    for score, passages, number, context in sorted(candidates, key=lambda each: -each.score):
        start, end, headings = passages.span(number)
        if any(_repeats((start, end), (a, b), other is passages) for other, a, b in taken):
            continue
        taken.append((passages, start, end))
        yield PassageHit(text[start:end], start, end, headings, score, passages.around(number, context))
        if len(taken) == most:
            return


def _repeats(span: tuple[int, int], better: tuple[int, int], same_cut: bool) -> bool:
    """Whether a passage says again what a better one says; passages of one cut may overlap."""
    (start, end), (a, b) = span, better
    if same_cut:
        return (a <= start and end <= b) or (start <= a and b <= end)
    return start < b and a < end


def _scored(
    sources: Sequence[Source], fusion: Fusion, docnums: Docnums
) -> Iterator[tuple[DocumentScorer, Doubles]]:
    """Yield a scorer of each way of cutting, and the scores of the documents' passages."""
    weights = fusion.weights_for([(source.name, source.kind) for source in sources])
    totals: dict[PassageSnapshot, tuple[DocumentScorer, Doubles]] = {}
    for source, weight in zip(sources, weights, strict=True):
        scorer = source.scorer
        if not isinstance(scorer, DocumentScorer) or not len(docnums):
            continue
        numbers = scorer.passages.of(docnums)[1]
        _, total = totals.setdefault(scorer.passages, (scorer, np.zeros(len(numbers))))
        with guarded(source.name):
            raw = scorer.scorer.scores(numbers).astype(np.float64)
        low, high = scorer.scorer.lower_bound, float(raw.max())
        if high > low:
            total += weight * (raw - low) / (high - low)
    yield from totals.values()
