"""Products of 8-bit with 16-bit numbers, in both ways, against numpy's in 64 bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.kernels.mixed import multiply_bytes, multiply_pairs
from hybrid.kernels.tiles import BYTES

ALL = np.empty(0, np.bool_)
by_bytes = pytest.param(multiply_bytes, marks=pytest.mark.skipif(not BYTES, reason="needs AVX-512 VNNI"))
both = pytest.mark.parametrize("multiply", [multiply_pairs, by_bytes])


def drawn_pair(seed, rows, width, extreme):
    random = np.random.default_rng(seed)
    most = min(32_767, (2**31 - 1) // (127 * width))  # as `QueryCode.of` chooses it
    codes = random.integers(-127, 128, (rows, width)).astype(np.int8)
    query = random.integers(-most, most + 1, width).astype(np.int16)
    if extreme:
        codes[random.random(codes.shape) < 0.8] = random.choice([-127, 127])
        query[random.random(width) < 0.8] = random.choice([-most, most, 255, 256, -256, -1])
    return codes, query


@both
@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 5),
    st.sampled_from([1, 3, 63, 64, 65, 130, 384, 1024]),
    st.booleans(),
)
def test_products_are_those_of_64_bits(multiply, seed, rows, width, extreme):
    codes, query = drawn_pair(seed, rows, width, extreme)
    found = np.zeros(rows, np.int32)
    multiply(codes, 0, rows, ALL, query, found)
    assert found.tolist() == (codes.astype(np.int64) @ query.astype(np.int64)).tolist()


@both
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_greatest_sum_that_fits_is_right(multiply, sign):
    width = 1024
    most = (2**31 - 1) // (127 * width)
    codes, query = np.full((1, width), 127, np.int8), np.full(width, sign * most, np.int16)
    found = np.zeros(1, np.int32)
    multiply(codes, 0, 1, ALL, query, found)
    assert int(found[0]) == sign * most * 127 * width


@both
def test_a_part_of_the_rows_and_only_those_that_may(multiply):
    codes, query = drawn_pair(0, 9, 70, False)
    eligible = np.array([True, False, True] * 3)
    found = np.full(4, 5, np.int32)
    multiply(codes, 3, 7, eligible, query, found)
    true = codes.astype(np.int64) @ query.astype(np.int64)
    assert found.tolist() == [true[3], 5, true[5], true[6]]
