"""Reciprocal rank fusion against hand-worked tables."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.errors import PipelineError
from hybrid.fusion import RRF
from tests.fusion.tables import column

NOWHERE = 0


def columns():
    # document            a    b    c    d
    # rank in bm25        1    2    -    -
    # rank in dense       3    1    2    4
    # The raw scores contradict the ranks on purpose: only ranks count.
    return [
        column("bm25", "sparse", [0.1, 9.0, 7.0, 8.0], [1, 2, NOWHERE, NOWHERE]),
        column("dense", "dense", [0.9, 0.1, 0.2, 0.95], [3, 1, 2, 4]),
    ]


def test_a_table_worked_by_hand():
    # k = 1:  a 1/2 + 1/4 = 3/4    b 1/3 + 1/2 = 5/6    c 0 + 1/3    d 0 + 1/5
    fused = RRF(k=1).fuse(columns())
    assert fused.normalized.tolist() == [[1 / 2, 1 / 3, 0.0, 0.0], [1 / 4, 1 / 2, 1 / 3, 1 / 5]]
    assert fused.contributions.tolist() == fused.normalized.tolist()
    assert fused.scores.dtype == np.float32
    assert fused.scores.tolist() == np.float32([3 / 4, 1 / 3 + 1 / 2, 1 / 3, 1 / 5]).tolist()


def test_k_is_60_and_ranks_start_at_1():
    # The best possible document of two branches: 2/61.
    fused = RRF().fuse([column("a", "dense", [0.5], [1]), column("b", "dense", [0.5], [1])])
    assert fused.scores[0] == np.float32(2 / 61)


def test_weights_multiply_the_reciprocals():
    # weights 3 and 1/2, k = 1:  a 3/2 + 1/8    b 3/3 + 1/4    c 1/6    d 1/10
    fused = RRF(k=1, weights={"bm25": 3, "dense": 0.5}).fuse(columns())
    assert fused.normalized.tolist() == [[1 / 2, 1 / 3, 0.0, 0.0], [1 / 4, 1 / 2, 1 / 3, 1 / 5]]
    assert fused.contributions.tolist() == [[3 / 2, 1.0, 0.0, 0.0], [1 / 8, 1 / 4, 1 / 3 / 2, 1 / 5 / 2]]
    assert fused.scores.tolist() == np.float32([13 / 8, 5 / 4, 1 / 6, 1 / 10]).tolist()


def test_a_rank_far_down_still_counts():
    fused = RRF(k=60).fuse([column("dense", "dense", [0.0, 0.0], [940, 999_940])])
    assert fused.scores.tolist() == np.float32([1 / 1000, 1 / 1_000_000]).tolist()


@pytest.mark.parametrize("k", [5e-324, 0.5, 10**30, 1e308])
def test_any_positive_k(k):
    fused = RRF(k=k).fuse([column("bm25", "sparse", [1.0, 0.0], [1, NOWHERE])])
    assert fused.normalized.tolist() == [[1 / (float(k) + 1), 0.0]]


def test_nothing_to_fuse():
    fused = RRF().fuse([column("a", "dense", []), column("b", "sparse", [])])
    assert fused.normalized.shape == fused.contributions.shape == (2, 0)
    assert fused.scores.shape == (0,)


def test_what_it_needs():
    assert RRF().needs_ranks is True
    assert RRF().needs_minimum is False
    assert RRF().depth == 0


def test_weights_of_branches():
    branches = [("bm25", "sparse"), ("dense", "dense")]
    assert RRF().weights_for(branches) == (1.0, 1.0)
    assert RRF(weights={"dense": 2, "bm25": 0}).weights_for(branches) == (0.0, 2.0)


def test_a_branch_without_weight_is_named():
    with pytest.raises(PipelineError, match="no weight for branch 'dense'; it has 'bm25'"):
        RRF(weights={"bm25": 1}).fuse(columns())


@pytest.mark.parametrize("k", [0, -1, 0.0, float("nan"), float("inf"), True, "60", None, 10**400, 1j])
def test_k_must_be_a_positive_number(k):
    with pytest.raises(PipelineError, match=r"k is .*; give a finite number above 0"):
        RRF(k=k)
