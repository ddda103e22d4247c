"""Late interaction with given documents of one segment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import Side
from hybrid.index.dense.vectors import Vectors
from hybrid.index.segment import Segment
from hybrid.kernels.inner import float32_error, row_lengths, row_sums
from hybrid.threads import parallel, thread_count
from hybrid.types import Doubles, Floats

_BLOCK = 1 << 21
"""How many numbers of token vectors are multiplied at a time (8 MiB of float32)."""

_SHARED = 4096
"""From how many tokens on a block is shared among threads."""

_NONE = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class TokenQuery:
    """A query's token vectors: float32, shape (m, d), m at least 1.

    ``spell`` gives the tokens of a text as strings, for explanations: of ``text``, the query's, or of a
    document's.
    """

    vectors: Floats
    text: str = ""
    spell: Callable[[str, Side], Sequence[str]] = lambda text, side: ()

    @property
    def lengths(self) -> Doubles:
        """The Euclidean length of each vector: float64, shape (m,)."""
        return row_lengths(self.vectors)


class Block(NamedTuple):
    """Documents' tokens as float32, shape (tokens, d), put end to end; their scales, and their bounds."""

    tokens: Floats
    scales: Floats
    bounds: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class StoredTokens:
    """The token vectors of one segment; ``bounds`` as in `TokenRows`."""

    bounds: NDArray[np.int64]
    vectors: Vectors

    @classmethod
    def of(cls, segment: Segment, prefix: str) -> StoredTokens:
        """Return a segment's token vectors, sharing its memory; nothing is read yet."""
        return segment.cached(
            f"{prefix}#tokens", lambda: cls(segment[f"{prefix}/bounds"], Vectors.read(segment, prefix))
        )

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @cached_property
    def longest(self) -> float:
        """An upper bound of the length of a token's values, before its scale."""
        if self.vectors.values.dtype == np.int8:
            return 127.0 * float(np.sqrt(self.vectors.dimension))
        return float(self.vectors.lengths().max(initial=0.0)) * (1 + 1e-9)

    def scores(self, documents: NDArray[np.int64], query: TokenQuery) -> Floats:
        """Return Σ_i max_j q_i·d_j of some documents: float32, shape (documents,).

        Each inner product is that of the kept vectors, added in float64 as `hybrid.kernels.inner` says; so is
        their sum, in the order of the query's tokens; it is rounded once.
        """
        found = np.empty(len(documents), np.float32)
        for part in self._blocks(documents):
            best = self.best(documents[part], query)
            found[part] = np.cumsum(best, axis=1)[:, -1]  # one after the other, unlike numpy's sum
        found += np.float32(0.0)  # -0 + 0 is 0
        return found

    def matched(self, document: int, query: TokenQuery) -> tuple[NDArray[np.int64], Doubles]:
        """Return which of a document's tokens each query token matched, the first of equals, and how well.

        Both have shape (m,); the second is float64, the terms of the sum that `scores` returns.
        """
        block = self._gathered(np.array([document]))
        scales = block.scales.astype(np.float64) if len(block.scales) else 1.0
        wide = query.vectors.astype(np.float64)
        products = np.stack([row_sums(block.tokens * vector) * scales for vector in wide])
        found = products.argmax(axis=1)
        return found, products[np.arange(len(found)), found]

    def best(self, documents: NDArray[np.int64], query: TokenQuery) -> Doubles:
        """Return max_j q_i·d_j for each document and query token: float64, shape (documents, m)."""
        from hybrid.kernels.maxsim import maxsim

        block = self._gathered(documents)
        products = block.tokens @ np.ascontiguousarray(query.vectors.T)
        dimension, longest = self.vectors.dimension, self.longest
        errors = np.array([float32_error(dimension, length, longest) for length in query.lengths])
        wide, best = query.vectors.astype(np.float64), np.empty((len(documents), len(query.vectors)))

        def one(part: slice) -> None:
            a, b = int(block.bounds[part.start]), int(block.bounds[part.stop])
            bounds = block.bounds[part.start : part.stop + 1] - a
            scales = block.scales[a:b] if len(block.scales) else _NONE
            maxsim(block.tokens[a:b], scales, products[a:b], bounds, wide, errors, best[part])

        parallel(one, _shares(block.bounds))
        return best

    def _gathered(self, documents: NDArray[np.int64]) -> Block:
        """Return the tokens of documents; copied unless they lie side by side as float32."""
        from hybrid.kernels.maxsim import gather

        starts = self.bounds[documents]
        sizes = self.bounds[documents + 1] - starts
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        values, scales = self.vectors.values, self.vectors.scales
        together = len(documents) > 0 and bool((np.diff(documents) == 1).all())
        run = slice(int(starts[0]), int(starts[0] + bounds[-1])) if together else slice(0)
        if together and values.dtype == np.float32:
            return Block(values[run], _NONE, bounds)
        if len(scales):
            spread = [scales[a : a + n] for a, n in zip(starts.tolist(), sizes.tolist(), strict=True)]
            scales = scales[run] if together else np.concatenate([_NONE, *spread])
        if values.dtype == np.float16:
            pieces = [values[a : a + n] for a, n in zip(starts.tolist(), sizes.tolist(), strict=True)]
            whole = values[run] if together else np.concatenate([values[:0], *pieces])
            return Block(whole.astype(np.float32), _NONE, bounds)
        tokens = np.empty((int(bounds[-1]), self.vectors.dimension), np.float32)

        def one(part: slice) -> None:
            gather(values, starts[part], sizes[part], tokens[bounds[part.start] : bounds[part.stop]])

        parallel(one, _shares(bounds))
        return Block(tokens, scales, bounds)

    def _blocks(self, documents: NDArray[np.int64]) -> list[slice]:
        """Cut documents into blocks of about `_BLOCK` numbers."""
        sizes = (self.bounds[documents + 1] - self.bounds[documents]) * self.vectors.dimension
        block = np.cumsum(sizes) // _BLOCK
        edges = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(documents)]
        return [slice(a, b) for a, b in pairwise(edges) if b > a]


def _shares(bounds: NDArray[np.int64]) -> list[slice]:
    """Cut documents into one share for each thread, if they have enough tokens."""
    count = len(bounds) - 1
    if count < 1:
        return []
    shares = min(count, thread_count() if bounds[-1] >= _SHARED else 1)
    edges = [0, *np.searchsorted(bounds, bounds[-1] * np.arange(1, shares) / shares).tolist(), count]
    return [slice(a, b) for a, b in pairwise(edges) if b > a]
