"""Intervals and tests: against scipy, by hand, and by simulation of what they promise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

import hybrid
from hybrid.evaluation import bootstrap_interval, effect_size, holm, randomisation_test, t_test


def scores(seed: int, n: int) -> np.ndarray:
    """Return values as queries have them: many zeros and ones, and something between."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < 0.5, rng.beta(0.4, 0.4, n).round(2), rng.integers(0, 2, n))


@pytest.mark.parametrize(("seed", "n"), [(0, 20), (1, 50), (2, 300)])
def test_the_interval_is_scipys(seed, n):
    values = scores(seed, n)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(9)
    ).confidence_interval
    found = bootstrap_interval(values, samples=20_000)
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.03 * width)
    assert found.high == pytest.approx(expected.high, abs=0.03 * width)


def test_the_interval_covers_as_often_as_it_says():
    """400 samples of 60 queries from a known distribution: 95% within three standard errors."""
    mean, covered, trials = 0.25, 0, 400
    rng = np.random.default_rng(5)
    for _ in range(trials):
        values = np.where(rng.random(60) < 0.5, 0.0, rng.random(60))  # the mean is a quarter
        low, high = bootstrap_interval(values, samples=1000, seed=int(rng.integers(1 << 30)))
        covered += low <= mean <= high
    assert covered / trials == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / trials))


def test_the_interval_of_one_value():
    assert bootstrap_interval([0.5, 0.5]) == (0.5, 0.5)
    assert bootstrap_interval([0.25]) == (0.25, 0.25)


def test_the_interval_narrows_with_the_level_and_is_the_same_every_time():
    values = scores(4, 100)
    low, high = bootstrap_interval(values)
    inner = bootstrap_interval(values, level=0.5)
    assert low < inner.low < values.mean() < inner.high < high
    assert bootstrap_interval(values) == (low, high)


@pytest.mark.parametrize("level", [0, 1, 95, float("nan")])
def test_levels_are_checked(level):
    with pytest.raises(hybrid.InputError, match="level is"):
        bootstrap_interval([0.0, 1.0], level=level)


@pytest.mark.parametrize("function", [bootstrap_interval, randomisation_test, t_test, effect_size])
@pytest.mark.parametrize("values", [[], [float("nan")], [[1.0]], [math.inf]])
def test_values_are_checked(function, values):
    with pytest.raises(hybrid.InputError, match="one for each query"):
        function(values)


@given(st.lists(st.sampled_from([-0.5, -0.25, 0.0, 0.1, 0.3, 0.9]), min_size=1, max_size=9))
def test_small_randomisation_tests_are_exact(values):
    moved = [v for v in values if v]
    sums = [abs(sum(s * v for s, v in zip(signs, moved, strict=True)))
            for signs in itertools.product((-1, 1), repeat=len(moved))]  # fmt: skip
    expected = sum(s >= abs(sum(moved)) - 1e-9 for s in sums) / len(sums)
    assert randomisation_test(values) == (expected if moved else 1.0)


def test_large_randomisation_tests_are_scipys():
    rng = np.random.default_rng(0)
    values = rng.normal(0.04, 0.3, 200)
    expected = scipy.stats.permutation_test(
        (values, np.zeros(200)), lambda a, b: np.mean(a - b), permutation_type="samples",
        n_resamples=20_000, rng=np.random.default_rng(1),
    ).pvalue  # fmt: skip
    assert 0.01 < expected < 0.3
    assert randomisation_test(values, samples=20_000) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("test", [randomisation_test, t_test])
def test_false_positives_are_as_rare_as_promised(test):
    """2,000 comparisons of equal systems: 5% within three standard errors, not more and not fewer."""
    rng, trials = np.random.default_rng(7), 2000
    options = {"samples": 500} if test is randomisation_test else {}
    rejected = 0
    for _ in range(trials):
        values = rng.normal(0, 1, 40) * (rng.random(40) < 0.6)  # many queries do not differ
        rejected += test(values, **options) < 0.05
    assert rejected / trials == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / trials))


@given(st.lists(st.floats(-1, 1).map(lambda v: round(v, 3)), min_size=2, max_size=30))
def test_t_test_is_scipys(values):
    if len(set(values)) > 1:
        assert t_test(values) == pytest.approx(scipy.stats.ttest_1samp(values, 0).pvalue, rel=1e-6, abs=1e-12)


def test_where_there_is_nothing_to_test():
    assert (randomisation_test([0.0, 0.0]), t_test([0.0, 0.0]), effect_size([0.0, 0.0])) == (1, 1, 0)
    assert (t_test([0.3]), t_test([0.5, 0.5]), effect_size([0.5, 0.5])) == (1, 0, math.inf)
    assert effect_size([-0.5, -0.5]) == -math.inf


def test_effect_size_by_hand():
    assert effect_size([1.0, 0.0, 0.5]) == pytest.approx(0.5 / 0.5)
    assert effect_size([-1.0, 0.0, -0.5]) == pytest.approx(-1)


def test_holm_by_hand():
    # sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and never falling: .02 .03 .06 .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_the_chance_of_any_false_discovery():
    rng, trials = np.random.default_rng(2), 4000
    wrong = sum(min(holm(rng.random(5).tolist())) < 0.05 for _ in range(trials))
    assert wrong / trials == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / trials))
