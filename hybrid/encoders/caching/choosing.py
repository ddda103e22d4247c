"""Which embedding cache is used: what the caller says, else the environment, else one file for each user."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from hybrid.encoders.caching.entries import EmbeddingCache
from hybrid.encoders.caching.redis_cache import SCHEMES, RedisCache
from hybrid.encoders.caching.sqlite_cache import SQLiteCache
from hybrid.errors import InputError

VARIABLE = "HYBRID_CACHE"
OFF = "off"

CacheSetting: TypeAlias = "str | Path | EmbeddingCache | None"
"""A file's path, a Redis URL, "off", a cache, or None for what ``HYBRID_CACHE`` says."""


def choose_cache(setting: CacheSetting = None) -> EmbeddingCache | None:
    """Return the cache that a setting stands for, or None for none.

    Without a setting, the environment variable ``HYBRID_CACHE`` decides (a path, a URL, or ``off``); without
    it, the cache is the file ``hybrid/embeddings.sqlite`` in the folder that ``XDG_CACHE_HOME`` names, else
    in ``~/.cache``.

    Raises:
        InputError: the setting is none of these.
        MissingDependencyError: it is a Redis URL, and the extra ``redis`` is not installed.
    """
    if setting is None:
        setting = os.environ.get(VARIABLE, "").strip() or _default()
    if isinstance(setting, str) and setting.strip().lower() == OFF:
        return None
    if isinstance(setting, str) and setting.partition("://")[0] in SCHEMES:
        return RedisCache(setting)
    if isinstance(setting, str | Path):
        if not str(setting).strip() or "://" in str(setting) or "\0" in str(setting):
            raise InputError(f"the cache is {_shown(str(setting))!r}; {_ACCEPTED}")
        path = Path(setting)
        if path.is_dir():
            raise InputError(f"the cache {str(path)!r} is a folder; {_ACCEPTED}")
        return SQLiteCache(path)
    if isinstance(setting, EmbeddingCache) and not isinstance(setting, type):
        return setting
    raise InputError(f"the cache is {setting!r}; {_ACCEPTED}")


_ACCEPTED = (
    "give the path of a file, a redis:// URL, 'off', a hybrid.SQLiteCache or hybrid.RedisCache, or nothing "
    f"for what {VARIABLE} says"
)


def _shown(setting: str) -> str:
    """Return a setting without what may be a password."""
    scheme, mark, rest = setting.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def _default() -> Path | str:
    """Return the user's file; without a home there is no cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # no home can be found
        return OFF
    return folder / "hybrid" / "embeddings.sqlite"
