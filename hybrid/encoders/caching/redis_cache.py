"""Embeddings in a Redis server, shared by machines."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from hybrid import forking
from hybrid.errors import InputError, MissingDependencyError, StorageError

PREFIX = b"hybrid:embedding:"
SCHEMES = ("redis", "rediss", "unix")
_TIMEOUT = 5.0
_KEYS = 256  # of one command, so that no answer is very long


class RedisCache:
    """An embedding cache in a Redis server, named by its URL, such as ``redis://localhost:6379/0``.

    How much is kept is the server's to decide: give it a ``maxmemory`` and the policy ``allkeys-lru``. Needs
    the extra ``redis``. Neither messages nor `repr` show a password that the URL holds.
    """

    def __init__(self, url: str) -> None:
        """Take the URL; nothing is connected before the first use.

        Raises:
            InputError: it is no URL of a Redis server.
            MissingDependencyError: the client is not installed.
        """
        if not isinstance(url, str) or urlsplit(url).scheme not in SCHEMES:
            raise InputError("the cache's URL must begin with redis://, rediss:// or unix://")
        if importlib.util.find_spec("redis") is None:
            raise MissingDependencyError("redis", "redis")
        self._url = url
        parts = urlsplit(url)
        self.place = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
        self._client: Any = None
        self._lock = forking.Lock()

    def __repr__(self) -> str:
        """Show the server."""
        return f"RedisCache({self.place!r})"

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the values of those keys that are there.

        Raises:
            StorageError: the server does not answer as it should.
        """
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _KEYS):
            some = keys[start : start + _KEYS]
            values = self._ask("mget", [PREFIX + key for key in some])
            found |= {key: value for key, value in zip(some, values, strict=True) if value is not None}
        return found

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values.

        Raises:
            StorageError: the server does not answer as it should.
        """
        items = list(values.items())
        for start in range(0, len(items), _KEYS):
            self._ask("mset", {PREFIX + key: value for key, value in items[start : start + _KEYS]})

    def close(self) -> None:
        """Let go of the connections; they are made again when they are needed again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _ask(self, command: str, argument: Any) -> Any:
        from redis import RedisError

        try:
            return getattr(self._connected(), command)(argument)
        except (RedisError, OSError, ValueError) as error:
            raise StorageError(
                f"the embedding cache {self.place} cannot be used ({type(error).__name__})"
            ) from error

    def _connected(self) -> Any:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        with self._lock:
            if self._client is None:
                self._client = Redis.from_url(
                    self._url,
                    socket_timeout=_TIMEOUT,
                    socket_connect_timeout=_TIMEOUT,
                    retry=Retry(NoBackoff(), 1),  # a connection that lay idle may have been closed
                )
            return self._client
