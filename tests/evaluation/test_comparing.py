"""Comparisons of runs on the same queries."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

import hybrid
from hybrid.evaluation import Evaluation, compare, holm, query_differences, randomisation_test


def evaluation(name, *values, measure="AP", queries=None):
    queries = queries or tuple(f"q{n}" for n in range(len(values)))
    return Evaluation(name, queries, {measure: np.array(values, float)}, (), 0)


A = evaluation("a", 0.5, 0.2, 0.9, 0.0)
B = evaluation("b", 0.75, 0.2, 1.0, 0.5)
C = evaluation("c", 0.25, 0.3, 0.0, 0.0)


def test_against_a_baseline():
    found = compare([A, B, C], baseline="a")
    assert [(c.name, c.baseline) for c in found] == [("b", "a"), ("c", "a")]
    b, c = found
    assert b.difference == pytest.approx(0.85 / 4)
    assert (b.wins, b.losses, b.ties) == (3, 0, 1)
    assert (c.wins, c.losses, c.ties) == (1, 2, 1)
    assert b.p_randomisation == 0.25  # of the 8 sign patterns of three wins, two are as far out
    assert b.p_t == pytest.approx(scipy.stats.ttest_rel(B.values["AP"], A.values["AP"]).pvalue)
    assert b.interval.low <= b.difference <= b.interval.high
    assert not b.significant
    assert [b.p_holm, c.p_holm] == holm([b.p_randomisation, c.p_randomisation])
    assert b.effect > 0 > c.effect


def test_every_pair():
    found = compare([A, B, C])
    assert [(c.name, c.baseline) for c in found] == [("b", "a"), ("c", "a"), ("c", "b")]
    assert [c.p_holm for c in found] == holm([c.p_randomisation for c in found])


def test_significance_is_after_correction():
    rng = np.random.default_rng(0)
    base = rng.random(200)
    better = evaluation("better", *(base + 0.1 + rng.normal(0, 0.2, 200)))
    same = evaluation("same", *(base + rng.normal(0, 0.2, 200)))
    found = {c.name: c for c in compare([evaluation("base", *base), better, same], baseline="base")}
    assert found["better"].significant
    assert not found["same"].significant
    assert found["better"].p_holm == pytest.approx(2 * randomisation_test(better.values["AP"] - base))


def test_query_differences_from_win_to_loss():
    rows = query_differences(C, A, "AP")
    assert [(row.query, row.difference) for row in rows] == [
        ("q1", pytest.approx(0.1)), ("q3", 0.0), ("q0", -0.25), ("q2", -0.9),
    ]  # fmt: skip
    assert (rows[0].ours, rows[0].baseline) == (0.3, 0.2)


@pytest.mark.parametrize(
    ("runs", "options", "what"),
    [
        ([A], {}, "needs two"),
        ([A, A], {}, "same name"),
        ([A, B], {"baseline": "z"}, "the baseline is 'z'; the runs are 'a', 'b'"),
        ([A, B], {"measures": ["RR"]}, "not measured in 'RR'"),
        ([A, evaluation("b", 1, 1, 1, 1, queries=("x", "y", "z", "w"))], {}, "other queries"),
    ],
)
def test_wrong_use(runs, options, what):
    with pytest.raises(hybrid.InputError, match=what):
        compare(runs, **options)
