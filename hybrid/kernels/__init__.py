"""Formulas over arrays: BM25, and exact inner products. They know nothing of files, text or models."""
