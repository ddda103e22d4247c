"""Queries rewritten by a language model before branches see them."""

from hybrid.rewriting.rewriters import REWRITERS, HyDE, MultiQuery, Rewriter, Rewritten

__all__ = ["REWRITERS", "HyDE", "MultiQuery", "Rewriter", "Rewritten"]
