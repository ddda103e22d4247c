"""Normalisers against tables worked by hand, and their defined odd cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybrid
from hybrid.fusion import NORMALIZERS, Summary
from hybrid.fusion.normalizers import as_normalizer


def summary(top, lower_bound=0.0, minimum=None):
    top = np.array(sorted(top, reverse=True), np.float64)
    high = float(top[0]) if len(top) else 0.0
    return Summary(lower_bound, high, float(top[-1]) if minimum is None and len(top) else minimum, top)


# The list 8, 6, 4, 2 has mean 5; squared deviations 9 + 1 + 1 + 9 = 20: population deviation √5,
# sample deviation √(20/3); norm √(64 + 36 + 16 + 4) = √120.
LIST = [8.0, 6.0, 4.0, 2.0]
RAW = np.array([8.0, 5.0, 0.0])


@pytest.mark.parametrize(
    ("normalizer", "lower_bound", "expected"),
    [
        (hybrid.TM2C2(), 0.0, [1.0, 5 / 8, 0.0]),
        (hybrid.TM2C2(), -1.0, [1.0, 6 / 9, 1 / 9]),
        (hybrid.MinMax(), 0.0, [1.0, 0.5, -1 / 3]),
        (hybrid.MinMax(depth=2), 0.0, [1.0, -0.5, -3.0]),
        (hybrid.MinMax(depth=9), 0.0, [1.0, 0.5, -1 / 3]),
        (hybrid.ZScore(depth=4), 0.0, [3 / math.sqrt(5), 0.0, -5 / math.sqrt(5)]),
        (hybrid.ZScore(depth=2), 0.0, [1.0, -2.0, -7.0]),
        (
            hybrid.DBSF(depth=4),
            0.0,
            [0.5 + 3 / (6 * math.sqrt(20 / 3)), 0.5, 0.5 - 5 / (6 * math.sqrt(20 / 3))],
        ),
        (hybrid.L2(depth=4), 0.0, [8 / math.sqrt(120), 5 / math.sqrt(120), 0.0]),
        (hybrid.L2(depth=1), 0.0, [1.0, 5 / 8, 0.0]),
        (hybrid.Raw(), 0.0, [8.0, 5.0, 0.0]),
    ],
)
def test_tables(normalizer, lower_bound, expected):
    np.testing.assert_allclose(normalizer.normalize(RAW, summary(LIST, lower_bound)), expected, rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in NORMALIZERS if name != "raw"])
@pytest.mark.parametrize("top", [[], [0.0], [3.0, 3.0, 3.0]])
def test_a_list_without_spread_says_nothing(name, top):
    found = NORMALIZERS[name]().normalize(np.array([3.0, 0.0]), summary(top, top[0] if top else 0.0))
    if name == "l2" and top == [3.0, 3.0, 3.0]:
        np.testing.assert_allclose(found, [1 / math.sqrt(3), 0])
    else:
        assert found.tolist() == [0.0, 0.0]


def test_one_document():
    """A single match: full marks by its bound, none by a list of itself alone."""
    assert hybrid.TM2C2().normalize(np.array([4.0]), summary([4.0])).tolist() == [1.0]
    assert hybrid.MinMax().normalize(np.array([4.0]), summary([4.0])).tolist() == [0.0]
    assert hybrid.MinMax().normalize(np.array([4.0]), summary([4.0, 0.0])).tolist() == [1.0]
    assert hybrid.ZScore().normalize(np.array([4.0]), summary([4.0])).tolist() == [0.0]


@given(
    st.sampled_from(sorted(NORMALIZERS)),
    st.lists(st.floats(-5, 50, width=32), max_size=12),
    st.lists(st.floats(-5, 50, width=32), min_size=2, max_size=2),
)
def test_monotone(name, top, pair):
    low, high = sorted(pair)
    found = NORMALIZERS[name]().normalize(np.array([low, high]), summary(top, -6.0))
    assert np.isfinite(found).all()
    assert found[0] <= found[1]


@given(st.lists(st.floats(-1, 1, width=32, exclude_min=True), min_size=1, max_size=12))
def test_what_claims_to_be_non_negative_is(top):
    for cls in NORMALIZERS.values():
        found = cls().normalize(np.array(top), summary(top, -1.0))
        if cls().non_negative:
            assert (found >= 0).all()
            assert (found <= 1).all()


def test_values():
    assert repr(hybrid.MinMax(depth=3)) == "MinMax(depth=3)"
    assert hybrid.ZScore() == hybrid.ZScore(depth=100) != hybrid.ZScore(depth=10)
    assert as_normalizer("l2") == hybrid.L2()
    assert len({cls() for cls in NORMALIZERS.values()}) == len(NORMALIZERS)
    for depth in (0, -1, 2.5, True, "3"):
        for cls in (hybrid.MinMax, hybrid.ZScore, hybrid.DBSF, hybrid.L2):
            with pytest.raises(hybrid.PipelineError, match="at least 1"):
                cls(depth=depth)
    for value in ("min-max", 3, None, hybrid.MinMax):
        with pytest.raises(hybrid.PipelineError, match="tm2c2, minmax, zscore, dbsf, l2, raw"):
            as_normalizer(value)
