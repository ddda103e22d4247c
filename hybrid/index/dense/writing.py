"""What a segment holds besides the vectors, so that they are searched fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from hybrid.index.dense.codes import Codes
from hybrid.index.dense.kinds import EXACT, Flat, Form, Tiered
from hybrid.index.dense.vectors import Vectors
from hybrid.index.segment import SegmentWriter
from hybrid.types import Doubles

SCAN_FROM = 1 << 21
"""Segments of fewer numbers than this have no codes: comparing the vectors themselves is as fast.

Measured with 384 numbers a vector and one thread, medians of the best 10 (flat, scan): 4,000
vectors 0.17 and 0.17 ms, 8,000 0.28 and 0.22, 16,000 0.85 and 0.34, 64,000 3.2 and 1.2.
"""

APPROXIMATE_FROM = 4096
"""Segments of fewer vectors have no approximate index: an exact search is as fast."""


def write_search(
    out: SegmentWriter,
    prefix: str,
    form: Form,
    lengths: Doubles,
    dimension: int,
    pieces: Callable[[], Iterable[Vectors]],
) -> None:
    """Write the codes and the index of vectors, as far as the form asks for them.

    ``lengths``: of the vectors; ``pieces`` gives them, as often as it is called.
    """
    if out.passing:
        return
    count = len(lengths)
    if not isinstance(form.index, Flat) and count * dimension >= SCAN_FROM:
        if isinstance(form.index, Tiered) and form.index.prefix < dimension and form.storage != "int8":
            _write_codes(out, prefix, "prefix", form, lengths, form.index.prefix, pieces)
        _write_codes(out, prefix, "whole", form, lengths, dimension, pieces)
    if form.index != "auto" and not isinstance(form.index, EXACT) and count >= APPROXIMATE_FROM:
        from hybrid.index.dense.neighbours import build

        out.add(f"{prefix}/index", build(form.index, count, dimension, pieces))


def _write_codes(
    out: SegmentWriter,
    prefix: str,
    tier: str,
    form: Form,
    lengths: Doubles,
    length: int,
    pieces: Callable[[], Iterable[Vectors]],
) -> None:
    """Write codes and bounds of the first numbers; int8 vectors are codes, and need the bounds only."""
    bounds = np.empty((len(lengths), 4), np.float32)

    def coded() -> Iterator[NDArray[np.int8]]:
        start = 0
        for piece in pieces():
            part = slice(start, start + len(piece))
            if form.storage == "int8":
                codes = Codes.exactly(piece.values, piece.scales, lengths[part])
            else:
                codes = Codes.of(piece.decoded(), lengths[part], length)
            bounds[part] = codes.bounds
            yield codes.codes
            start = part.stop

    if form.storage == "int8":
        for _ in coded():
            continue
    else:
        out.add_chunks(f"{prefix}/codes.{tier}", np.int8, (len(lengths), length), coded())
    out.add(f"{prefix}/bounds.{tier}", bounds)
