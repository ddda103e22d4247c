"""Token vectors of documents, and late interaction over them."""

from hybrid.index.multivector.maxsim import TokenQuery
from hybrid.index.multivector.rows import TokenRows
from hybrid.index.multivector.scorer import MultivectorScorer

__all__ = ["MultivectorScorer", "TokenQuery", "TokenRows"]
