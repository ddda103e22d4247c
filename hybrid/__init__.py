"""Hybrid retrieval: BM25 and dense search over one collection, fused exactly and explained."""
