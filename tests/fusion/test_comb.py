"""CombSUM, CombMNZ and CombMAX against hand-worked tables."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.errors import PipelineError
from hybrid.fusion import DBSF, L2, TM2C2, CombMAX, CombMNZ, CombSUM, MinMax, Raw, ZScore
from tests.fusion.tables import column, summary

ALL = [CombSUM, CombMNZ, CombMAX]


def columns():
    # Four documents are the whole collection.    min-max
    # bm25    8    4    0    0                    1    1/2  0    0
    # e5      .25  .75  .5   .25                  0    1    1/2  0
    # bge     2    2    6    2                    0    0    1    0
    return [
        column("bm25", "sparse", [8.0, 4.0, 0.0, 0.0]),
        column("e5", "dense", [0.25, 0.75, 0.5, 0.25]),
        column("bge", "dense", [2.0, 2.0, 6.0, 2.0]),
    ]


NORMALIZED = [[1.0, 0.5, 0.0, 0.0], [0.0, 1.0, 0.5, 0.0], [0.0, 0.0, 1.0, 0.0]]


def test_sum():
    # 1    1/2 + 1    1/2 + 1    0
    fused = CombSUM().fuse(columns())
    assert fused.normalized.tolist() == fused.contributions.tolist() == NORMALIZED
    assert fused.scores.tolist() == [1.0, 1.5, 1.5, 0.0]


def test_mnz():
    # Branches above 0: 1, 2, 2, 0.    1 * 1    2 * 3/2    2 * 3/2    0
    fused = CombMNZ().fuse(columns())
    assert fused.normalized.tolist() == NORMALIZED
    assert fused.contributions.tolist() == [[1.0, 1.0, 0.0, 0.0], [0.0, 2.0, 1.0, 0.0], [0.0, 0.0, 2.0, 0.0]]
    assert fused.scores.tolist() == [1.0, 3.0, 3.0, 0.0]


def test_max():
    # The highest of each; at a tie of 0 the first branch has it.
    fused = CombMAX().fuse(columns())
    assert fused.normalized.tolist() == NORMALIZED
    assert fused.contributions.tolist() == [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    assert fused.scores.tolist() == [1.0, 1.0, 1.0, 0.0]


def test_max_below_zero():
    """The highest of negative scores is the one nearest to 0, not 0."""
    fused = CombMAX(normalizer=Raw()).fuse(
        [column("a", "dense", [-0.5, -0.25]), column("b", "dense", [-0.25, -0.75])]
    )
    assert fused.contributions.tolist() == [[0.0, -0.25], [-0.25, 0.0]]
    assert fused.scores.tolist() == [-0.25, -0.25]


def test_max_ties_belong_to_the_first_branch():
    fused = CombMAX(normalizer="raw").fuse([column("a", "dense", [0.5]), column("b", "dense", [0.5])])
    assert fused.contributions.tolist() == [[0.5], [0.0]]


def test_another_normalizer():
    # TM2C2 of bge: (s + 1) / 7
    fused = CombSUM(normalizer="tm2c2").fuse(columns()[2:])
    assert fused.scores.tolist() == np.float32([3 / 7, 3 / 7, 1.0, 3 / 7]).tolist()


def test_mnz_does_not_go_below_zero_when_a_cosine_rounds_below_its_bound():
    """A cosine of -1 - 1e-7 counts as -1: else a document that gains a score would lose."""
    known = summary([1.0, -1.0], -1.0)
    just_below = [-1.0000001, -1.0000001]
    fused = CombMNZ(normalizer=TM2C2()).fuse(
        [
            column("a", "dense", just_below, known=known),
            column("b", "dense", [-1.0, -1.0 + 2.0**-30], known=known),
        ]
    )
    assert fused.normalized.tolist() == [[0.0, 0.0], [0.0, 2.0**-31]]
    assert fused.scores.tolist() == [0.0, 2.0**-31]


@pytest.mark.parametrize("normalizer", [ZScore(), DBSF(), L2(), Raw(), MinMax(depth=5), "zscore", "raw"])
def test_mnz_refuses_normalizers_that_go_below_zero(normalizer):
    with pytest.raises(PipelineError, match=r"CombMNZ cannot use .*below 0; use TM2C2\(\) or MinMax\(\)"):
        CombMNZ(normalizer=normalizer)


@pytest.mark.parametrize("kind", ALL)
def test_what_they_need(kind):
    branches = [("bm25", "sparse"), ("e5", "dense")]
    assert (kind().needs_ranks, kind().needs_minimum, kind().depth) == (False, True, 0)
    assert (kind("tm2c2").needs_minimum, kind("tm2c2").depth) == (False, 0)
    assert kind().weights_for(branches) == (1.0, 1.0)
    assert kind().weights_for([]) == ()


def test_depth_is_the_normalizers():
    assert [CombSUM(n).depth for n in (MinMax(depth=7), L2(), DBSF(depth=20))] == [7, 100, 20]


@pytest.mark.parametrize("kind", ALL)
def test_nothing_to_fuse(kind):
    fused = kind().fuse([column("bm25", "sparse", []), column("e5", "dense", [])])
    assert fused.normalized.shape == fused.contributions.shape == (2, 0)
    assert fused.scores.shape == (0,)


@pytest.mark.parametrize("kind", ALL)
def test_one_document_says_nothing(kind):
    """Its minimum is its maximum, in every branch."""
    fused = kind().fuse([column("bm25", "sparse", [3.0]), column("e5", "dense", [0.5])])
    assert fused.normalized.tolist() == [[0.0], [0.0]]
    assert fused.scores.tolist() == [0.0]
