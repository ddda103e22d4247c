"""The vectors of one segment as a search reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybrid.forking import cached_property
from hybrid.index.dense.codes import Codes
from hybrid.index.dense.kinds import Binary, Form
from hybrid.index.dense.vectors import Vectors
from hybrid.index.segment import Segment
from hybrid.types import Doubles


@dataclass(frozen=True, eq=False)
class Stored:
    """Vectors with their lengths (float64, shape (n,)), and what was built to search them.

    ``tiers``: codes, the shortest first and those of whole vectors last; empty where the segment has
    none. ``neighbours`` gives the faiss index, loaded when it is
    first called; None where there is none.
    """

    vectors: Vectors
    lengths: Doubles
    tiers: tuple[Codes, ...] = ()
    neighbours: Callable[[], Any] | None = None

    @classmethod
    def of(cls, segment: Segment, prefix: str) -> Stored:
        """Return a segment's vectors, sharing its memory; nothing is read yet."""
        return segment.cached(f"{prefix}#stored", lambda: cls._read(segment, prefix))

    @classmethod
    def _read(cls, segment: Segment, prefix: str) -> Stored:
        vectors, neighbours = Vectors.read(segment, prefix), None
        tiers = []
        for tier in ("prefix", "whole"):
            if f"{prefix}/bounds.{tier}" in segment:
                own = vectors.values.dtype == np.int8
                codes = vectors.values if own else segment[f"{prefix}/codes.{tier}"]
                tiers.append(Codes(codes, segment[f"{prefix}/bounds.{tier}"]))
        if f"{prefix}/index" in segment:

            def neighbours() -> Any:
                return segment.cached(f"{prefix}#neighbours", lambda: _loaded(segment, prefix))

        return cls(vectors, segment[f"{prefix}/lengths"], tuple(tiers), neighbours)

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def longest(self) -> float:
        """The greatest length, 0.0 if there are no vectors."""
        return float(self.lengths.max(initial=0.0))


def _loaded(segment: Segment, prefix: str) -> Any:
    """Return the faiss index of a segment, in memory."""
    import faiss

    binary = isinstance(Form.decode(segment[f"{prefix}/form"]).index, Binary)
    load = faiss.deserialize_index_binary if binary else faiss.deserialize_index
    return load(segment[f"{prefix}/index"])
