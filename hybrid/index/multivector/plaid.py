"""Candidates for late interaction in large collections (PLAID: Santhanam, Khattab, Potts and Zaharia 2022).

Tokens were assigned to centroids when they were kept. A query's tokens are compared with the centroids;
documents with a token in one of the best clusters are looked at, each token as if it were its centroid; the
best of these are scored exactly. See https://arxiv.org/abs/2205.09707.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hybrid.index.segment import Segment
from hybrid.threads import parallel, thread_count
from hybrid.types import Bools, Floats

PLAID_FROM = 4096
"""Segments of fewer eligible documents are compared as a whole: that is as fast, and exact."""

_GROWTH = 4
_CANDIDATES_A_HIT = 4


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is looked at: ``probes`` clusters for each query token, ``candidates`` documents exactly."""

    probes: int
    candidates: int


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """A segment's tokens by centroid: their ``codes``, and which documents each cluster has."""

    bounds: NDArray[np.int64]
    codes: NDArray[np.uint16]
    edges: NDArray[np.int64]
    documents: NDArray[np.int32]

    @classmethod
    def of(cls, segment: Segment, prefix: str) -> Clusters:
        """Return what a segment keeps, sharing its memory."""
        names = ("bounds", "codes", "lists.bounds", "lists.documents")
        return cls(*(segment[f"{prefix}/{name}"] for name in names))


def propose(
    clusters: Clusters, products: Floats, tokens: int, eligible: Bools | None, k: int, effort: Effort
) -> NDArray[np.int64] | None:
    """Return eligible documents that are likely among the best ``k``: int64, ascending.

    ``products``: as `TokenQuery.near` gives them, for a query of so many ``tokens``.
    Where the clusters probed hold fewer documents than are to be scored, more are probed; None if that
    would look at nearly all.
    """
    count = len(clusters.bounds) - 1
    left = count if eligible is None else int(np.count_nonzero(eligible))
    wanted = max(effort.candidates, _CANDIDATES_A_HIT * k)
    probes = effort.probes
    if left <= max(wanted, PLAID_FROM - 1):
        return None
    while probes < len(products):
        found = _members(clusters, products, tokens, probes, eligible)
        if len(found) >= wanted:
            near = _approximately(clusters, products, found)
            order = np.lexsort((found, -near))
            return np.sort(found[order[:wanted]])
        probes *= _GROWTH
    return None


def _members(
    clusters: Clusters, products: Floats, tokens: int, probes: int, eligible: Bools | None
) -> NDArray[np.int64]:
    """Return the eligible documents of the best clusters of each query token, ascending."""
    from hybrid.kernels.plaid import mark

    marked = np.zeros(len(clusters.bounds) - 1, np.bool_)
    mark(products, tokens, probes, clusters.edges, clusters.documents, marked)
    if eligible is not None:
        marked &= eligible
    return np.flatnonzero(marked)


def _approximately(clusters: Clusters, products: Floats, documents: NDArray[np.int64]) -> Floats:
    """Return the score of each document with its tokens' centroids in their place: float32."""
    from hybrid.kernels.plaid import interact

    near = np.empty(len(documents), np.float32)
    edges = np.linspace(0, len(documents), 4 * thread_count() + 1).astype(int).tolist()

    def one(part: slice) -> None:
        interact(clusters.codes, clusters.bounds, documents[part], products, near[part])

    parallel(one, [slice(a, b) for a, b in pairwise(edges) if b > a])
    return near
