"""MaxSim: the best token of each document, exact whatever the nearly right products were worth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.index.dense.vectors import Vectors
from hybrid.index.multivector import TokenForm, TokenQuery, fit
from hybrid.index.multivector.codec import Kept
from hybrid.index.multivector.maxsim import StoredTokens
from hybrid.kernels import steps, tiles
from hybrid.kernels.inner import float32_error, row_lengths, row_sums
from hybrid.kernels.maxsim import pick
from hybrid.kernels.tiles import LANES, lanes_for


def exactly(tokens, scales, bounds, query):
    """The same, token by token, in float64."""
    products = np.stack([row_sums(tokens * vector) for vector in query], axis=1)
    if len(scales):
        products *= scales.astype(np.float64)[:, None]
    return np.stack([products[a:b].max(axis=0) for a, b in pairwise(bounds)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 4), st.integers(1, 24), st.data())
def test_the_pick_is_exact_with_any_product_within_the_error(sizes, m, d, data):
    seed, scaled, sign = data.draw(
        st.tuples(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([-1, 1]))
    )
    rng = np.random.default_rng(seed)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    tokens = rng.choice(np.float32([-1, -0.5, 0, 0.1, 0.1000001, 0.7]), (bounds[-1], d))  # many near ties
    query = rng.choice(np.float32([-1, 0.3, 0.3000001, 1]), (m, d)).astype(np.float64)
    scales = rng.choice(np.float32([0.5, 0.25, 3e-3]), bounds[-1]) if scaled else np.empty(0, np.float32)
    lengths = np.sqrt((query**2).sum(axis=1))
    longest = float(row_lengths(tokens).max())
    errors = np.array([float32_error(d, float(length), longest * 1.0001) for length in lengths])
    # the worst product that the bound allows: every entry wrong by nearly as much, up or down
    wrong = sign * 0.9 * errors * rng.choice([-1, 1], (len(tokens), 1))
    factor = scales[:, None].astype(np.float64) if scaled else 1.0
    products = np.zeros((len(tokens), lanes_for(m)), np.float32)
    products[:, :m] = (tokens.astype(np.float64) @ query.T + wrong) * factor
    best = np.empty((len(sizes), m))
    for n, (a, b) in enumerate(pairwise(bounds)):
        slack = errors * (float(scales[a:b].max()) if scaled else 1.0)
        pick(tokens[a:b], scales[a:b], products[a:b], query, slack, best[n])
    np.testing.assert_array_equal(best, exactly(tokens, scales, bounds, query))  # 0 equals -0


STORAGES = ("float32", "float16", "int8", "residual4", "residual2")


@pytest.mark.parametrize("compact", [True, False], ids=["bytes", "no bytes"])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(
    ("m", "d"), [(1, 1), (3, 7), (8, 12), (17, 64), (32, 128), (41, 20), (5, 384), (2, 16)]
)
def test_scores_equal_brute_force_to_the_bit(storage, m, d, compact, monkeypatch):
    monkeypatch.setattr(tiles, "BYTES", compact and tiles.BYTES)
    monkeypatch.setattr(steps, "STEPS", compact and steps.STEPS)
    rng = np.random.default_rng(m)
    bounds = np.concatenate([[0], np.cumsum(rng.integers(1, 40, 30))])
    vectors = rng.standard_normal((bounds[-1], d)).astype(np.float32)
    vectors[::3] = vectors[0]  # equal tokens
    vectors[1::7] *= np.float32(1e-3)
    vectors[5] = 0
    query = rng.standard_normal((m, d)).astype(np.float32)
    query[0] = vectors[2]
    if storage.startswith("residual"):
        form = TokenForm(storage, clusters=9)
        codec = fit(vectors, form)
        kept = codec.encode(vectors, form)
        decoded, scales = codec.unpacked(kept.values, kept.codes), kept.scales
    else:
        plain = Vectors.of(vectors, storage)
        codec, kept = None, Kept.plain(plain)
        decoded, scales = plain.values.astype(np.float32), plain.scales
    stored = StoredTokens(bounds, kept, codec)
    chosen = rng.permutation(30)[:20]
    found = stored.best(chosen, TokenQuery(query))
    expected = exactly(decoded, scales, bounds, query.astype(np.float64))
    np.testing.assert_array_equal(found, expected[chosen])
    alone = stored.best(chosen[:1], TokenQuery(query))
    np.testing.assert_array_equal(alone, expected[chosen[:1]])


def test_a_query_of_zeros_and_one_that_bytes_cannot_say():
    tokens = np.int8([[3, 4, 0, 0], [4, 3, 0, 0], [0, 0, 0, 0]])
    stored = StoredTokens(np.array([0, 2, 3]), Kept.plain(Vectors(tokens, np.float32([0.5, 0.5, 0.0]))))
    near = 1e-7  # its byte is 0
    query = np.float32([[0, 0, 0, 0], [1, 1 + near, 0, 0], [near, 0, -1, 0]])
    found = stored.best(np.array([1, 0]), TokenQuery(query))
    above = np.float64(np.float32(1 + near))
    np.testing.assert_array_equal(found, [[0, 0, 0], [0, 1.5 + 2 * above, 2 * np.float64(np.float32(near))]])


@pytest.mark.parametrize("scale", [1e-38, 1e-44, 1e15])
def test_scores_of_tiny_and_huge_tokens_are_exact(scale):
    rng = np.random.default_rng(5)
    plain = Vectors.of((rng.standard_normal((50, 8)) * scale).astype(np.float32), "int8")
    query = rng.standard_normal((9, 8)).astype(np.float32)
    bounds = np.array([0, 20, 50])
    found = StoredTokens(bounds, Kept.plain(plain)).best(np.arange(2), TokenQuery(query))
    expected = exactly(plain.values.astype(np.float32), plain.scales, bounds, query.astype(np.float64))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("count", "d", "m"), [(1, 1, 1), (2, 8, 9), (3, 5, 17), (9, 33, 24), (20, 128, 40)])
def test_products_are_those_of_a_matrix(count, d, m):
    rng = np.random.default_rng(count)
    tokens, query = (rng.standard_normal((n, d)).astype(np.float32) for n in (count, m))
    out = np.full((count + 1, lanes_for(m)), 5, np.float32)
    tiles.multiply(tokens, tiles.arranged(query), out)
    np.testing.assert_allclose(out[:count, :m], tokens.astype(np.float64) @ query.T, atol=1e-4)
    assert (out[:count, m:] == 0).all()
    assert (out[count] == 5).all()


@pytest.mark.skipif(not tiles.BYTES, reason="the processor has no products of bytes")
@pytest.mark.parametrize(("count", "d", "m"), [(1, 4, 1), (7, 8, 9), (9, 128, 24), (20, 4096, 40)])
def test_products_of_bytes_are_whole_numbers(count, d, m):
    rng = np.random.default_rng(count)
    tokens, query = (rng.integers(-128, 128, (n, d)).astype(np.int8) for n in (count, m))
    tokens[0], query[0] = -128, -128  # as far from 0 as can be
    offsets = np.zeros(lanes_for(m), np.int32)
    offsets[:m] = -128 * query.astype(np.int32).sum(axis=1)
    out = np.full((count + 1, lanes_for(m)), 5, np.float32)
    flipped = tokens.view(np.uint8) ^ np.uint8(128)
    tiles.multiply_bytes(flipped, tiles.arranged(query, 4), offsets, out)
    expected = (tokens.astype(np.int64) @ query.T.astype(np.int64)).astype(np.float32)
    np.testing.assert_array_equal(out[:count, :m], expected)
    assert (out[count] == 5).all()


@pytest.mark.skipif(not steps.STEPS, reason="the processor cannot look up 64 bytes at once")
@pytest.mark.parametrize("bits", [4, 2])
@pytest.mark.parametrize(("count", "d", "m"), [(1, 16, 1), (15, 32, 8), (17, 16, 9), (33, 384, 41)])
def test_products_of_steps_are_whole_numbers(bits, count, d, m):
    rng = np.random.default_rng(count)
    packed = rng.integers(0, 256, (count, d * bits // 8)).astype(np.uint8)
    table = rng.integers(1, 256, (d // 4, 64)).astype(np.uint8)
    query = rng.integers(-127, 128, (m, d)).astype(np.int8)
    offsets = np.zeros(lanes_for(m), np.int32)
    offsets[:m] = -128 * query.astype(np.int32).sum(axis=1)
    out = np.full((count + 1, lanes_for(m)), 5, np.float32)
    largest = steps.multiply_steps(packed, table, tiles.arranged(query, 4), offsets, out)
    number = np.arange(d)
    step = packed[:, number * bits // 8] >> (number * bits % 8) & ((1 << bits) - 1)
    levels = table[number // 4, number % 4 * 16 + step].astype(np.int64) - 128
    np.testing.assert_array_equal(out[:count, :m], (levels @ query.T.astype(np.int64)).astype(np.float32))
    assert (out[count] == 5).all()
    assert largest == (levels**2).sum(axis=1).max()


@pytest.mark.skipif(not steps.STEPS, reason="the processor cannot look up 64 bytes at once")
@pytest.mark.parametrize(
    ("magnitude", "asked"), [(1e-3, 1), (100, 1e-30), (1, 1e-42), (1, 1e15), (1e-30, 1e10)]
)
def test_steps_of_tiny_and_huge_numbers_are_exact(magnitude, asked, monkeypatch):
    rng = np.random.default_rng(2)
    vectors = (rng.standard_normal((400, 16)) * magnitude).astype(np.float32)
    vectors[::5] = vectors[0]
    form = TokenForm("residual4", clusters=3)
    codec = fit(vectors, form)
    stored = StoredTokens(np.arange(0, 401, 40), codec.encode(vectors, form), codec)
    query = TokenQuery((rng.standard_normal((9, 16)) * asked).astype(np.float32))
    found = stored.best(np.arange(10), query)
    assert codec.fingerprint in query.known  # it took the products of steps
    monkeypatch.setattr(steps, "STEPS", False)
    np.testing.assert_array_equal(found, stored.best(np.arange(10), query))


def test_peaks_by_hand():
    products = np.full((4, LANES), -np.inf, np.float32)
    products[:, 0] = [3, 7, 7, 100]  # the last row does not count
    products[:, 1] = [-5, -4, -6, 0]
    high, second, row = np.empty(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.int32)
    tiles.peaks(products, 3, high, second, row)
    assert (high[:3].tolist(), second[:2].tolist(), row[:3].tolist()) == (
        [7, -4, -np.inf],
        [7, -5],
        [1, 1, 0],
    )
