"""Which cache a setting stands for."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import hybrid
from hybrid.encoders.caching import choose_cache
from hybrid.encoders.caching.memory_cache import MemoryCache


def test_the_callers_word_goes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRID_CACHE", str(tmp_path / "environment"))
    assert choose_cache().path == tmp_path / "environment"
    assert choose_cache(tmp_path / "said").path == tmp_path / "said"
    assert choose_cache("off") is None
    mine = MemoryCache(10)
    assert choose_cache(mine) is mine
    monkeypatch.setenv("HYBRID_CACHE", "OFF")
    assert choose_cache() is None
    monkeypatch.setenv("HYBRID_CACHE", "redis://127.0.0.1:1/3")
    assert choose_cache().place == "redis://127.0.0.1:1/3"


def test_the_default_is_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("HYBRID_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert choose_cache().path == tmp_path / "hybrid" / "embeddings.sqlite"
    assert choose_cache().limit == 4 << 30
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the XDG specification
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert choose_cache().path == tmp_path / "home" / ".cache" / "hybrid" / "embeddings.sqlite"
    assert not list(tmp_path.iterdir())  # nothing is made before it is used


@pytest.mark.parametrize("setting", [5, True, MemoryCache, "http://host/x", "", "a\0b", Path("/")])
def test_wrong_settings(setting, monkeypatch):
    with pytest.raises(hybrid.InputError, match=r"the cache .*; give the path of a file, a redis:// URL"):
        choose_cache(setting)


def test_a_password_is_not_shown(monkeypatch):
    url = "redis://user:secret@127.0.0.1:1/0?password=secret"
    cache = hybrid.RedisCache(url)
    with pytest.raises(hybrid.StorageError) as failed:
        cache.get([b"k"])
    assert "secret" not in f"{cache!r} {failed.value}"
    with pytest.raises(hybrid.InputError) as failed:
        choose_cache("http://user:secret@host")
    assert "secret" not in str(failed.value)


def test_a_missing_client_is_said_at_once(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(hybrid.MissingDependencyError, match=r"pip install 'hybrid-retrieval\[redis\]'"):
        choose_cache("redis://localhost")
