"""The scan over codes: no bound is ever broken, and sums have the bits of the plain way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hybrid.index.dense.codes import Codes, QueryCode, rounded_up
from hybrid.kernels.inner import float32_error, inner_products, row_lengths
from hybrid.kernels.scan import collect, count_above, count_near, products

ALL = np.empty(0, np.bool_)
NO_SUMS = np.empty(0, np.int32)
extreme = st.one_of(
    st.floats(-1, 1, width=32),
    st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 1e-38, 1e-20, 1e17, -1e17, 3.0, 127.0]),
)
pairs = st.tuples(st.integers(1, 12), st.integers(1, 9)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float32, shape, elements=extreme),
        arrays(np.float32, shape[1], elements=extreme),
        st.integers(1, shape[1]),
    )
)


def scanned(vectors, query, prefix):
    codes, code = Codes.of(vectors, row_lengths(vectors), prefix), QueryCode.of(query, prefix)
    return codes.codes, codes.bounds, ALL, code.numbers, code.factor, code.weights, NO_SUMS, False


def nowhere():
    return np.array([-np.inf])


@settings(max_examples=300, deadline=None)
@given(pairs)
def test_every_score_is_within_its_bounds(drawn):
    vectors, query, prefix = drawn
    n = len(vectors)
    rows, lows, highs = collect(*scanned(vectors, query, prefix), 0, n, n + 1, nowhere())
    assert rows.tolist() == list(range(n))
    true = inner_products(vectors, query).astype(np.float64)
    assert (lows <= true).all()
    assert (true <= highs).all()


@settings(max_examples=200, deadline=None)
@given(pairs, st.integers(1, 12), st.integers(0, 11))
def test_what_is_left_out_is_below_the_best(drawn, k, start):
    vectors, query, prefix = drawn
    stop = len(vectors)
    floor = nowhere()
    rows, _, highs = collect(*scanned(vectors, query, prefix), min(start, stop), stop, k, floor)
    true = inner_products(vectors, query)
    inside = np.arange(min(start, stop), stop)
    best = np.sort(true[inside])[::-1][:k]
    assert set(inside[true[inside] >= best[-1]].tolist() if len(best) else []) <= set(rows.tolist())
    assert floor[0] == -np.inf if len(inside) < k else floor[0] <= best[-1]
    assert (highs >= floor[0]).all()


@settings(max_examples=200, deadline=None)
@given(pairs, st.lists(st.integers(0, 11), min_size=1, max_size=4))
def test_counts_are_certain(drawn, chosen):
    vectors, query, prefix = drawn
    true = inner_products(vectors, query)
    levels = np.unique(true[np.array(chosen) % len(true)]).astype(np.float64)
    above, rows = count_above(*scanned(vectors, query, prefix), 0, len(vectors), levels)
    certain = np.setdiff1d(np.arange(len(vectors)), rows)
    expected = np.bincount(np.searchsorted(levels, true[certain]), minlength=len(levels) + 1)
    assert above.tolist() == expected.tolist()
    assert not np.isin(true[certain], levels).any()


@settings(max_examples=200, deadline=None)
@given(pairs, st.lists(st.integers(0, 11), min_size=1, max_size=4), st.integers(0, 11))
def test_rough_counts_are_certain_too(drawn, chosen, first):
    vectors, query, _ = drawn
    true = inner_products(vectors, query)
    levels = np.unique(true[np.array(chosen) % len(true)]).astype(np.float64)
    asked = np.arange(min(first, len(true)), len(true))
    longest, length = (float(row_lengths(rows).max()) * (1 + 1e-9) for rows in (vectors, query[None]))
    error = float32_error(len(query), length, longest)
    above, rows = count_near(vectors, asked, query, error, levels)
    certain = np.setdiff1d(asked, rows)
    expected = np.bincount(np.searchsorted(levels, true[certain]), minlength=len(levels) + 1)
    assert above.tolist() == expected.tolist()
    assert not np.isin(true[certain], levels).any()


def test_rough_counts_leave_few_open():
    random = np.random.default_rng(0)
    vectors = random.standard_normal((9000, 64)).astype(np.float32)
    query, rows = vectors[0], np.arange(9000)
    true = inner_products(vectors, query)
    error = float32_error(64, float(np.linalg.norm(query)) * 1.001, float(row_lengths(vectors).max()))
    levels = np.sort(true).astype(np.float64)[::100]
    above, unsure = count_near(vectors, rows, query, error, levels)
    assert len(levels) <= len(unsure) < 300
    assert above.sum() + len(unsure) == 9000


def test_many_candidates_need_more_room():
    random = np.random.default_rng(0)
    vectors = random.standard_normal((9000, 8)).astype(np.float32)
    query = random.standard_normal(8).astype(np.float32)
    true = inner_products(vectors, query)
    for rows_in_order in (np.argsort(true), np.argsort(-true)):  # each better, or each worse than the last
        ordered = vectors[rows_in_order]
        for k in (1, 5000):
            rows, _, _ = collect(*scanned(ordered, query, 8), 0, 9000, k, nowhere())
            best = np.argsort(-true[rows_in_order], kind="stable")[:k]
            assert set(best.tolist()) <= set(rows.tolist())
            assert len(rows) < k + 2000
    levels = np.sort(true).astype(np.float64)[::4]
    assert len(count_above(*scanned(vectors, query, 8), 0, 9000, levels)[1]) > 2048


def test_a_second_scan_needs_no_codes():
    random = np.random.default_rng(0)
    vectors, query = random.standard_normal((500, 8)).astype("f4"), random.standard_normal(8).astype("f4")
    codes, bounds, *rest, _, _ = scanned(vectors, query, 8)
    sums, levels = np.empty(500, np.int32), np.float64([-1, 0, 1])
    first = collect(codes, bounds, *rest, sums, False, 0, 500, 7, nowhere())
    again = collect(codes * 0, bounds, *rest, sums, True, 0, 500, 7, nowhere())
    assert [column.tolist() for column in first] == [column.tolist() for column in again]
    counted = count_above(codes, bounds, *rest, NO_SUMS, False, 0, 500, levels)
    again = count_above(codes * 0, bounds, *rest, sums, True, 0, 500, levels)
    assert [column.tolist() for column in counted] == [column.tolist() for column in again]


def test_only_the_eligible_are_looked_at():
    vectors = np.float32([[3], [2], [1], [2.5]])
    codes, bounds, _, *rest = scanned(vectors, np.float32([1]), 1)
    eligible = np.array([False, True, True, False])
    rows, _, _ = collect(codes, bounds, eligible, *rest, 0, 4, 1, nowhere())
    assert rows.tolist() == [1]
    above, unsure = count_above(codes, bounds, eligible, *rest, 0, 4, np.array([1.5]))
    assert (above.tolist(), unsure.tolist()) == ([1, 1], [])


@pytest.mark.parametrize("dimension", [1, 2, 3, 7, 64, 383, 384, 1000])
def test_products_have_the_bits_of_the_plain_way(dimension):
    random = np.random.default_rng(dimension)
    vectors = (random.standard_normal((50, dimension)) * 10.0 ** random.integers(-9, 9, (50, 1))).astype("f4")
    query = random.standard_normal(dimension).astype(np.float32)
    rows = np.concatenate([np.arange(50), [7, 7, 0]])
    found = products(vectors, rows, query.astype(np.float64))
    assert found.tobytes() == inner_products(vectors[rows], query).tobytes()
    assert not np.signbit(products(-vectors[:1] * 0, np.arange(1), query.astype(np.float64)))[0]


@pytest.mark.parametrize("dimension", [1, 384, 3000])
def test_no_inner_product_overflows(dimension):
    vectors = np.ones((1, dimension), np.float32)
    _, lows, highs = collect(*scanned(vectors, vectors[0], dimension), 0, 1, 1, nowhere())
    assert lows[0] <= dimension <= highs[0]
    assert highs[0] - lows[0] < 0.02 * dimension


def test_the_bounds_are_of_use():
    """Of unit vectors, about as far as 8 bits go."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((100, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    _, lows, highs = collect(*scanned(vectors, vectors[0], 384), 0, 100, 100, nowhere())
    assert (highs - lows).max() < 0.025


@given(st.floats(0, 1e18))
def test_rounding_up(value):
    assert float(rounded_up(np.array([value]))[0]) >= value


def test_what_is_not_eligible_is_never_returned():
    random = np.random.default_rng(0)
    vectors, query = random.standard_normal((3000, 96)).astype("f4"), random.standard_normal(96).astype("f4")
    true = inner_products(vectors, query)
    codes, bounds, _, *rest = scanned(vectors, query, 96)
    for share in (0.0, 0.001, 0.5):
        eligible = random.random(3000) < share
        inside = np.flatnonzero(eligible)
        for k in (1, 40, 5000):  # also more than there are, so that no floor is ever known
            rows, lows, highs = collect(codes, bounds, eligible, *rest, 0, 3000, k, nowhere())
            assert set(inside[np.argsort(-true[inside])[:k]]) <= set(rows) <= set(inside)
            assert (lows <= true[rows]).all()
            assert (true[rows] <= highs).all()
        levels = np.quantile(true, [0.1, 0.9])
        above, unsure = count_above(codes, bounds, eligible, *rest, 0, 3000, levels)
        assert above.sum() + len(unsure) == len(inside)
        assert set(unsure) <= set(inside)
