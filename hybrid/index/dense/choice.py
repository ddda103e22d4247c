"""Which way one segment is searched."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hybrid.index.dense.flat import FlatSegment
from hybrid.index.dense.kinds import EXACT, Flat, Index
from hybrid.index.dense.neighbours import NeighboursSegment, worth_asking
from hybrid.index.dense.scan import ScanSegment
from hybrid.index.dense.search import Plain, Search
from hybrid.index.dense.stored import Stored
from hybrid.types import Bools, Floats


def started(stored: Stored, query: Floats, eligible: Bools | None, index: Index | Literal["auto"]) -> Search:
    """Return the search of one query in one segment.

    An approximate index is asked if the segment has one and the filter leaves enough documents for
    it; codes are scanned if the segment has them; otherwise all vectors are compared.
    """
    exact = _exact(stored, query, eligible, index)
    if index == "auto" or isinstance(index, EXACT) or stored.neighbours is None:
        return exact
    if not worth_asking(len(stored), eligible):
        return exact
    return NeighboursSegment(stored, stored.neighbours, query, eligible, index, exact)


def _exact(stored: Stored, query: Floats, eligible: Bools | None, index: Index | Literal["auto"]) -> Search:
    plain: Search = Plain(stored, query, eligible)
    if stored.vectors.values.dtype == np.float32:
        plain = FlatSegment(stored, query, eligible)
    if not stored.tiers or isinstance(index, Flat):
        return plain
    return ScanSegment(stored, stored.tiers, query, eligible, plain)
