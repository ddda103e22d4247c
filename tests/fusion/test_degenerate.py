"""Lists that say nothing: no document, one, or several alike."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.fusion import NORMALIZERS, MinMax, Summary
from tests.fusion.tables import summary

SPREAD = ["minmax", "zscore", "dbsf"]


def normalize(name, raw, everything, lower_bound):
    return NORMALIZERS[name]().normalize(np.array(raw), summary(everything, lower_bound)).tolist()


@pytest.mark.parametrize("name", SPREAD)
@pytest.mark.parametrize("score", [0.1, -0.7, 1e-30, 3.0])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
def test_equal_scores(name, score, n):
    """Their mean is rounded, so that their deviation would come out near 0 but not at it."""
    assert normalize(name, [score, score - 0.5], [score] * n, -1.0) == [0.0, 0.0]


@pytest.mark.parametrize("name", ["tm2c2", *SPREAD, "l2"])
def test_a_query_that_no_document_matches(name):
    """Every document of a sparse branch scores 0, its lower bound."""
    assert normalize(name, [0.0, 0.0], [0.0, 0.0, 0.0], 0.0) == [0.0, 0.0]


@pytest.mark.parametrize("name", sorted(NORMALIZERS))
def test_no_document(name):
    nothing = Summary(-1.0, 0.0, None, np.empty(0))
    found = NORMALIZERS[name]().normalize(np.empty(0), nothing)
    assert found.dtype == np.float64
    assert found.shape == (0,)


@pytest.mark.parametrize(
    ("name", "expected"),
    # One cosine of 1/2: bounds and norms know where 0 is, spreads are 0.
    [("tm2c2", 1.0), ("minmax", 0.0), ("zscore", 0.0), ("dbsf", 0.0), ("l2", 1.0), ("raw", 0.5)],
)
def test_one_document(name, expected):
    assert normalize(name, [0.5], [0.5], -1.0) == [expected]


def test_a_list_longer_than_the_collection():
    known = summary([4.0, 2.0, 1.0])
    assert MinMax(depth=50).normalize(np.array([4.0, 2.5, 1.0]), known).tolist() == [1.0, 0.5, 0.0]


def test_documents_below_a_list_are_told_apart():
    """Nothing is cut off: min-max of the best two, 4 and 2, is (s - 2) / 2."""
    known = summary([4.0, 2.0, 1.0, 0.0])
    assert MinMax(depth=2).normalize(np.array([4.0, 2.0, 1.0, 0.0]), known).tolist() == [1.0, 0.0, -0.5, -1.0]
