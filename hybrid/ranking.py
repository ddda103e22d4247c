"""Top-k selection, rankings, and the one tie-break.

Everywhere in this package the order is (score descending, document id ascending). Inside a
segment, document numbers ascend with ids, so there the position itself breaks ties; across
segments the ids are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """An ordered list of documents, as columns.

    ``docnums``: int64, shape (n,). ``scores``: float32, shape (n,). Best first.
    """

    docnums: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.docnums)

    def first(self, n: int) -> Ranking:
        """Return the best ``n`` documents of the list."""
        return Ranking(self.docnums[:n], self.scores[:n])


def empty_ranking() -> Ranking:
    """Return a ranking of no documents."""
    return Ranking(np.empty(0, np.int64), np.empty(0, np.float32))


def top_positions(scores: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """Return the positions of the ``k`` highest scores, by (score descending, position ascending).

    Runs in linear time plus a sort of the result.

    >>> top_positions(np.array([1.0, 3.0, 2.0, 3.0]), 3).tolist()
    [1, 3, 2]
    """
    n = len(scores)
    if k <= 0 or n == 0:
        return np.empty(0, np.int64)
    if k < n:
        threshold = scores[np.argpartition(scores, n - k)[n - k]]
        above = np.flatnonzero(scores > threshold)
        level = np.flatnonzero(scores == threshold)[: k - len(above)]
        chosen = np.sort(np.concatenate((above, level)))
    else:
        chosen = np.arange(n)
    return chosen[np.argsort(-scores[chosen], kind="stable")].astype(np.int64, copy=False)


def best(
    docnums: NDArray[np.int64],
    scores: NDArray[np.float32],
    k: int,
    ids: Callable[[NDArray[np.int64]], Sequence[Any]],
) -> Ranking:
    """Return the ``k`` best of the given documents, which may stand in any order.

    ``ids`` gives the ids of document numbers, or anything else that orders them like their ids; it
    is asked only about documents whose score ties with another one's.

    >>> best(np.array([7, 8, 9]), np.float32([1, 2, 2]), 2, lambda d: ["b" if n == 8 else "a" for n in d])
    Ranking(docnums=array([9, 8]), scores=array([2., 2.], dtype=float32))
    """
    if k <= 0 or len(scores) == 0:
        return empty_ranking()
    if k < len(scores):
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        keep = scores >= threshold
        docnums, scores = docnums[keep], scores[keep]
    order = np.argsort(-scores, kind="stable")
    docnums, scores = docnums[order], scores[order]
    same = np.zeros(
        len(scores) + 1, np.bool_
    )  # as the one before; nothing is before the first, after the last
    np.equal(scores[1:], scores[:-1], out=same[1:-1])
    tied = np.flatnonzero(same[1:] | same[:-1])
    if len(tied):
        groups = np.cumsum(~same[:-1])[tied].tolist()
        keys = [*zip(groups, ids(docnums[tied]), strict=True)]
        docnums[tied] = docnums[tied][sorted(range(len(keys)), key=keys.__getitem__)]
    return Ranking(docnums[:k], scores[:k])


def merge(parts: Sequence[Ranking], k: int, ids: Callable[[NDArray[np.int64]], Sequence[Any]]) -> Ranking:
    """Merge rankings over disjoint documents into the best ``k``; ``ids`` as in `best`."""
    filled = [part for part in parts if len(part)]
    if k <= 0 or not filled:
        return empty_ranking()
    if len(filled) == 1:
        return filled[0].first(k)
    docnums = np.concatenate([part.docnums for part in filled])
    return best(docnums, np.concatenate([part.scores for part in filled]), k, ids)
