"""First-stage retrievers: an encoder (or an analyzer) in front of an index."""

from hybrid.branches.base import Branch, Encoders
from hybrid.branches.bm25 import BM25
from hybrid.branches.dense import Dense
from hybrid.branches.lucene import LuceneBM25, LuceneImpact
from hybrid.branches.multivector import Multivector
from hybrid.branches.sparse import Sparse
from hybrid.index.dense import HNSW, IVF, PQ, SQ8, Binary, Flat, RaBitQ, Scan, Tiered

BRANCHES: dict[
    str,
    type[BM25] | type[Dense] | type[LuceneBM25] | type[LuceneImpact] | type[Multivector] | type[Sparse],
] = {
    "bm25": BM25,
    "sparse": Sparse,
    "dense": Dense,
    "multivector": Multivector,
    "lucene_bm25": LuceneBM25,
    "lucene_impact": LuceneImpact,
}

__all__ = [
    "BM25",
    "BRANCHES",
    "HNSW",
    "IVF",
    "PQ",
    "SQ8",
    "Binary",
    "Branch",
    "Dense",
    "Encoders",
    "Flat",
    "LuceneBM25",
    "LuceneImpact",
    "Multivector",
    "RaBitQ",
    "Scan",
    "Sparse",
    "Tiered",
]
