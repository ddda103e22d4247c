"""Learned weights in 8 bits: a floating-point number of four bits of exponent and four of fraction.

A code is the middle of the bits of a float16: weights from 2^-9 to 124, each within 1/32 of itself, so
that small weights are kept as faithfully as large ones, and no scale has to be agreed on between segments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FRACTION = 6
"""How many bits of a float16's fraction are left out."""

FIRST = 6 << 10
"""The bits of the least weight, 2^-9, as a float16."""

HIGHEST = 124.0


def rounded(weights: NDArray[Any]) -> NDArray[np.float16]:
    """Return weights, from 0 to `HIGHEST`, as the nearest that codes stand for, or 0.

    >>> rounded(np.array([1.0, 1.01, 0.7, 0.003, 0.0005, 124])).tolist()
    [1.0, 1.0, 0.6875, 0.0030517578125, 0.0, 124.0]
    """
    bits = weights.astype(np.float16).view(np.uint16).astype(np.int32)
    half = 1 << (FRACTION - 1)
    codes = np.clip((bits - FIRST + half) >> FRACTION, 0, 255)
    found = ((codes << FRACTION) + FIRST).astype(np.uint16).view(np.float16)
    found[weights < 2.0**-10] = 0
    return found


def encode(weights: NDArray[np.float16]) -> NDArray[np.uint8]:
    """Return the codes of weights that `rounded` gave, all above 0."""
    return ((weights.view(np.uint16) - FIRST) >> FRACTION).astype(np.uint8)


def decode(codes: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return the weights of codes.

    >>> decode(encode(rounded(np.array([1.0, 0.1])))).tolist()
    [1.0, 0.1015625]
    """
    return ((codes.astype(np.uint16) << FRACTION) + FIRST).astype(np.uint16).view(np.float16)
