"""Every normaliser and every sum against formulas written plainly, in exact fractions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.fusion import (
    DBSF,
    L2,
    TM2C2,
    CombMAX,
    CombMNZ,
    CombSUM,
    MinMax,
    Normalizer,
    Raw,
    Weighted,
    ZScore,
)
from tests.fusion.tables import column, summary

Map = Callable[[Fraction], float]


def affine(shift: Fraction, scale: float) -> Map:
    return lambda s: float(s - shift) / scale if scale else 0.0


def mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


def squares(values: Sequence[Fraction]) -> Fraction:
    return sum(((v - mean(values)) ** 2 for v in values), Fraction(0))


def tm2c2(everything: Sequence[Fraction], bound: Fraction, depth: int) -> Map:
    return affine(bound, float(max(everything) - bound))


def min_max(everything: Sequence[Fraction], bound: Fraction, depth: int) -> Map:
    return affine(min(everything), float(max(everything) - min(everything)))


def min_max_of_the_best(everything: Sequence[Fraction], bound: Fraction, depth: int) -> Map:
    return min_max(sorted(everything)[-depth:], bound, depth)


def z_score(everything: Sequence[Fraction], bound: Fraction, depth: int) -> Map:
    best = sorted(everything)[-depth:]
    return affine(mean(best), math.sqrt(squares(best) / len(best)))


def dbsf(everything: Sequence[Fraction], bound: Fraction, depth: int) -> Map:
    best = sorted(everything)[-depth:]
    if len(best) < 2 or not squares(best):
        return lambda s: 0.0
    deviation = math.sqrt(squares(best) / (len(best) - 1))
    return lambda s: 0.5 + float(s - mean(best)) / (6 * deviation)


def l2(everything: Sequence[Fraction], bound: Fraction, depth: int) -> Map:
    best = sorted(everything)[-depth:]
    return affine(Fraction(0), math.sqrt(sum(s * s for s in best)))


def raw(everything: Sequence[Fraction], bound: Fraction, depth: int) -> Map:
    return float


CASES = [
    (lambda depth: TM2C2(), tm2c2),
    (lambda depth: MinMax(), min_max),
    (lambda depth: MinMax(depth=depth), min_max_of_the_best),
    (lambda depth: ZScore(depth=depth), z_score),
    (lambda depth: DBSF(depth=depth), dbsf),
    (lambda depth: L2(depth=depth), l2),
    (lambda depth: Raw(), raw),
]

grid = st.integers(-64, 64).map(lambda n: Fraction(n, 64))
branches = st.lists(grid, min_size=1, max_size=12)


@pytest.mark.parametrize(("make", "plain"), CASES)
@settings(deadline=None)
@given(branches, st.integers(1, 15))
def test_normalizers(make, plain, everything, depth):
    floats = [float(s) for s in everything]
    found = make(depth).normalize(np.array(floats), summary(floats, -1.0, depth=depth))
    expected = [plain(everything, Fraction(-1), depth)(s) for s in everything]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("make", "plain"), CASES)
@settings(deadline=None)
@given(st.integers(1, 8).flatmap(lambda n: st.tuples(*[st.lists(grid, min_size=n, max_size=n)] * 3)))
def test_combinations(make, plain, everything):
    names = ["one", "two", "three"]
    weights = {"one": Fraction(1, 2), "two": Fraction(3), "three": Fraction(1, 4)}
    normalizer: Normalizer = make(5)
    columns = [
        column(name, "dense", [float(s) for s in scores])
        for name, scores in zip(names, everything, strict=True)
    ]
    maps = [plain(scores, Fraction(-1), 5) for scores in everything]
    for n in range(len(everything[0])):
        parts = [f(scores[n]) for f, scores in zip(maps, everything, strict=True)]
        above = sum(part > 0 for part in parts)
        expected = {
            Weighted(weights=weights_of(weights), normalizer=normalizer): sum(
                float(weights[name]) * part for name, part in zip(names, parts, strict=True)
            ),
            CombSUM(normalizer): sum(parts),
            CombMAX(normalizer): max(parts),
        }
        if normalizer.non_negative:
            expected[CombMNZ(normalizer)] = above * sum(parts)
        for fusion, score in expected.items():
            assert fusion.fuse(columns).scores[n] == pytest.approx(score, rel=1e-6, abs=1e-6)


def weights_of(weights: dict[str, Fraction]) -> dict[str, float]:
    return {name: float(weight) for name, weight in weights.items()}
