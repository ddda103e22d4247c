"""What every embedding cache does."""

from __future__ import annotations

import contextlib
import threading

import pytest

import hybrid
from hybrid.encoders.caching.memory_cache import MemoryCache
from tests.encoders.caching import servers

KINDS = ["memory", "sqlite", "redis-server", "speaking"]


@pytest.fixture(params=KINDS)
def cache(request, tmp_path):
    with contextlib.ExitStack() as stack:
        if request.param == "memory":
            yield MemoryCache(1 << 20)
        elif request.param == "sqlite":
            yield stack.enter_context(contextlib.closing(hybrid.SQLiteCache(tmp_path / "a" / "cache.sqlite")))
        else:
            if request.param == "redis-server":
                if servers.REAL is None:
                    pytest.skip("redis-server is not installed")
                url = stack.enter_context(servers.real(tmp_path))
            else:
                _, url = stack.enter_context(servers.speaking())
            yield stack.enter_context(contextlib.closing(hybrid.RedisCache(url)))


def keys(count, start=0):
    return [n.to_bytes(20, "big") for n in range(start, start + count)]


def test_what_was_put_is_there_bit_for_bit(cache):
    assert isinstance(cache, hybrid.EmbeddingCache)
    values = dict(zip(keys(3), [b"", b"\0\r\n\xff" * 9, bytes(range(256))], strict=True))
    assert dict(cache.get(keys(3))) == {}
    cache.put(values)
    assert dict(cache.get(keys(5))) == values
    assert dict(cache.get([])) == {}
    cache.put({})


def test_a_value_is_replaced(cache):
    cache.put(dict.fromkeys(keys(2), b"old"))
    cache.put({keys(1)[0]: b"new"})
    assert list(cache.get(keys(2)).values()) == [b"new", b"old"]


def test_many_at_once(cache):
    values = {key: key * 10 for key in keys(1300)}
    cache.put(values)
    assert dict(cache.get(list(values))) == values


def test_threads(cache):
    start, failed = threading.Barrier(6), []

    def work(number):
        start.wait()
        for n in range(20):
            mine = dict.fromkeys(keys(3, start=100 * number + 3 * n), b"%d" % number)
            cache.put(mine)
            if dict(cache.get(list(mine))) != mine:
                failed.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
