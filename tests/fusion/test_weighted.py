"""The weighted sum against hand-worked tables, and how weights are shared out."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.errors import PipelineError
from hybrid.fusion import DEFAULT_ALPHA, L2, TM2C2, MinMax, Raw, Weighted
from tests.fusion.tables import column

BM25, SPLADE, E5, BGE = ("bm25", "sparse"), ("splade", "sparse"), ("e5", "dense"), ("bge", "dense")


def columns():
    # Three documents are the whole collection.        TM2C2
    # bm25    8    4    0    bound  0, maximum 8       1    1/2  0
    # e5      0    1/2  -1   bound -1, maximum 1/2     2/3  1    0
    return [column("bm25", "sparse", [8.0, 4.0, 0.0]), column("e5", "dense", [0.0, 0.5, -1.0])]


def test_a_table_worked_by_hand():
    # alpha 3/4:  1/4 + 3/4 * 2/3 = 3/4    1/8 + 3/4 = 7/8    0
    fused = Weighted(alpha=0.75).fuse(columns())
    assert fused.normalized.tolist() == [[1.0, 0.5, 0.0], [1 / 1.5, 1.0, 0.0]]
    assert fused.contributions.tolist() == [[0.25, 0.125, 0.0], [0.75 * (1 / 1.5), 0.75, 0.0]]
    assert fused.scores.dtype == np.float32
    assert fused.scores.tolist() == [0.75, 0.875, 0.0]


def test_weights_worked_by_hand():
    # 2 and 1/2, raw:  16 + 0    8 + 1/4    0 - 1/2; weights are not scaled to sum to 1
    fused = Weighted(weights={"e5": 0.5, "bm25": 2}, normalizer=Raw()).fuse(columns())
    assert fused.normalized.tolist() == [[8.0, 4.0, 0.0], [0.0, 0.5, -1.0]]
    assert fused.contributions.tolist() == [[16.0, 8.0, 0.0], [0.0, 0.25, -0.5]]
    assert fused.scores.tolist() == [16.0, 8.25, -0.5]


def test_the_sum_runs_in_float64_in_branch_order_and_is_rounded_once():
    # In float32, or from the right, the 1 would be lost: 1e17 - 1e17 + 1.
    parts = {"a": 1e17, "b": -1e17, "c": 1.0}
    fused = Weighted(weights=dict.fromkeys(parts, 1), normalizer="raw").fuse(
        [column(name, "dense", [value]) for name, value in parts.items()]
    )
    assert fused.scores.tolist() == [1.0]
    # 1 + 2^-24 + 2^-40 lies above the middle of two float32 numbers; rounding twice gives 1.
    parts = {"a": 1.0, "b": 2.0**-24, "c": 2.0**-40}
    fused = Weighted(weights=dict.fromkeys(parts, 1), normalizer="raw").fuse(
        [column(name, "dense", [value]) for name, value in parts.items()]
    )
    assert fused.scores.tolist() == [1 + 2.0**-23]


@pytest.mark.parametrize(
    ("branches", "weights"),
    [
        ([BM25, E5], (0.25, 0.75)),
        ([E5, BM25], (0.75, 0.25)),
        ([BM25, E5, BGE], (0.25, 0.375, 0.375)),
        ([SPLADE, E5, BM25], (0.125, 0.75, 0.125)),
        ([SPLADE, E5, BM25, BGE], (0.125, 0.375, 0.125, 0.375)),
        ([BM25], (1.0,)),
        ([E5], (1.0,)),
        ([BM25, SPLADE], (0.5, 0.5)),
        ([E5, BGE], (0.5, 0.5)),
        ([], ()),
    ],
)
def test_alpha_is_shared_among_the_dense_branches(branches, weights):
    assert Weighted(alpha=0.75).weights_for(branches) == weights


@pytest.mark.parametrize(("alpha", "weights"), [(0, (1.0, 0.0)), (1, (0.0, 1.0))])
def test_alpha_at_its_ends(alpha, weights):
    assert Weighted(alpha=alpha).weights_for([BM25, E5]) == weights


def test_the_default_alpha():
    assert Weighted().alpha == DEFAULT_ALPHA == 0.8
    assert Weighted() == Weighted(alpha=0.8, normalizer=TM2C2())
    assert Weighted().weights_for([BM25, E5]) == pytest.approx((0.2, 0.8))


def test_weights_may_name_more_branches_than_are_searched():
    fusion = Weighted(weights={"bm25": 1, "e5": 2, "bge": 4})
    assert fusion.alpha is None
    assert fusion.weights_for([BGE, BM25]) == (4.0, 1.0)


def test_branches_without_weight_are_named():
    fusion = Weighted(weights={"bm25": 1, "e5": 2})
    with pytest.raises(PipelineError, match="no weight for branch 'bge', 'splade'; it has 'bm25', 'e5'"):
        fusion.weights_for([BGE, BM25, SPLADE])
    with pytest.raises(PipelineError, match="'bge'"):
        fusion.fuse([column("bge", "dense", [0.5])])


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan"), float("inf"), True, "0.5", 10**400])
def test_alpha_must_be_from_0_to_1(alpha):
    with pytest.raises(PipelineError, match=r"alpha is .*; give a finite number from 0 to 1"):
        Weighted(alpha=alpha)


def test_alpha_and_weights_exclude_each_other():
    with pytest.raises(PipelineError, match=r"alpha 0\.5 and weights \{'a': 1\}; give one of them"):
        Weighted(alpha=0.5, weights={"a": 1})


def test_it_needs_what_its_normalizer_needs():
    assert [
        (f.needs_ranks, f.needs_minimum, f.depth) for f in [Weighted(), Weighted(normalizer="minmax")]
    ] == [
        (False, False, 0),
        (False, True, 0),
    ]
    assert [Weighted(normalizer=n).depth for n in (MinMax(depth=7), L2(), "zscore")] == [7, 100, 100]
    assert Weighted(normalizer=MinMax(depth=7)).needs_minimum is False


def test_nothing_to_fuse():
    fused = Weighted().fuse([column("bm25", "sparse", []), column("e5", "dense", [])])
    assert fused.contributions.shape == (2, 0)
    assert fused.scores.shape == (0,)
