"""Token vectors of documents, and late interaction over them."""

from hybrid.index.multivector.codec import Codec
from hybrid.index.multivector.form import TOKEN_STORAGES, TokenForm, TokenStorage
from hybrid.index.multivector.maxsim import StoredTokens, TokenQuery
from hybrid.index.multivector.plaid import Effort
from hybrid.index.multivector.rows import TokenRows
from hybrid.index.multivector.scorer import MultivectorScorer
from hybrid.index.multivector.training import TRAINING, fit

__all__ = [
    "TOKEN_STORAGES",
    "TRAINING",
    "Codec",
    "Effort",
    "MultivectorScorer",
    "StoredTokens",
    "TokenForm",
    "TokenQuery",
    "TokenRows",
    "TokenStorage",
    "fit",
]
