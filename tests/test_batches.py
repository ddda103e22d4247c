"""Batches: rows taken and put together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.batches import DenseBatch, Encoded, SparseBatch, TokenBatch


def encoded(sizes):
    """Texts of which each has its number of terms and of tokens, all different."""
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    total, n = int(indptr[-1]), len(sizes)
    entries = np.arange(total)
    cut = np.arange(n) % 2 == 0
    return Encoded(
        DenseBatch(np.arange(2.0 * n, dtype=np.float32).reshape(n, 2), cut),
        SparseBatch(indptr, entries.astype(np.int32), entries.astype(np.float32) + 1, cut),
        TokenBatch(indptr, np.stack([entries, -entries], axis=1).astype(np.float32), cut),
    )


def rows(batch):
    """Spell an Encoded as plain lists, a text at a time."""
    return [
        (
            batch.dense.vectors[n].tolist(),
            batch.sparse.terms[slice(*batch.sparse.indptr[n : n + 2])].tolist(),
            batch.sparse.weights[slice(*batch.sparse.indptr[n : n + 2])].tolist(),
            batch.tokens.vectors[slice(*batch.tokens.indptr[n : n + 2])].tolist(),
            [bool(b.truncated[n]) for b in (batch.dense, batch.sparse, batch.tokens)],
        )
        for n in range(len(batch))
    ]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.data())
def test_take_and_concat_are_those_of_lists(sizes, data):
    batch = encoded(sizes)
    chosen = data.draw(st.lists(st.integers(0, len(sizes) - 1), max_size=8))
    taken = batch.take(np.array(chosen, np.int64))
    assert rows(taken) == [rows(batch)[n] for n in chosen]
    assert rows(Encoded.concat([batch, taken])) == rows(batch) + rows(taken)
    assert taken.sparse.terms.dtype == np.int32


def test_what_was_not_wanted_is_not_there():
    batch = Encoded(dense=encoded([1]).dense)
    assert len(batch) == 1
    assert batch["dense"] is batch.dense
    with pytest.raises(KeyError, match="tokens"):
        batch["tokens"]
    assert len(Encoded()) == 0
