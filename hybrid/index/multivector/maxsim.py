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
from hybrid.index.multivector.codec import Codec, Kept
from hybrid.index.multivector.rows import TokenRows
from hybrid.index.segment import Segment
from hybrid.kernels.inner import float32_error, row_lengths, row_sums
from hybrid.threads import parallel, thread_count
from hybrid.types import Doubles, Floats

_BLOCK = 1 << 21
"""How many numbers of token vectors a thread decodes at a time, at most (8 MiB of float32)."""

_SHARED = 4096
"""From how many tokens on documents are shared among threads."""

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

    @property
    def padded(self) -> Floats:
        """The vectors, filled up with zeros to a multiple of `hybrid.kernels.maxsim.LANES`."""
        from hybrid.kernels.maxsim import LANES

        count, dimension = self.vectors.shape
        made = np.zeros((-(-count // LANES) * LANES, dimension), np.float32)
        made[:count] = self.vectors
        return made


class Block(NamedTuple):
    """Documents' tokens as float32, shape (tokens, d), and their scales; where each document's are."""

    tokens: Floats
    scales: Floats
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class StoredTokens:
    """The token vectors of one segment; ``bounds`` as in `TokenRows`."""

    bounds: NDArray[np.int64]
    kept: Kept
    codec: Codec | None = None

    @classmethod
    def of(cls, segment: Segment, prefix: str) -> StoredTokens:
        """Return a segment's token vectors, sharing its memory; nothing is read yet."""

        def build() -> StoredTokens:
            rows = TokenRows.read(segment, prefix)
            return cls(rows.bounds, rows.kept, rows.codec)

        return segment.cached(f"{prefix}#tokens", build)

    @property
    def dimension(self) -> int:
        """How many numbers a kept vector stands for."""
        packed = self.codec is not None and self.codec.bits
        return self.codec.dimension if self.codec and packed else int(self.kept.values.shape[1])

    @property
    def given(self) -> int:
        """How many numbers the vectors had that were added, as those of queries have."""
        return self.codec.projection.shape[1] if self.codec else self.dimension

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @cached_property
    def longest(self) -> float:
        """An upper bound of the length of a token's values, before its scale."""
        if self.kept.values.dtype == np.int8:
            return 127.0 * float(np.sqrt(self.dimension))
        if self.codec is not None and self.codec.bits:
            return self.codec.longest
        vectors = Vectors(self.kept.values, _NONE)
        return float(vectors.lengths().max(initial=0.0)) * (1 + 1e-9)

    @cached_property
    def largest_scale(self) -> float:
        """The largest scale of a token; 1 if there are none."""
        return float(self.kept.scales.max(initial=0.0)) if len(self.kept.scales) else 1.0

    def scores(self, documents: NDArray[np.int64], query: TokenQuery) -> Floats:
        """Return Σ_i max_j q_i·d_j of some documents: float32, shape (documents,).

        Each inner product is that of the kept vectors, added in float64 as `hybrid.kernels.inner` says; so is
        their sum, in the order of the query's tokens; it is rounded once.
        """
        best = self.best(documents, query)
        sums = best[:, 0].copy()
        for i in range(1, best.shape[1]):  # one after the other, unlike numpy's sum
            sums += best[:, i]
        found: Floats = sums.astype(np.float32)
        found += np.float32(0.0)  # -0 + 0 is 0
        return found

    def matched(self, document: int, query: TokenQuery) -> tuple[NDArray[np.int64], Doubles]:
        """Return which of a document's tokens each query token matched, the first of equals, and how well.

        Both have shape (m,); the second is float64, the terms of the sum that `scores` returns.
        """
        block = self._decoded(np.array([document]))
        rows = slice(int(block.starts[0]), int(block.starts[0] + block.sizes[0]))
        scales = block.scales[rows].astype(np.float64) if len(block.scales) else 1.0
        wide = query.vectors.astype(np.float64)
        products = np.stack([row_sums(block.tokens[rows] * vector) * scales for vector in wide])
        found = products.argmax(axis=1)
        return found, products[np.arange(len(found)), found]

    def best(self, documents: NDArray[np.int64], query: TokenQuery) -> Doubles:
        """Return max_j q_i·d_j for each document and query token: float64, shape (documents, m)."""
        from hybrid.kernels.maxsim import maxsim

        asked = query.vectors
        errors = np.array([float32_error(asked.shape[1], length, self.longest) for length in query.lengths])
        wide, padded, best = asked.astype(np.float64), query.padded, np.empty((len(documents), len(asked)))

        def one(part: slice) -> None:
            block = self._decoded(documents[part])
            maxsim(block.tokens, block.scales, block.starts, block.sizes, padded, wide, errors, best[part])

        parallel(one, self._shares(documents))
        return best

    def _decoded(self, documents: NDArray[np.int64]) -> Block:
        """Return the tokens of documents as float32: where they are if they are kept so, else copied."""
        from hybrid.kernels.maxsim import gather, gather_halves

        starts = self.bounds[documents]
        sizes = self.bounds[documents + 1] - starts
        values, scales = self.kept.values, self.kept.scales
        if values.dtype == np.float32:
            return Block(values, _NONE, starts, sizes)
        ends = np.cumsum(sizes)
        if values.dtype == np.uint8 and self.codec is not None:
            tokens = self.codec.unpacked(values, self.kept.codes, starts, sizes)
        else:
            tokens = np.empty((int(sizes.sum()), values.shape[1]), np.float32)
            if values.dtype == np.float16:
                gather_halves(values.view(np.uint16), starts, sizes, tokens)
                return Block(tokens, _NONE, ends - sizes, sizes)
            gather(values, starts, sizes, tokens)
        spread = np.arange(len(tokens)) + np.repeat(starts - ends + sizes, sizes)
        return Block(tokens, scales[spread].astype(np.float32, copy=False), ends - sizes, sizes)

    def _shares(self, documents: NDArray[np.int64]) -> list[slice]:
        """Cut documents into parts for threads: of at most `_BLOCK` numbers, and one for each thread."""
        if not len(documents):
            return []
        ends = np.cumsum(self.bounds[documents + 1] - self.bounds[documents])
        most = max(1, _BLOCK // self.dimension)
        if ends[-1] >= _SHARED:
            most = min(most, -(-int(ends[-1]) // thread_count()))
        edges = [0, *(np.flatnonzero(np.diff((ends - 1) // most)) + 1).tolist(), len(documents)]
        return [slice(a, b) for a, b in pairwise(edges)]
