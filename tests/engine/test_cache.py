"""Nothing is encoded twice: a cache between the model and the branches."""

from __future__ import annotations

import sqlite3
import threading
from hashlib import blake2b

import numpy as np
import pytest

import hybrid
from hybrid.encoders.caching import model as caching
from hybrid.encoders.caching.memory_cache import ENTRY
from tests.encoders.caching import servers
from tests.engine.test_passes import BOTH, Letters

TEXTS = ["abba", "cab", "zoo", "banana", "a bad cab", "b" * 30]
DOCUMENTS = [hybrid.Document(str(n), text) for n, text in enumerate(TEXTS)]


class Windowed(Letters):
    """Letters that notices texts of more than 20 characters, and may give other vectors."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def encode(self, texts, side, representations, progress=None):
        found = super().encode(texts, side, representations, progress)
        for batch in (found.dense, found.sparse):
            if batch is not None:
                batch.truncated[:] = [len(text) > 20 for text in texts]
        if found.dense is not None:
            found.dense.vectors[:] *= np.float32(self.factor)
        return found

    def documents(self):
        return [text for side, texts, _ in self.passes if side == "document" for text in texts]


def build(path, cache, documents=DOCUMENTS, encoder=None):
    """Build an index; return what passed through the model after the probes, the segments, the counts."""
    encoder = encoder or Windowed()
    with hybrid.create(path, [], BOTH, encoders={"letters": encoder}, cache=cache) as index:
        encoder.passes.clear()
        index.add(documents)
        counts = index.stats().encoders["letters"]
    return encoder.documents(), digests(path), counts


def digests(path):
    files = (path / "segments").iterdir()
    return sorted(blake2b(file.read_bytes()).hexdigest() for file in files)


@pytest.fixture(params=["sqlite", "redis"])
def cache(request, tmp_path):
    if request.param == "sqlite":
        yield hybrid.SQLiteCache(tmp_path / "cache.sqlite")
    else:
        with servers.speaking() as (_, url):
            yield hybrid.RedisCache(url)


def test_a_second_index_encodes_nothing_and_is_the_same(tmp_path, cache):
    plain, expected, without = build(tmp_path / "plain", "off")
    assert sorted(plain) == sorted(TEXTS)
    assert (without.encoded, without.cached, without.truncated) == (6, 0, 1)
    first, one, counts = build(tmp_path / "one", cache)
    assert sorted(first) == sorted(TEXTS)
    assert (counts.encoded, counts.cached, counts.truncated) == (6, 0, 1)
    second, two, counts = build(tmp_path / "two", cache)
    assert second == []
    assert (counts.encoded, counts.cached, counts.truncated) == (0, 6, 1)
    assert one == two == expected


def test_one_changed_document_is_encoded_alone(tmp_path, cache):
    build(tmp_path / "one", cache)
    changed = [*DOCUMENTS[:3], hybrid.Document("3", "bananas"), *DOCUMENTS[4:]]
    encoded, found, counts = build(tmp_path / "two", cache, changed)
    assert encoded == ["bananas"]
    assert (counts.encoded, counts.cached) == (1, 5)
    assert found == build(tmp_path / "plain", "off", changed)[1]


def test_what_another_branch_needs_is_looked_up_for_itself(tmp_path, cache):
    build(tmp_path / "one", cache)
    encoder = Windowed()
    dense = hybrid.Pipeline([hybrid.Dense("letters")])
    with hybrid.create(tmp_path / "two", DOCUMENTS, dense, encoders={"letters": encoder}, cache=cache):
        assert "abba" not in encoder.documents()


def test_the_same_text_as_query_and_document_is_two_things(tmp_path, cache):
    build(tmp_path / "one", cache)
    encoder = Windowed()
    with hybrid.open(tmp_path / "one", encoders={"letters": encoder}, cache=cache) as index:
        encoder.passes.clear()
        first = index.search("abba")
        assert encoder.passes == [("query", ("abba",), ("sparse", "dense"))]
        again = index.search("abba")
        both = index.search_many(["abba", "cab"])
        assert encoder.passes[1:] == [("query", ("cab",), ("sparse", "dense"))]
        assert [hit.scores for hit in first] == [hit.scores for hit in again] == [h.scores for h in both[0]]
        counts = index.stats().encoders["letters"]
        assert (counts.queries_encoded, counts.queries_cached, counts.queries_truncated) == (2, 2, 0)


def test_queries_used_long_ago_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(caching, "QUERY_BYTES", 2 * (25 + ENTRY))  # two queries
    encoder = Windowed()
    dense = hybrid.Pipeline([hybrid.Dense("letters")])
    with hybrid.create(
        tmp_path / "i", DOCUMENTS, dense, encoders={"letters": encoder}, cache=tmp_path / "c"
    ) as index:
        encoder.passes.clear()
        for query in ["a", "b", "a", "c", "a", "b"]:
            index.search(query)
    assert [texts for _, texts, _ in encoder.passes] == [("a",), ("b",), ("c",), ("b",)]


def test_without_a_cache_queries_are_not_remembered(tmp_path):
    encoder = Windowed()
    with hybrid.create(tmp_path / "i", DOCUMENTS, BOTH, encoders={"letters": encoder}) as index:
        encoder.passes.clear()
        index.search("abba")
        index.search("abba")
    assert len(encoder.passes) == 2


def test_an_encoder_that_gives_other_vectors_under_the_same_name_shares_nothing(tmp_path, cache):
    build(tmp_path / "one", cache)
    encoded, found, _ = build(tmp_path / "two", cache, encoder=Windowed(factor=2.0))
    assert sorted(encoded) == sorted(TEXTS)
    assert found == build(tmp_path / "plain", "off", encoder=Windowed(factor=2.0))[1]
    assert build(tmp_path / "three", cache, encoder=Windowed(factor=2.0))[0] == []
    assert build(tmp_path / "four", cache)[0] == []


def test_portions_are_kept_as_they_come(tmp_path, monkeypatch, cache):
    monkeypatch.setattr(caching, "PORTION_TEXTS", 2)

    class Dying(Windowed):
        def encode(self, texts, side, representations, progress=None):
            if "banana" in texts:
                raise RuntimeError("out of memory")
            return super().encode(texts, side, representations, progress)

    dying = Dying()
    with hybrid.create(tmp_path / "one", [], BOTH, encoders={"letters": dying}, cache=cache) as index:
        dying.passes.clear()
        with pytest.raises(RuntimeError):
            index.add(DOCUMENTS)
        assert len(index) == 0
    assert dying.documents() == ["cab", "zoo"]  # the shortest; the next two are abba and banana
    told = []
    encoder = Windowed()
    with hybrid.create(tmp_path / "two", [], BOTH, encoders={"letters": encoder}, cache=cache) as index:
        encoder.passes.clear()
        index.add(DOCUMENTS, lambda *what: told.append(what))
    assert encoder.documents() == ["abba", "banana", "a bad cab", "b" * 30]
    assert [what for what in told if what[0].startswith("encode")] == [
        ("encode letters", done, 6) for done in (2, 4, 6)
    ]


def broken(kind, tmp_path, stack):
    if kind == "folder is a file":
        (tmp_path / "file").write_text("")
        return tmp_path / "file" / "cache.sqlite"
    if kind == "another database":
        with sqlite3.connect(tmp_path / "other.db") as other:
            other.execute("CREATE TABLE things (a)")
        other.close()
        return tmp_path / "other.db"
    if kind == "no server":
        return "redis://127.0.0.1:1"
    if kind == "a server that refuses":
        server, url = stack
        server.broken = b"-OOM command not allowed when used memory > 'maxmemory'\r\n"
        return url

    class Own:
        def get(self, keys):
            return {}

        def put(self, values):
            raise ZeroDivisionError("a cache of the caller's own")

    return Own()


@pytest.mark.parametrize(
    "kind", ["folder is a file", "another database", "no server", "a server that refuses", "its own"]
)
def test_a_cache_that_fails_is_told_of_once_and_fails_nothing(tmp_path, kind, caplog, monkeypatch):
    monkeypatch.setattr(caching, "PORTION_TEXTS", 2)
    with servers.speaking() as stack:
        encoded, found, _ = build(tmp_path / "index", broken(kind, tmp_path, stack))
    assert sorted(encoded) == sorted(TEXTS)
    assert found == build(tmp_path / "plain", "off")[1]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].getMessage().endswith("; texts are encoded without a cache from now on")


def test_a_server_that_dies_in_the_middle(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(caching, "PORTION_TEXTS", 1)
    with servers.speaking() as (server, url):

        class Killer(Windowed):
            def encode(self, texts, side, representations, progress=None):
                if "banana" in texts:
                    server.broken = b"?nonsense\r\n"
                return super().encode(texts, side, representations, progress)

        encoded, found, _ = build(tmp_path / "index", url, encoder=Killer())
    assert sorted(encoded) == sorted(TEXTS)
    assert found == build(tmp_path / "plain", "off")[1]
    assert len(caplog.records) == 1


def test_a_damaged_value_is_encoded_again(tmp_path):
    cache = hybrid.SQLiteCache(tmp_path / "cache.sqlite")
    _, expected, _ = build(tmp_path / "one", cache)
    cache.close()
    with sqlite3.connect(cache.path) as file:
        file.execute("UPDATE entries SET value = zeroblob(length(value)) WHERE rowid % 3 = 0")
    file.close()
    encoded, found, _ = build(tmp_path / "two", cache)
    assert 0 < len(encoded) <= 6
    assert found == expected


def test_two_indexes_are_built_at_once_with_one_cache(tmp_path):
    documents = [hybrid.Document(f"d{n}", chr(97 + n % 26) * (n % 50 + 1)) for n in range(400)]
    expected = build(tmp_path / "plain", "off", documents)[1]
    found = {}

    def one(n):
        found[n] = build(tmp_path / str(n), tmp_path / "cache.sqlite", documents)[1]

    threads = [threading.Thread(target=one, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [expected] * 3
