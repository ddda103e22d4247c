"""Keys and values: everything that decides a value is in its key, and values come back bit for bit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hybrid.batches import DenseBatch, SparseBatch, TokenBatch
from hybrid.encoders.caching.entries import intact, key, pack, space, unpack

FLOATS = st.floats(-(2.0**99), 2.0**99, width=32)


def test_every_part_of_a_key_counts():
    spaces = [
        space({"model": "m"}),
        space({"model": "m", "dtype": "float16"}),
        space({"model": "m"}, b"salt"),
    ]
    found = {
        key(*parts)
        for parts in itertools.product(
            spaces,
            ["document", "query", None],
            ["dense", "sparse"],
            ["", "a", "a ", "é", "e\u0301", "\ud800"],
        )
    }
    assert len(found) == 3 * 3 * 2 * 6
    assert {len(name) for name in found} == {20}


def test_the_order_of_a_fingerprint_does_not_count():
    assert space({"a": 1, "b": True}) == space({"b": True, "a": 1})
    assert space({"a": 1}) != space({"a": "1"})


@given(arrays(np.float32, st.tuples(st.integers(1, 4), st.just(5)), elements=FLOATS), st.data())
def test_dense_vectors_come_back(vectors, data):
    flags = data.draw(arrays(np.bool_, len(vectors)))
    values = pack("dense", DenseBatch(vectors, flags))
    assert all(intact(value, "dense", 5) for value in values)
    found = unpack("dense", values, 5)
    assert found.vectors.tobytes() == vectors.tobytes()  # -0.0 too
    assert found.truncated.tolist() == flags.tolist()


SIZES = st.lists(st.integers(0, 4), min_size=1, max_size=5)


@given(SIZES, st.data())
def test_sparse_weights_come_back(sizes, data):
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    terms = data.draw(arrays(np.int32, int(indptr[-1]), elements=st.integers(0, 2**31 - 1)))
    weights = data.draw(arrays(np.float32, int(indptr[-1]), elements=st.floats(2.0**-100, 2.0**99, width=32)))
    values = pack("sparse", SparseBatch(indptr, terms, weights, np.ones(len(sizes), np.bool_)))
    assert all(intact(value, "sparse", 0) for value in values)
    found = unpack("sparse", values, 0)
    assert found.indptr.tolist() == indptr.tolist()
    assert found.terms.tolist() == terms.tolist()
    assert found.weights.tobytes() == weights.tobytes()
    assert found.truncated.all()


@given(SIZES, st.data())
def test_token_vectors_come_back(sizes, data):
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    vectors = data.draw(arrays(np.float32, (int(indptr[-1]), 3), elements=FLOATS))
    values = pack("tokens", TokenBatch(indptr, vectors, np.zeros(len(sizes), np.bool_)))
    assert all(intact(value, "tokens", 3) for value in values)
    found = unpack("tokens", values, 3)
    assert found.indptr.tolist() == indptr.tolist()
    assert found.vectors.tobytes() == vectors.tobytes()


def test_any_changed_byte_is_noticed():
    (value,) = pack("dense", DenseBatch(np.float32([[1, 2]]), np.array([True])))
    for n in range(len(value)):
        changed = value[:n] + bytes([value[n] ^ 1]) + value[n + 1 :]
        assert not intact(changed, "dense", 2), n
    for wrong in (None, b"", value[:-1], value[:5], "text"):
        assert not intact(wrong, "dense", 2)
    assert not intact(value, "dense", 3)
    assert not intact(value, "tokens", 3)


@pytest.mark.parametrize(
    ("kind", "batch"),
    [
        ("dense", DenseBatch(np.float32([[1, np.nan]]), np.array([False]))),
        ("dense", DenseBatch(np.float32([1, 2]), np.array([False]))),
        ("sparse", SparseBatch(np.array([0, 1]), np.int32([1]), np.float32([0]), np.array([False]))),
        ("tokens", TokenBatch(np.array([0, 1]), np.float32([[np.inf]]), np.array([False]))),
    ],
)
def test_what_no_branch_accepts_is_not_kept(kind, batch):
    with pytest.raises(ValueError, match="finite"):
        pack(kind, batch)
