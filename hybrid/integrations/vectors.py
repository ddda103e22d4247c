"""What other libraries do with vectors: compare them, and make lists in which each brings something new."""

from __future__ import annotations

import numpy as np

import hybrid
from hybrid.engine.rerank import min_max
from hybrid.errors import InputError, PipelineError
from hybrid.kernels.mmr import mmr
from hybrid.types import Doubles, Floats


def dense_name(index: hybrid.HybridIndex) -> str:
    """Return the name of an index's one dense branch.

    Raises:
        PipelineError: it has none, or several.
    """
    names = [branch.name for branch in index.pipeline.branches if isinstance(branch, hybrid.Dense)]
    if len(names) != 1:
        raise PipelineError(
            f"one dense branch is needed to search by a vector; this index has {', '.join(names) or 'none'}"
        )
    return names[0]


def cosines(scores: Doubles, query: Floats, vectors: Floats) -> Doubles:
    """Return inner products as cosines, from -1 to 1: float64, shape (n,); with a vector of zeros it is 0.

    ``scores``: shape (n,), the products of the query's vector, shape (d,), and ``vectors``, shape (n, d), or
    others of the same lengths.
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1) * np.linalg.norm(query.astype(np.float64))
    found: Doubles = np.divide(scores, lengths, out=np.zeros(len(lengths)), where=lengths > 0)
    return np.clip(found, -1, 1)


def diverse(index: hybrid.HybridIndex, result: hybrid.Result, k: int, weight: float) -> list[hybrid.Hit]:
    """Return ``k`` of a result's hits by maximal marginal relevance, as a stage `hybrid.MMR` orders them.

    ``weight``: the share of relevance, from 0 to 1.

    Raises:
        InputError: k or the weight is wrong.
        PipelineError: the index has no dense branch, or several.
    """
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise InputError(f"k is {k!r}; give a whole number of at least 1")
    if not 0 <= weight <= 1:
        raise InputError(f"the share of relevance is {weight!r}; give a number from 0 to 1")
    hits = sorted(result, key=lambda hit: hit.id)  # at a tie the lowest id comes first
    if not hits:
        return []
    vectors = index.vectors([hit.id for hit in hits], dense_name(index))
    order, _ = mmr(min_max(np.array([hit.score for hit in hits])), vectors, weight)
    return [hits[place] for place in order[:k].tolist()]
