"""Clusters that a query probes, and documents by their tokens' centroids."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.kernels.plaid import interact, mark


@pytest.mark.parametrize(
    ("clusters", "tokens", "probes"), [(1, 1, 1), (40, 9, 3), (40, 9, 40), (300, 33, 17)]
)
def test_the_best_clusters_of_each_token_are_marked(clusters, tokens, probes):
    rng = np.random.default_rng(clusters)
    lanes = -(-tokens // 8) * 8
    products = np.zeros((clusters, lanes), np.float32)
    products[:, :tokens] = rng.integers(-20, 5, (clusters, tokens))  # many ties; below what fills up
    edges = np.concatenate([[0], np.cumsum(rng.integers(0, 4, clusters))])
    documents = rng.integers(0, 500, edges[-1]).astype(np.int32)
    marked = np.zeros(500, np.bool_)
    mark(products, tokens, probes, edges, documents, marked)
    best = np.argsort(-products[:, :tokens], axis=0, kind="stable")[:probes]
    expected = {n for c in np.unique(best) for n in documents[edges[c] : edges[c + 1]].tolist()}
    assert set(np.flatnonzero(marked).tolist()) == expected


@pytest.mark.parametrize("tokens", [1, 8, 9, 33, 75])
def test_each_token_counts_as_its_centroid(tokens):
    rng = np.random.default_rng(tokens)
    lanes = -(-tokens // 8) * 8
    products = np.zeros((50, lanes), np.float32)
    products[:, :tokens] = -rng.integers(1, 100, (50, tokens))  # below what fills up
    bounds = np.concatenate([[0], np.cumsum(rng.integers(1, 20, 30))])
    codes = rng.integers(0, 50, bounds[-1]).astype(np.uint16)
    documents = rng.permutation(30)[:11]
    found = np.empty(11, np.float32)
    interact(codes, bounds, documents, products, found)
    expected = [products[codes[bounds[n] : bounds[n + 1]]].max(axis=0).sum() for n in documents.tolist()]
    assert found.tolist() == expected
