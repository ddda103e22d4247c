"""Maximal marginal relevance: by hand, and against the definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hybrid.kernels.mmr import mmr


def test_by_hand():
    """At 0.5: first the best; then .2/2 - 0, against .9/2 - 1/2 of its twin; the twin comes last."""
    vectors = np.float32([[2, 0], [3, 0], [0, 5]])
    order, values = mmr(np.array([1.0, 0.9, 0.2]), vectors, 0.5)
    assert order.tolist() == [0, 2, 1]
    assert values.tolist() == np.float32([0.5, 0.1, -0.05]).tolist()


def test_a_weight_of_one_keeps_the_order_and_ties_go_to_the_first():
    relevance, vectors = np.array([0.5, 1.0, 0.5]), np.ones((3, 2), np.float32)
    assert mmr(relevance, vectors, 1.0)[0].tolist() == [1, 0, 2]
    assert mmr(relevance, np.zeros((3, 2), np.float32), 0.0)[0].tolist() == [0, 1, 2]


@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0, 1))
def test_every_choice_is_the_definition_s(seed, n, weight):
    rng = np.random.default_rng(seed)
    relevance, vectors = rng.random(n), rng.standard_normal((n, 3)).astype(np.float32)
    order, values = mmr(relevance, vectors, weight)
    assert sorted(order.tolist()) == list(range(n))
    assert (np.diff(values) <= 0).all()
    units = vectors.astype(float) / np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
    for step, chosen in enumerate(order.tolist()):
        before = order[:step].tolist()
        worth = {
            c: weight * relevance[c]
            - (1 - weight) * max([0.0, *(float(units[c] @ units[b]) for b in before)])
            for c in order[step:].tolist()
        }
        assert worth[chosen] >= max(worth.values()) - 1e-6
        np.testing.assert_allclose(values[step], worth[chosen], atol=1e-6)
