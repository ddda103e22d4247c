"""Branches that search with Apache Lucene, as pyserini ships it: BM25 over texts, and learned impacts."""

from hybrid.branches.lucene.bm25 import LuceneBM25
from hybrid.branches.lucene.impact import LuceneImpact

__all__ = ["LuceneBM25", "LuceneImpact"]
