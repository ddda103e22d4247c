"""Queries that learn from the collection: feedback from the best documents, and words spelt otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hybrid.errors import PipelineError
from hybrid.index.sparse import SparseStatistics
from hybrid.text.spelling import allowed, distances

SPELLINGS = 3
"""So many words at most stand for one that is not in the collection."""


@dataclass(frozen=True, slots=True)
class RM3:
    """Pseudo-relevance feedback: terms of the best documents are added to the query.

    The relevance model (RM1: Lavrenko and Croft 2001) of the best ``documents`` D is
    f(t) = Σ_D p(t|D) · score(D), where p(t|D) is the share of t among the ``terms`` most frequent terms of D;
    its ``terms`` heaviest are kept and scaled to the sum 1. A term's weight in the query is then
    ``weight`` · q(t) + (1 - ``weight``) · f(t), with q(t) the share of t among the query's terms (RM3:
    Abdul-Jaleel et al., "UMass at TREC 2004"). Terms that more than the share ``common`` of all documents
    have add nothing, nor do single characters. The defaults are Anserini's, and so are these rules, but that
    Anserini also leaves out terms of more than 20 characters and with others than a-z and 0-9.

    The feedback is of the whole collection, whatever the filter of a search.
    """

    documents: int = 10
    terms: int = 10
    weight: float = 0.5
    common: float = 0.1

    def __post_init__(self) -> None:
        for name in ("documents", "terms"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise PipelineError(f"{name} is {value!r}; give a whole number of at least 1")
        for name in ("weight", "common"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
                raise PipelineError(f"{name} is {value!r}; give a number from 0 to 1")

    def expanded(
        self,
        query: Mapping[str, float],
        best: Iterable[tuple[Sequence[str], float]],
        share: Callable[[str], float],
    ) -> dict[str, float]:
        """Return the query's terms with their weights, the heaviest first.

        ``query``: terms with how often they count. ``best``: the best documents' terms, and their scores.
        ``share``: of how many of all documents a term is in, from 0 to 1.

        >>> RM3(terms=1, common=1.0).expanded({"a": 1}, [(["b", "b", "a"], 2.0)], lambda term: 0.1)
        {'a': 0.5, 'b': 0.5}
        """
        model: Counter[str] = Counter()
        for terms, score in best:
            kept = [term for term in terms if len(term) > 1 and 0 < share(term) <= self.common]
            counts = _heaviest(Counter(kept), self.terms)
            for term, count in counts.items():
                model[term] += score * count / sum(counts.values())  # type: ignore[assignment]
        feedback = _heaviest(model, self.terms)
        total, asked = sum(feedback.values()), sum(query.values())
        if total <= 0 or asked <= 0:
            return dict(query)
        found = {
            term: self.weight * query.get(term, 0) / asked + (1 - self.weight) * feedback.get(term, 0) / total
            for term in {**query, **feedback}
        }
        return {term: weight for term, weight in _heaviest(found, len(found)).items() if weight > 0}


def respelled(
    terms: Sequence[str] | Mapping[str, float], statistics: SparseStatistics, edits: int
) -> dict[str, float]:
    """Return words of the collection in the place of a query's, none of which it has.

    For each the nearest words within its allowed edits, the most frequent first, `SPELLINGS` at most, which
    share its weight of 1.
    """
    found: Counter[str] = Counter()
    for term, count in Counter(terms).items():
        near = _near(term, statistics, allowed(term, edits))
        for word in near:
            found[word] += count / len(near)  # type: ignore[assignment]
    return dict(found)


def _near(term: str, statistics: SparseStatistics, edits: int) -> list[str]:
    if not edits:
        return []
    candidates = sorted(
        {
            word
            for postings in statistics.postings
            for word in (spelt.decode() for spelt in postings.vocabulary)
            if abs(len(word) - len(term)) <= edits
        }
    )
    away = distances(term, candidates).tolist()
    ranked = sorted(
        (distance, -statistics.term(word).frequency, word)
        for distance, word in zip(away, candidates, strict=True)
        if distance <= edits and statistics.term(word).frequency
    )
    return [word for distance, _, word in ranked if distance == ranked[0][0]][:SPELLINGS]


def _heaviest(weights: Mapping[str, float], most: int) -> dict[str, float]:
    """Return the heaviest of terms, by term at a tie."""
    ordered = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    return dict(ordered[:most])
