"""What encoders return: a batch of texts as dense vectors, sparse weights or token vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Representation: TypeAlias = Literal["dense", "sparse", "tokens"]
"""What a text becomes: one vector, weights of terms, or one vector a token."""

Side: TypeAlias = Literal["document", "query"]
"""Which of the two a text is; many models prepare them differently."""

_Floats: TypeAlias = NDArray[np.float32]
_Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class DenseBatch:
    """What a dense encoder returns.

    ``vectors``: float32, shape (texts, dimension), C order. ``truncated``: bool, shape (texts,),
    True where a text was longer than the encoder's window.
    """

    vectors: _Floats
    truncated: _Flags

    def __len__(self) -> int:
        return len(self.truncated)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the texts at these positions, in this order."""
        return type(self)(self.vectors[rows], self.truncated[rows])

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all texts of all parts, in order."""
        return cls(np.concatenate([p.vectors for p in parts]), np.concatenate([p.truncated for p in parts]))


@dataclass(frozen=True, slots=True, eq=False)
class SparseBatch:
    """What a sparse encoder returns: the rows of a sparse matrix (texts, vocabulary).

    ``indptr``: int64, shape (texts + 1,); text i has the entries ``indptr[i]`` to ``indptr[i + 1]``.
    ``terms``: int32, positions in the encoder's vocabulary, distinct in each text, in any order.
    ``weights``: float32, finite and above 0. ``truncated``: as in `DenseBatch`.
    """

    indptr: NDArray[np.int64]
    terms: NDArray[np.int32]
    weights: _Floats
    truncated: _Flags

    def __len__(self) -> int:
        return len(self.truncated)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the texts at these positions, in this order."""
        indptr, entries = _entries(self.indptr, rows)
        return type(self)(indptr, self.terms[entries], self.weights[entries], self.truncated[rows])

    def heaviest(self, most: int) -> Self:
        """Return the texts with only so many of their terms, the heaviest; of equal weights the lower terms.

        >>> batch = SparseBatch(
        ...     np.array([0, 3]), np.int32([8, 3, 4]), np.float32([1, 1, 2]), np.array([False])
        ... )
        >>> batch.heaviest(2).terms.tolist()
        [3, 4]
        """
        sizes = np.diff(self.indptr)
        if not len(self.terms) or int(sizes.max()) <= most:
            return self
        text = np.repeat(np.arange(len(self)), sizes)
        order = np.lexsort((self.terms, -self.weights, text))
        place = np.arange(len(order)) - self.indptr[text]
        kept = np.sort(order[place < most])
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.minimum(sizes, most))])
        return type(self)(indptr, self.terms[kept], self.weights[kept], self.truncated)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all texts of all parts, in order."""
        return cls(
            _joined([p.indptr for p in parts]),
            np.concatenate([p.terms for p in parts]),
            np.concatenate([p.weights for p in parts]),
            np.concatenate([p.truncated for p in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class TokenBatch:
    """What an encoder of token vectors returns (late interaction: Khattab and Zaharia 2020).

    ``indptr``: int64, shape (texts + 1,); text i has the rows ``indptr[i]`` to ``indptr[i + 1]``.
    ``vectors``: float32, shape (tokens, dimension), C order, of length 1. ``truncated``: as in `DenseBatch`.
    """

    indptr: NDArray[np.int64]
    vectors: _Floats
    truncated: _Flags

    def __len__(self) -> int:
        return len(self.truncated)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the texts at these positions, in this order."""
        indptr, entries = _entries(self.indptr, rows)
        return type(self)(indptr, self.vectors[entries], self.truncated[rows])

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all texts of all parts, in order."""
        return cls(
            _joined([p.indptr for p in parts]),
            np.concatenate([p.vectors for p in parts]),
            np.concatenate([p.truncated for p in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Some texts in every representation that was wanted of them; None stands for the others."""

    dense: DenseBatch | None = None
    sparse: SparseBatch | None = None
    tokens: TokenBatch | None = None

    def __len__(self) -> int:
        return next((len(batch) for batch in self._batches().values()), 0)

    def __getitem__(self, representation: Representation) -> Any:
        """Return one representation: a `DenseBatch`, `SparseBatch` or `TokenBatch`.

        Raises:
            KeyError: it was not wanted.
        """
        return self._batches()[representation]

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the texts at these positions, in this order."""
        return type(self)(**{name: batch.take(rows) for name, batch in self._batches().items()})

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all texts of all parts, in order; the parts must have the same representations."""
        batches = [part._batches() for part in parts]
        return cls(**{n: type(b).concat([part[n] for part in batches]) for n, b in batches[0].items()})

    def _batches(self) -> dict[str, Any]:
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: batch for name, batch in held.items() if batch is not None}


def _entries(
    indptr: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bounds of the chosen rows put end to end, and the positions of their entries."""
    sizes = indptr[rows + 1] - indptr[rows]
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    return bounds, np.arange(bounds[-1]) + np.repeat(indptr[rows] - bounds[:-1], sizes)


def _joined(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    sizes = np.concatenate([np.diff(indptr) for indptr in parts])
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
