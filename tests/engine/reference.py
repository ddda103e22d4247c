"""A plain reimplementation of the whole query path, for tests: loops over every document, no index.

Written from the papers' formulas, sharing no code with the package beyond the analyzer.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import hybrid


@dataclass(frozen=True)
class Scores:
    """One branch's scores of all eligible documents; ``matched`` says which the branch ranks."""

    kind: str
    by_id: Mapping[str, float]
    matched: frozenset[str]
    lower_bound: float

    def ranks(self) -> dict[str, int]:
        order = sorted(self.matched, key=lambda id: (-self.by_id[id], id))
        return {id: n + 1 for n, id in enumerate(order)}


def bm25(
    live: Sequence[hybrid.Document], eligible: set[str], query: str, k1: float = 1.2, b: float = 0.75
) -> Scores:
    """BM25 as in Lucene (accurate lengths): statistics of all live documents."""
    terms = hybrid.analyzer("simple").terms
    bags = {d.id: terms(f"{d.title} {d.text}".strip()) for d in live}
    average = sum(map(len, bags.values())) / len(bags) if bags else 0.0
    scores, matched = {}, set()
    for id, bag in bags.items():
        if id not in eligible:
            continue
        total = 0.0
        for term in terms(query):
            df = sum(term in other for other in bags.values())
            tf = bag.count(term)
            if tf:
                idf = math.log(1 + (len(bags) - df + 0.5) / (df + 0.5))
                total += idf * tf / (tf + k1 * (1 - b + b * len(bag) / average))
                matched.add(id)
        scores[id] = float(np.float32(total))
    return Scores("sparse", scores, frozenset(matched), 0.0)


def dense(live: Sequence[hybrid.Document], eligible: set[str], vector: Sequence[float]) -> Scores:
    """Inner products."""
    scores = {
        d.id: float(
            np.float32(sum(x * y for x, y in zip(map(float, d.vectors["dense"]), vector, strict=True)))
        )
        for d in live
        if d.id in eligible
    }
    longest = max((math.hypot(*map(float, d.vectors["dense"])) for d in live), default=0.0)
    return Scores("dense", scores, frozenset(scores), -math.hypot(*vector) * longest)


def top(scores: Scores, n: int) -> list[float]:
    return sorted(scores.by_id.values(), reverse=True)[:n]


def tm2c2(scores: Scores) -> Callable[[float], float]:
    high = max(scores.by_id.values(), default=0.0)
    return _affine(scores.lower_bound, high - scores.lower_bound)


def min_max(depth: int | None) -> Callable[[Scores], Callable[[float], float]]:
    def normalizer(scores: Scores) -> Callable[[float], float]:
        listed = top(scores, depth or len(scores.by_id))
        return _affine(min(listed), max(listed) - min(listed)) if listed else lambda s: 0.0

    return normalizer


def raw(scores: Scores) -> Callable[[float], float]:
    return lambda s: s


def z_score(depth: int) -> Callable[[Scores], Callable[[float], float]]:
    def normalizer(scores: Scores) -> Callable[[float], float]:
        listed = top(scores, depth)
        return _affine(statistics.fmean(listed), statistics.pstdev(listed)) if listed else lambda s: 0.0

    return normalizer


def dbsf(depth: int) -> Callable[[Scores], Callable[[float], float]]:
    def normalizer(scores: Scores) -> Callable[[float], float]:
        listed = top(scores, depth)
        if len(listed) < 2:
            return lambda s: 0.0
        mean, deviation = statistics.fmean(listed), statistics.stdev(listed)
        return _affine(mean - 3 * deviation, 6 * deviation)

    return normalizer


def l2(depth: int) -> Callable[[Scores], Callable[[float], float]]:
    return lambda scores: _affine(0.0, math.hypot(*top(scores, depth)))


def _affine(shift: float, scale: float) -> Callable[[float], float]:
    return lambda s: (s - shift) / scale if scale > 0 else 0.0


def weighted(
    branches: Sequence[Scores],
    weights: Sequence[float],
    normalizer: Callable[[Scores], Callable[[float], float]],
) -> dict[str, float]:
    """The weighted sum of normalised scores, of every document that some branch ranks."""
    maps = [normalizer(scores) for scores in branches]
    found = set().union(*(scores.matched for scores in branches))
    return {
        id: sum(w * f(scores.by_id[id]) for w, f, scores in zip(weights, maps, branches, strict=True))
        for id in found
    }


def combine(
    branches: Sequence[Scores],
    normalizer: Callable[[Scores], Callable[[float], float]],
    how: Callable[[list[float]], float],
) -> dict[str, float]:
    """Any function of the normalised scores, of every document that some branch ranks."""
    maps = [normalizer(scores) for scores in branches]
    found = set().union(*(scores.matched for scores in branches))
    return {id: how([f(scores.by_id[id]) for f, scores in zip(maps, branches, strict=True)]) for id in found}


def mnz(scores: list[float]) -> float:
    floored = [max(score, 0.0) for score in scores]
    return sum(floored) * sum(score > 0 for score in floored)


def rrf(branches: Sequence[Scores], k: float, weights: Sequence[float]) -> dict[str, float]:
    """Reciprocal rank fusion over the complete rankings."""
    ranks = [scores.ranks() for scores in branches]
    found = set().union(*ranks)
    return {id: sum(w / (k + r[id]) for w, r in zip(weights, ranks, strict=True) if id in r) for id in found}
