"""Inner products in float64 over one tree."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.kernels.inner import row_sums
from hybrid.kernels.trees import tree_product


@pytest.mark.parametrize("dimension", [1, 2, 3, 7, 16, 64, 96, 128, 192, 320, 384, 768, 1000, 1024])
@pytest.mark.parametrize("kind", [np.float32, np.int8])
def test_products_are_added_in_the_order_of_the_tree(kind, dimension):
    rng = np.random.default_rng(dimension)
    for _ in range(5):
        token = (100 * rng.standard_normal(dimension)).clip(-128, 127).astype(kind)
        query = rng.standard_normal(dimension).astype(np.float32).astype(np.float64)
        expected = row_sums((token * query)[None])[0]
        assert tree_product(token, query, np.empty(dimension)) == expected
