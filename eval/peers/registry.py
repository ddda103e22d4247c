"""Which peers there are, and in which tasks they take part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

OURS = "hybrid"
QUERY_CUTS = (4, 6, 8, 12, 16, 20)
"""The values of `hybrid.Sparse.query_cut` that make up our curve of approximate search."""


@dataclass(frozen=True)
class Peer:
    """One competitor in one task.

    ``environment`` names its requirements; None is the environment of the harness itself.
    ``scores``: ``equal`` if its formula is ours, so that scores must agree; ``rounded`` if it is ours
    on rounded lengths or weights; ``other`` if it has another formula; ``approximate`` if it may miss
    documents, so that recall is what counts. ``scale``: its scores divided by ours. ``text_only``: it
    gets no vectors, though others in the task do.
    """

    name: str
    module: str
    environment: str | None
    scores: Literal["equal", "rounded", "other", "approximate"]
    options: Mapping[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    text_only: bool = False


def _lexical() -> tuple[Peer, ...]:
    return (
        Peer(OURS, "hybrid", None, "equal"),
        Peer("bm25s-numba", "bm25s", "lexical", "equal", {"backend": "numba"}),
        Peer("bm25s-numpy", "bm25s", "lexical", "equal", {"backend": "numpy"}),
        Peer("scipy", "scipy", "lexical", "equal"),
        Peer("tantivy", "tantivy", "tantivy", "rounded", scale=2.2),
        Peer("pyserini", "pyserini", "pyserini", "rounded"),
        Peer("rank-bm25", "rank_bm25", "lexical", "other"),
    )


TASKS: Mapping[str, tuple[Peer, ...]] = {
    "bm25": _lexical(),
    "bm25-scale": _lexical(),
    "sparse": (
        Peer(OURS, "hybrid_sparse", None, "equal", {"query_cuts": QUERY_CUTS}),
        Peer("scipy", "scipy", "lexical", "equal"),
        Peer("pyseismic", "seismic", "seismic", "approximate"),
    ),
    "hybrid": (
        Peer(OURS, "hybrid_whole", None, "other", {"dense": {}}),
        Peer("hybrid-ivf", "hybrid_whole", None, "other", {"dense": {"index": "ivf"}}),
        Peer("lancedb", "lancedb", "lancedb", "other"),
        Peer("zvec", "zvec", "zvec", "other"),
        Peer("txtai", "txtai", "txtai", "other"),
        Peer("langchain", "langchain", "langchain", "other"),
        Peer("llama-index", "llama_index", "llama_index", "other"),
    ),
    "build": (
        Peer(OURS, "hybrid_whole", None, "other", {"dense": {}}),
        Peer("hybrid-bm25", "hybrid", None, "other", text_only=True),
        Peer("bm25s-numba", "bm25s", "lexical", "other", {"backend": "numba"}, text_only=True),
        Peer("tantivy", "tantivy", "tantivy", "other", text_only=True),
        Peer("lancedb", "lancedb", "lancedb", "other"),
    ),
}
"""The peers of each task, ours first. The modules are loaded only in their own processes."""
