"""Learned weights in 8 bits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hybrid.kernels import codes

ALL = np.arange(256, dtype=np.uint8)


def test_codes_stand_for_weights_in_ascending_order():
    weights = codes.decode(ALL).astype(np.float64)
    assert (np.diff(weights) > 0).all()
    assert (weights[0], weights[-1]) == (2.0**-9, codes.HIGHEST)
    assert weights[144:147].tolist() == [1.0, 1.0625, 1.125]
    assert np.array_equal(codes.encode(codes.decode(ALL)), ALL)
    assert np.array_equal(codes.rounded(weights), codes.decode(ALL))


@given(st.floats(2.0**-9, codes.HIGHEST))
def test_a_weight_is_kept_to_a_32nd(weight):
    kept = float(codes.rounded(np.array([weight]))[0])
    assert abs(kept - weight) <= weight / 32 * (1 + 2**-9)  # float16 lies between
    nearest = codes.decode(ALL).astype(np.float64)
    assert abs(kept - weight) <= np.abs(nearest - weight).min() + weight * 2**-10


@given(st.floats(0, 2.0**-9))
def test_small_weights_become_the_least_or_nothing(weight):
    kept = float(codes.rounded(np.array([weight]))[0])
    assert kept == (2.0**-9 if weight >= 2.0**-10 else 0.0)
