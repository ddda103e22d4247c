"""Token pooling: fewer vectors for a document, each for tokens that mean nearly the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import TokenBatch
from hybrid.kernels.inner import row_lengths
from hybrid.threads import parallel
from hybrid.types import Floats


def pooled(batch: TokenBatch, factor: int) -> TokenBatch:
    """Return documents with about a ``factor``-th of their vectors (Clavié, Chaffin and Adams 2024).

    A document's vectors, scaled to length 1, are clustered hierarchically by Ward's criterion into
    ⌈tokens / factor⌉ clusters, in the order of their first tokens (https://arxiv.org/abs/2409.14683). A
    cluster's vector is the mean of those, scaled to its vectors' mean length.
    """
    pairs = list(pairwise(batch.indptr.tolist()))
    parts = parallel(lambda pair: _pooled(batch.vectors[pair[0] : pair[1]], factor), pairs)
    sizes = np.array([len(part) for part in parts], np.int64)
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    vectors = np.concatenate(parts) if parts else batch.vectors
    return TokenBatch(indptr, vectors, batch.truncated)


def _pooled(vectors: Floats, factor: int) -> Floats:
    wanted = -(-len(vectors) // factor)
    if wanted >= len(vectors):
        return vectors
    lengths = row_lengths(vectors)
    units = vectors / np.maximum(lengths, np.finfo(np.float64).tiny)[:, None]
    owner = clusters(units, wanted)
    count = int(owner.max()) + 1
    sums, sizes = np.zeros((count, vectors.shape[1])), np.bincount(owner)
    np.add.at(sums, owner, units)
    wide = np.sqrt(np.square(sums).sum(axis=1))
    length = np.bincount(owner, lengths) / sizes
    made: Floats = (sums * (length / np.where(wide > 0, wide, 1.0))[:, None]).astype(np.float32)
    return made


def clusters(units: NDArray[np.float64], wanted: int) -> NDArray[np.int64]:
    """Return each row's cluster: int64, shape (n,), numbered by their first rows."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist

    labels = fcluster(linkage(pdist(units), "ward"), wanted, "maxclust")
    _, first, owner = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    found: NDArray[np.int64] = rank[owner]
    return found
