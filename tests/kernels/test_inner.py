"""Inner products: right to the last bit, and the same whatever else is computed."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hybrid.kernels.inner import float32_error, inner_products, row_lengths

numbers = st.floats(-1e9, 1e9, width=32)
pairs = st.integers(1, 40).flatmap(lambda d: arrays(np.float32, (2, d), elements=numbers))


def exactly(x, y) -> Fraction:
    return sum((Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x, y, strict=True)), Fraction(0))


def test_by_hand():
    vectors = np.float32([[1, 2, 3], [4, 5, 6], [0, 0, 0]])
    assert inner_products(vectors, np.float32([1, 10, 100])).tolist() == [321, 654, 0]
    assert row_lengths(np.float32([[3, 4], [0, 0], [1, 1]])).tolist() == [5, 0, math.sqrt(2)]
    assert inner_products(np.empty((0, 3), np.float32), np.float32([1, 2, 3])).shape == (0,)


def test_no_negative_zero():
    assert not np.signbit(inner_products(np.float32([[-1, 0], [-0.0, -0.0]]), np.float32([0, 1]))).any()


@settings(deadline=None)
@given(pairs)
def test_close_to_the_exact_value(pair):
    found = float(inner_products(pair[:1], pair[1])[0])
    exact = exactly(*pair)
    magnitude = exactly(np.abs(pair[0]), np.abs(pair[1]))
    assert abs(Fraction(found) - exact) <= abs(exact) / 2**24 + magnitude / 2**46 + Fraction(2) ** -149


@pytest.mark.parametrize("dimension", [1, 2, 3, 7, 64, 384, 1000])
def test_a_row_does_not_depend_on_the_others(dimension):
    random = np.random.default_rng(dimension)
    vectors = random.standard_normal((2000, dimension)).astype(np.float32)
    query = random.standard_normal(dimension).astype(np.float32)
    whole = inner_products(vectors, query)
    for some in (slice(0, 1), slice(1, 2), slice(3, 700), slice(0, 2000, 7), [5, 5, 1999, 0]):
        np.testing.assert_array_equal(inner_products(vectors[some], query), whole[some])
        np.testing.assert_array_equal(row_lengths(vectors[some]), row_lengths(vectors)[some])
    np.testing.assert_array_equal(inner_products(vectors, -query), -whole)


@settings(deadline=None)
@given(pairs)
def test_the_error_bound_holds_for_any_order(pair):
    """In float32, forwards, backwards, by halves and by the BLAS library."""
    true = float(inner_products(pair[:1], pair[1])[0])
    products = pair[0] * pair[1]
    results = [pair[0] @ pair[1], products.sum(), np.cumsum(products)[-1], np.cumsum(products[::-1])[-1]]
    bound = float32_error(len(products), *row_lengths(pair).tolist())
    for result in results:
        assert abs(float(result) - true) <= bound


def test_the_error_bound_is_of_use():
    assert float32_error(384, 1.0, 1.0) == pytest.approx(386 / 2**24, rel=1e-3)
