"""Vectors as 8-bit codes, with what is needed to bound scores from them.

A vector x of d numbers is split into its first p, x', and the rest, x". The code c (int8) and the
scale s stand for x̂ = s·c, near x'. A query q is split alike, and its first p numbers are rounded to
q̂ = t·z, z being 16-bit integers. Then ::

    q·x = q̂·x̂ + (q' - q̂)·x̂ + q'·(x' - x̂) + q"·x"

and by the inequality of Cauchy and Schwarz the score is within

    |q'|·|x' - x̂| + |q' - q̂|·|x̂| + |q"|·|x"|

of q̂·x̂ = t·s·(z·c), whose last factor is a sum of integers and so exact. `Codes.bounds` holds the
lengths of a row, rounded up, and `QueryCode.weights` those of the query. With p = d the whole vector
is coded and the last part is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid.types import Doubles, Floats

_HIGHEST = 127
_CHUNK = 1 << 18
"""How many numbers are coded at a time."""

_SLACK = 1 + 1e-9
"""More than the rounding errors of any length or sum that is computed in float64 here."""

_ROUNDING = 2.0**-22
"""More than the relative error of a score's rounding to float32, and of all float64 sums."""

_TINY = 2.0**-140
"""More than a score loses where float32 is subnormal."""


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """The codes of n vectors, of their first p numbers each.

    ``codes``: int8, shape (n, p). ``bounds``: float32, shape (n, 4): for each vector its scale s,
    and, rounded up, |x' - x̂|, |x| + |x' - x̂| and |x"|.
    """

    codes: NDArray[np.int8]
    bounds: Floats

    @classmethod
    def of(cls, vectors: Floats, lengths: Doubles, prefix: int) -> Self:
        """Code float32 vectors; ``lengths``: float64, their lengths; ``prefix``: p."""
        codes = np.empty((len(vectors), prefix), np.int8)
        bounds = np.empty((len(vectors), 4), np.float32)
        step = max(1, _CHUNK // vectors.shape[1])
        for start in range(0, len(vectors), step):
            part = slice(start, start + step)
            codes[part], bounds[part] = _coded(vectors[part], lengths[part], prefix)
        return cls(codes, bounds)

    @classmethod
    def exactly(cls, codes: NDArray[np.int8], scales: Floats, lengths: Doubles) -> Self:
        """Return the codes of vectors that are codes themselves: nothing is lost."""
        bounds = np.zeros((len(codes), 4), np.float32)
        bounds[:, 0], bounds[:, 2] = scales, rounded_up(lengths)
        return cls(codes, bounds)


@dataclass(frozen=True, slots=True, eq=False)
class QueryCode:
    """A query as `hybrid.kernels.scan` takes it.

    ``numbers``: int16, shape (p,). ``factor``: what one step of them is worth. ``weights``: float64,
    shape (4,), by which a row's error, size and rest are multiplied, and what is added.
    """

    numbers: NDArray[np.int16]
    factor: float
    weights: Doubles

    @classmethod
    def of(cls, query: Floats, prefix: int) -> Self:
        """Code a float32 query; ``prefix``: p."""
        wide = query.astype(np.float64)
        head, tail = wide[:prefix], wide[prefix:]
        steps = min(32_767, (2**31 - 1) // (_HIGHEST * prefix))  # inner products must fit into int32
        factor = float(np.abs(head).max()) / steps
        numbers = np.rint(head / factor) if factor > 0 else np.zeros(prefix)
        lost = np.linalg.norm(head - factor * numbers)
        weights = [
            np.linalg.norm(head),
            lost + np.linalg.norm(wide) * _ROUNDING,
            np.linalg.norm(tail),
        ]
        return cls(numbers.astype(np.int16), factor, np.array([*(w * _SLACK for w in weights), _TINY]))


def rounded_up(values: Doubles) -> Floats:
    """Return float32 numbers that are not below the given ones times 1 + 1e-9.

    >>> bool(rounded_up(np.array([0.1]))[0] >= 0.1)
    True
    """
    wide = values * _SLACK
    narrow = wide.astype(np.float32)
    return np.where(narrow < wide, np.nextafter(narrow, np.float32(np.inf)), narrow)


def quantized(vectors: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return the codes (int8) and scales (float32, shape (n,)) of vectors.

    A scale is the greatest magnitude in the vector divided by 127.
    """
    scales = (np.abs(vectors).max(axis=1, initial=0) / np.float32(_HIGHEST)).astype(np.float32)
    divisors = np.where(scales > 0, scales, 1).astype(np.float64)[:, None]
    codes = np.rint(vectors / divisors).clip(-_HIGHEST, _HIGHEST)
    return codes.astype(np.int8), scales


def _coded(vectors: Floats, lengths: Doubles, prefix: int) -> tuple[NDArray[np.int8], Floats]:
    codes, scales = quantized(vectors[:, :prefix])
    wide = vectors.astype(np.float64)
    wide[:, :prefix] -= scales.astype(np.float64)[:, None] * codes
    error = np.linalg.norm(wide[:, :prefix], axis=1)
    rest = np.linalg.norm(wide[:, prefix:], axis=1)
    bounds = np.stack([scales, *map(rounded_up, (error, lengths + error, rest))], axis=1)
    return codes, bounds
