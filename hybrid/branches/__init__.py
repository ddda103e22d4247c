"""First-stage retrievers: an encoder (or an analyzer) in front of an index."""

from hybrid.branches.base import Branch, Encoders
from hybrid.branches.bm25 import BM25
from hybrid.branches.dense import Dense
from hybrid.branches.sparse import Sparse

BRANCHES: dict[str, type[BM25] | type[Dense] | type[Sparse]] = {
    "bm25": BM25,
    "sparse": Sparse,
    "dense": Dense,
}

__all__ = ["BRANCHES", "BM25", "Branch", "Dense", "Encoders", "Sparse"]
