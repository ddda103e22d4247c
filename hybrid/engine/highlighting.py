"""Where a hit has words of the query."""

from __future__ import annotations

from typing import cast

from hybrid.branches import BM25
from hybrid.pipeline import Pipeline
from hybrid.text import Analyzer
from hybrid.text.highlighting import highlights


def highlighted(pipeline: Pipeline, query: str, text: str) -> list[tuple[int, int]]:
    """Return where a text has terms of the query, by the analyzer of the first BM25 branch."""
    for branch in pipeline.branches:
        if isinstance(branch, BM25):
            analyzer = cast("Analyzer", branch.analyzer)
            return highlights(text, analyzer.terms(query), analyzer)
    return []
