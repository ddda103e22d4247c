"""Encoding many queries at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hybrid.branches import Branch, Encoders
from hybrid.engine.candidates import BranchFailure, guarded
from hybrid.types import Query

logger = logging.getLogger("hybrid.engine")


@dataclass(frozen=True, slots=True)
class Known:
    """What a search has of its query before it begins: what ``encode_queries`` returned, by branch.

    ``spans``: name, beginning and end of the passes that it shared with others.
    """

    rows: Mapping[str, Any] = field(default_factory=dict)
    spans: Sequence[tuple[str, float, float]] = ()

    @property
    def seconds(self) -> float:
        """How long the passes took together."""
        return sum(ended - begun for _, begun, ended in self.spans)


def encode_all(branches: Sequence[Branch], queries: Sequence[Query], encoders: Encoders) -> list[Known]:
    """Encode queries at once for every branch; what fails is left to each search, which tells of it."""
    rows: dict[str, list[Any]] = {}
    spans = []
    for branch in branches:
        begun = time.perf_counter()
        try:
            with guarded(branch.name):
                rows[branch.name] = branch.encode_queries(queries, encoders)
        except BranchFailure as failure:
            logger.info(
                "%s while encoding %d queries at once", failure, len(queries), extra={"branch": branch.name}
            )
        else:
            spans.append((f"{branch.name}.encode", begun, time.perf_counter()))
    return [Known({name: vectors[n] for name, vectors in rows.items()}, spans) for n in range(len(queries))]
