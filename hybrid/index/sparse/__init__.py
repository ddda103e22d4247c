"""Sparse branches' rows and postings, and the scorers over them."""

from hybrid.index.sparse.batch import top_of_each
from hybrid.index.sparse.bm25 import bm25_scorer
from hybrid.index.sparse.learned import weights_scorer
from hybrid.index.sparse.learned_rows import LearnedRows, truncated_flags
from hybrid.index.sparse.rows import HIGHEST_WEIGHTS, SparseRows
from hybrid.index.sparse.scorer import SparseScorer
from hybrid.index.sparse.statistics import SparseStatistics

__all__ = [
    "HIGHEST_WEIGHTS",
    "LearnedRows",
    "SparseRows",
    "SparseScorer",
    "SparseStatistics",
    "bm25_scorer",
    "top_of_each",
    "truncated_flags",
    "weights_scorer",
]
