"""MaxSim: the best token of each document, exact whatever the matrix product was worth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.kernels.inner import float32_error, row_lengths, row_sums
from hybrid.kernels.maxsim import LANES, gather, gather_halves, maxsim, multiply, pick


def exactly(tokens, scales, bounds, query):
    """The same, token by token, in float64."""
    products = np.stack([row_sums(tokens * vector) for vector in query], axis=1)
    if len(scales):
        products *= scales.astype(np.float64)[:, None]
    return np.stack([products[a:b].max(axis=0) for a, b in pairwise(bounds)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 4), st.integers(1, 24), st.data())
def test_equals_brute_force_to_the_bit_with_any_product_within_the_error(sizes, m, d, data):
    seed, scaled, sign = data.draw(
        st.tuples(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([-1, 1]))
    )
    rng = np.random.default_rng(seed)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    tokens = rng.choice(np.float32([-1, -0.5, 0, 0.1, 0.1000001, 0.7]), (bounds[-1], d))  # many near ties
    query = rng.choice(np.float32([-1, 0.3, 0.3000001, 1]), (m, d)).astype(np.float64)
    scales = rng.choice(np.float32([0.5, 0.25, 3e-3]), bounds[-1]) if scaled else np.empty(0, np.float32)
    longest = float(row_lengths(tokens).max())
    lengths = np.sqrt((query**2).sum(axis=1))
    errors = np.array([float32_error(d, float(length), longest * 1.0001) for length in lengths])
    # the worst product that the bound allows: every entry wrong by nearly as much, up or down
    products = (tokens.astype(np.float64) @ query.T + sign * 0.9 * errors).astype(np.float32)
    errors += np.abs(products).max() * 2.0**-24
    best = np.empty((len(sizes), m))
    for n, (a, b) in enumerate(pairwise(bounds)):
        pick(tokens[a:b], scales[a:b], products[a:b].copy(), query, errors, best[n])
    expected = exactly(tokens, scales, bounds, query)
    np.testing.assert_array_equal(best, expected)  # 0 equals -0
    padded = np.zeros((-(-m // LANES) * LANES, d), np.float32)
    padded[:m] = query
    best[:] = 7
    maxsim(tokens, scales, bounds[:-1], np.diff(bounds), padded, query, errors, best)
    np.testing.assert_array_equal(best, expected)


@pytest.mark.parametrize(("count", "d"), [(1, 1), (2, 8), (3, 5), (4, 16), (5, 128), (9, 33)])
def test_products_are_those_of_a_matrix(count, d):
    rng = np.random.default_rng(count)
    tokens, query = (rng.standard_normal((n, d)).astype(np.float32) for n in (count, 8))
    out = np.full((count + 1, 8), 5, np.float32)
    multiply(tokens, query, out)
    np.testing.assert_allclose(out[:count], tokens.astype(np.float64) @ query.T, atol=1e-5)
    assert (out[count] == 5).all()


def test_every_finite_half_is_decoded_exactly():
    bits = np.arange(1 << 16, dtype=np.uint16)
    bits = bits[np.isfinite(bits.view(np.float16))][:, None]
    out = np.empty((len(bits), 1), np.float32)
    gather_halves(bits, np.array([0]), np.array([len(bits)]), out)
    assert out.tobytes() == bits.view(np.float16).astype(np.float32).tobytes()


def test_gather_puts_runs_end_to_end():
    values = np.arange(12, dtype=np.int8).reshape(6, 2)
    out = np.empty((3, 2), np.float32)
    gather(values, np.array([4, 1]), np.array([2, 1]), out)
    assert out.tolist() == [[8, 9], [10, 11], [2, 3]]
