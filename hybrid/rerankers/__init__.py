"""Rerankers: second-stage scoring of the best candidates."""

from hybrid.rerankers.stage import Rerank

__all__ = ["Rerank"]
