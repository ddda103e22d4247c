"""Columns for tests of fusion, made from plain lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybrid.fusion import Column, Summary
from hybrid.types import BranchKind


def summary(scores: Sequence[float], lower_bound: float = 0.0, *, depth: int = 100) -> Summary:
    """Describe a branch by its scores of ALL eligible documents, in any order."""
    ordered = sorted(scores, reverse=True)
    return Summary(
        lower_bound=lower_bound,
        maximum=ordered[0] if ordered else 0.0,
        minimum=ordered[-1] if ordered else 0.0,
        top=np.array(ordered[:depth], np.float64),
    )


def column(
    name: str,
    kind: BranchKind,
    raw: Sequence[float],
    ranks: Sequence[int] | None = None,
    known: Summary | None = None,
) -> Column:
    """Make a column; without ``known``, the candidates are the whole collection."""
    if known is None:
        known = summary(raw, -1.0 if kind == "dense" else 0.0)
    ranks = [0] * len(raw) if ranks is None else ranks
    return Column(name, kind, np.array(raw, np.float64), np.array(ranks, np.int64), known)


def take(columns: Sequence[Column], positions: Sequence[int]) -> list[Column]:
    """Return the same columns over some of their documents, in the order given."""
    at = np.array(positions, np.int64)
    return [Column(c.name, c.kind, c.raw[at], c.ranks[at], c.summary) for c in columns]
