"""Dense vectors of documents, and the ways to search them."""

from hybrid.index.dense.flat import FlatSegment
from hybrid.index.dense.rows import LONGEST, DenseRows
from hybrid.index.dense.scorer import FlatScorer

__all__ = ["LONGEST", "DenseRows", "FlatScorer", "FlatSegment"]
