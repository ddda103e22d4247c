"""Nested cross-validation: on tables made so that the right choice is known."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid
from hybrid.evaluation import select
from hybrid.evaluation.selection import cross_validated

FAMILIES = [[0], [1, 2, 3], list(range(4, 204))]


def table(seed, *, simple=0.5, middle=(0.5, 0.5, 0.5), many=0.5, noise=0.25, count=200):
    """Return values of 204 settings whose true means are given; settings share each query's luck."""
    rng = np.random.default_rng(seed)
    means = np.concatenate([[simple], middle, np.full(200, many)])
    luck = rng.normal(0, 0.3, count)
    return means[:, None] + luck + rng.normal(0, noise, (204, count))


def test_noise_is_not_fitted():
    """200 settings that are all the same: the best of them looks better, and held out it is not."""
    held_out, fitted, families = [], [], []
    for seed in range(40):
        made = table(seed)
        found = select(made, FAMILIES, seed=seed)
        held_out.append(found.held_out.mean() - made.mean())
        fitted.append(made.mean(axis=1).max() - made.mean())
        families.append(found.family)
    assert min(fitted) > 0.02
    error = np.std(held_out, ddof=1) / 40**0.5
    assert abs(np.mean(held_out)) < 3 * error + 1e-3
    assert np.mean(np.array(families) == 0) > 0.6


def test_what_is_better_is_found():
    found = select(table(1, middle=(0.5, 0.6, 0.5)), FAMILIES)
    assert (found.family, found.setting) == (1, 2)
    assert found.held_out.mean() > table(1)[0].mean() + 0.05
    assert [family for family, _ in found.chosen] == [1] * 5
    richer = table(2)
    richer[150] += 0.2
    assert select(richer, FAMILIES).setting == 150


def test_of_equal_families_the_simplest():
    made = np.repeat(np.random.default_rng(0).random((1, 60)), 5, axis=0)
    assert select(made, [[4], [0, 1], [2, 3]]).setting == 4


def test_one_standard_error():
    """A better family is taken once its gain is more than one standard error, and not before."""
    rng = np.random.default_rng(0)
    base, noise = rng.random(100), rng.normal(0, 1, 100)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    for gain, family in ((0.9, 0), (1.1, 1)):
        better = base + 0.01 * noise + gain * 0.001  # the standard error of the difference is .001
        assert select(np.stack([base, better]), [[0], [1]]).family == family


def test_held_out_values_come_from_the_other_folds():
    """A setting that is best on one half by memory alone is never reported there."""
    made = np.zeros((61, 60))
    made[np.arange(1, 61), np.arange(60)] = 1.0  # setting n+1 knows query n only
    found = select(made, [[0], list(range(1, 61))])
    assert found.families[1].sum() == 0
    assert cross_validated(made, [list(range(1, 61))], 5, 0).sum() == 0


@pytest.mark.parametrize(
    ("count", "folds", "what"),
    [
        (19, 2, "needs at least 20"),
        (24, 5, "needs at least 25"),
        (30, 1, "folds is 1"),
        (30, 2.0, "folds is"),
    ],
)
def test_too_little_to_choose_on(count, folds, what):
    with pytest.raises(hybrid.InputError, match=what):
        select(np.zeros((2, count)), [[0], [1]], folds)
