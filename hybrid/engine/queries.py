"""Encoding many queries at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from hybrid.branches import Branch, Encoders
from hybrid.engine.candidates import BranchFailure, guarded
from hybrid.errors import BranchError
from hybrid.types import Query

logger = logging.getLogger("hybrid.engine")


def encode_all(
    branches: Sequence[Branch], queries: Sequence[Query], encoders: Encoders, strict: bool
) -> dict[str, list[Any]]:
    """Encode many queries at once for every branch; one that fails is left to each search."""
    encoded = {}
    for branch in branches:
        try:
            with guarded(branch.name):
                encoded[branch.name] = branch.encode_queries(queries, encoders)
        except BranchFailure as failure:
            if strict:
                raise BranchError(str(failure)) from failure.error
            logger.warning("%s while encoding %d queries at once", failure, len(queries))
    return encoded
