"""Late interaction with given documents of one segment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import Side
from hybrid.forking import cached_property
from hybrid.index.dense.vectors import Vectors
from hybrid.index.multivector.codec import Codec, Kept
from hybrid.index.multivector.rows import TokenRows
from hybrid.index.segment import Segment
from hybrid.kernels.inner import float32_error, row_lengths, row_sums
from hybrid.threads import parallel, thread_count
from hybrid.types import Doubles, Floats

_SHARED = 2048
"""For how many tokens a thread is asked to help."""

_PARTS = 4
"""Into how many parts the work of a thread is cut, so that all end at nearly the same time."""

_SUMS = 2.0**-20
"""More than rounding the sum of a product with a centroid and one with a residual can add, relatively."""

_LEAST = 2.0**-125
"""More than what is lost to subnormal numbers there."""

_CENTRES = 1024
"""With how many centroids a thread compares a query at a time."""

Arrays: TypeAlias = tuple[NDArray[Any], ...]

_NONE = np.empty(0, np.float32)


class Bytes(NamedTuple):
    """A query's vectors as bytes times units, as `hybrid.kernels.maxsim.compare_bytes` takes them."""

    codes: NDArray[np.int8]
    offsets: NDArray[np.int32]
    units: Floats
    rests: Doubles

    @classmethod
    def of(cls, vectors: Doubles) -> Bytes:
        """Return vectors, float64, shape (m, d), as bytes."""
        from hybrid.kernels.tiles import arranged, lanes_for

        count = len(vectors)
        units, offsets = np.ones(lanes_for(count), np.float32), np.zeros(lanes_for(count), np.int32)
        units[:count] = np.abs(vectors).max(axis=1) / 127
        units[units == 0] = 1
        each = units[:count, None].astype(np.float64)
        codes = np.clip(np.rint(vectors / each), -127, 127)
        rests = np.sqrt(row_sums((vectors - codes * each) ** 2)) + 2.0**-40 * np.sqrt(row_sums(vectors**2))
        offsets[:count] = -128 * codes.sum(axis=1)
        return cls(arranged(codes.astype(np.int8), 4), offsets, units, rests)


@dataclass(frozen=True, eq=False)
class TokenQuery:
    """A query's token vectors: float32, shape (m, d), m at least 1.

    ``spell`` gives the tokens of a text as strings, for explanations: of ``text``, the query's, or of a
    document's.
    """

    vectors: Floats
    text: str = ""
    spell: Callable[[str, Side], Sequence[str]] = lambda text, side: ()

    @cached_property
    def lengths(self) -> Doubles:
        """The Euclidean length of each vector: float64, shape (m,)."""
        return row_lengths(self.vectors)

    @cached_property
    def wide(self) -> Doubles:
        """The vectors as float64."""
        return self.vectors.astype(np.float64)

    @cached_property
    def arranged(self) -> Floats:
        """The vectors as `hybrid.kernels.tiles.multiply` takes them."""
        from hybrid.kernels.tiles import arranged

        return arranged(self.vectors)

    @cached_property
    def bytes(self) -> Bytes:
        """The vectors in bytes."""
        return Bytes.of(self.wide)

    @cached_property
    def known(self) -> dict[str, Floats]:
        """What `near` found, by the codec's fingerprint."""
        return {}

    def near(self, codec: Codec) -> Floats:
        """Return the float32 inner products with each centroid: shape (K, M), 0 from column m; remembered."""
        from hybrid.kernels.tiles import lanes_for, multiply

        found = self.known.get(codec.fingerprint)
        if found is None:
            centres = codec.centres
            found = np.empty((len(centres), lanes_for(len(self.vectors))), np.float32)
            parts = [slice(a, a + _CENTRES) for a in range(0, len(centres), _CENTRES)]
            parallel(lambda part: multiply(centres[part], self.arranged, found[part]), parts)
            self.known[codec.fingerprint] = found
        return found


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

    def longest_live(self, live: NDArray[np.bool_] | None) -> float:
        """Return an upper bound of the length of every token of the live documents."""
        if live is None:
            return self.longest * self.largest_scale
        tokens = np.repeat(live, np.diff(self.bounds))
        if not tokens.any():
            return 0.0
        scale = float(self.kept.scales[tokens].max()) if len(self.kept.scales) else 1.0
        if self.kept.values.dtype == np.int8 or (self.codec is not None and self.codec.bits):
            return self.longest * scale
        lengths = Vectors(self.kept.values, _NONE).lengths()[tokens]
        return float(lengths.max()) * (1 + 1e-9) * scale

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
        rows = slice(int(self.bounds[document]), int(self.bounds[document + 1]))
        tokens, scales = self.kept.values[rows], self.kept.scales[rows].astype(np.float64)
        if self.codec is not None and self.codec.bits:
            tokens = self.codec.unpacked(tokens, self.kept.codes[rows])
        products = np.stack([row_sums(tokens * vector) for vector in query.wide])
        if len(scales):
            products *= scales
        found = products.argmax(axis=1)
        return found, products[np.arange(len(found)), found]

    def best(self, documents: NDArray[np.int64], query: TokenQuery) -> Doubles:
        """Return max_j q_i·d_j for each document and query token: float64, shape (documents, m)."""
        best = np.empty((len(documents), len(query.vectors)))
        starts = self.bounds[documents]
        sizes = self.bounds[documents + 1] - starts
        compare, kept, asked = self._comparing(query, int(sizes.sum()))

        def one(part: slice) -> None:
            compare(*kept, starts[part], sizes[part], *asked, best[part])

        parallel(one, _shares(sizes))
        return best

    def errors(self, query: TokenQuery) -> Doubles:
        """Return how far a float32 product of each query token may be from the true one, before scales."""
        return np.array([float32_error(self.dimension, length, self.longest) for length in query.lengths])

    def _comparing(self, query: TokenQuery, tokens: int) -> tuple[Callable[..., None], Arrays, Arrays]:
        """Return the kernel to compare so many tokens with, and its first and last arguments."""
        from hybrid.kernels import maxsim, tiles

        values, scales, dimension = self.kept.values, self.kept.scales, self.dimension
        if values.dtype == np.int8 and tiles.BYTES and dimension % 4 == 0 and dimension <= tiles.MOST_BYTES:
            return maxsim.compare_bytes, (values, scales), (*query.bytes, query.wide)
        asked = (query.arranged, query.wide, self.errors(query))
        if self.codec is not None and self.codec.bits:
            packed = (values, self.kept.codes, scales.view(np.uint16), self.codec.centres, self.codec.table)
            return self._stepping(query, tokens, packed) or (maxsim.compare_residuals, packed, asked)
        if values.dtype == np.int8:
            return maxsim.compare_widened, (values, scales), asked
        if values.dtype == np.float16:
            return maxsim.compare_halves, (values.view(np.uint16),), asked
        return maxsim.compare_floats, (values,), asked

    def _stepping(
        self, query: TokenQuery, tokens: int, packed: Arrays
    ) -> tuple[Callable[..., None], Arrays, Arrays] | None:
        """Return what `_comparing` returns, to multiply residuals as bytes; None where that is not to be.

        It takes the query's products with all centroids, which do not pay for few tokens.
        """
        from hybrid.kernels import maxsim, steps, tiles

        codec = self.codec
        if codec is None or not steps.STEPS or codec.steps is None or self.dimension > tiles.MOST_BYTES:
            return None
        if tokens < len(codec.centroids) and codec.fingerprint not in query.known:
            return None
        table, worth, lost = codec.steps
        coarse = row_sums(np.abs(query.wide) * lost) + _SUMS * query.lengths * codec.longest + _LEAST
        asked = (
            *Bytes.of(query.wide * worth),
            query.near(codec),
            query.wide,
            self.errors(query) + coarse,
        )
        return maxsim.compare_steps, (*packed, table), asked


def _shares(sizes: NDArray[np.int64]) -> list[slice]:
    """Cut documents of so many tokens into parts for threads."""
    if not len(sizes):
        return []
    ends = np.cumsum(sizes)
    parts = min(_PARTS * thread_count(), 1 + int(ends[-1]) // _SHARED)
    most = -(-int(ends[-1]) // parts)
    edges = [0, *(np.flatnonzero(np.diff((ends - 1) // most)) + 1).tolist(), len(sizes)]
    return [slice(a, b) for a, b in pairwise(edges)]
