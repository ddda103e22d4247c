"""The embedding cache: what a model gave for a text is kept, and not computed a second time."""

from hybrid.encoders.caching.choosing import VARIABLE, CacheSetting, choose_cache
from hybrid.encoders.caching.entries import EmbeddingCache
from hybrid.encoders.caching.model import CachedModel, Counts
from hybrid.encoders.caching.redis_cache import RedisCache
from hybrid.encoders.caching.sqlite_cache import SQLiteCache

__all__ = [
    "EmbeddingCache", "SQLiteCache", "RedisCache", "CacheSetting", "choose_cache", "VARIABLE",
    "CachedModel", "Counts",
]  # fmt: skip
