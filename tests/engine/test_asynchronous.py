"""From an event loop: the same answers, and the loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading

import pytest

import hybrid
from hybrid.engine import asynchronous
from tests.engine.test_passes import BOTH, DOCUMENTS, Letters


class Gated(Letters):
    """Letters that wait until they are let go."""

    def __init__(self):
        super().__init__()
        self.gate, self.asked = threading.Event(), threading.Event()
        self.gate.set()

    def encode(self, texts, side, representations, progress=None):
        self.asked.set()
        assert self.gate.wait(30)
        return super().encode(texts, side, representations, progress)


@pytest.fixture
def gated(tmp_path):
    encoder = Gated()
    with hybrid.create(tmp_path / "index", DOCUMENTS, BOTH, encoders={"letters": encoder}) as index:
        encoder.passes.clear()
        yield index, encoder


async def until(event):
    """Wait for a thread's event; only a loop that goes on gets here."""
    for _ in range(3000):
        if event.is_set():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")


async def stream(documents, before=None):
    for document in documents:
        await asyncio.sleep(0)
        yield document
    if before is not None:
        await before.wait()


def hits(result):
    return [(hit.id, hit.score) for hit in result]


def test_searches_equal_their_namesakes_and_leave_the_loop_free(gated):
    index, encoder = gated
    where = {"year": {"$gte": 1}}

    async def work():
        encoder.gate.clear()
        encoder.asked.clear()
        found = asyncio.gather(*(index.asearch("ab", 2, branches=["dense"]) for _ in range(3)))
        await until(encoder.asked)  # the model works, and so do we
        assert not found.done()
        encoder.gate.set()
        told = []
        many = await index.asearch_many(["ab", "zz"], 2, progress=lambda *what: told.append(what))
        await asyncio.sleep(0)
        assert sorted(told) == [("search", 1, 2), ("search", 2, 2)]
        return await found, many, await index.asearch("ab", where=where)

    three, many, none = asyncio.run(work())
    assert [hits(one) for one in three] == [hits(index.search("ab", 2, branches=["dense"]))] * 3
    assert [hits(one) for one in many] == [hits(one) for one in index.search_many(["ab", "zz"], 2)]
    assert hits(none) == []


def test_errors_come_through(gated):
    index, _ = gated
    with pytest.raises(hybrid.InputError, match="k is 0"):
        asyncio.run(index.asearch("ab", 0))
    with pytest.raises(hybrid.DocumentError):
        asyncio.run(index.aadd("no documents"))
    with pytest.raises(hybrid.DuplicateIdError):
        asyncio.run(index.aadd(stream([hybrid.Document("1", "again")])))
    assert len(index) == 3


@pytest.mark.parametrize("block", [1, 2, 256])
def test_documents_of_any_source_are_added(gated, monkeypatch, block):
    index, _ = gated
    monkeypatch.setattr(asynchronous, "BLOCK", block)
    told, threads = [], set()

    def progress(*what):
        told.append(what)
        threads.add(threading.current_thread())

    async def work():
        assert (
            await index.aadd(stream([{"id": "4", "text": "dd"}, hybrid.Document("5", "ee")]), progress) == 2
        )
        assert await index.aadd([hybrid.Document("6", "ff")]) == 1
        assert await index.aupdate(stream([hybrid.Document("6", "gg")])) == 1

    asyncio.run(work())
    assert len(index) == 6
    assert index.get("6").text == "gg"
    assert ("write", 2, 2) in told
    assert threads == {threading.main_thread()}


def test_an_error_of_the_source_leaves_the_index_as_it_was(gated):
    index, _ = gated
    ended = []

    async def failing():
        try:
            yield hybrid.Document("4", "dd")
            raise ZeroDivisionError
        finally:
            ended.append(True)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(index.aadd(failing()))
    assert (len(index), ended) == (3, [True])


@pytest.mark.parametrize("where", ["waiting for documents", "encoding", "encoding a list"])
def test_cancelling_leaves_the_index_as_it_was(gated, where):
    index, encoder = gated

    async def work():
        encoder.asked.clear()
        never = asyncio.Event()
        documents = [hybrid.Document("4", "dd")]
        if where == "waiting for documents":
            adding = asyncio.create_task(index.aadd(stream(documents, never)))
            await asyncio.sleep(0.1)
        else:
            encoder.gate.clear()
            source = documents if where.endswith("list") else stream(documents)
            adding = asyncio.create_task(index.aadd(source))
            await until(encoder.asked)
        adding.cancel()
        await asyncio.sleep(0.05)
        encoder.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await adding
        assert len(index) == 3
        assert await index.aadd(documents) == 1  # nothing is held

    asyncio.run(work())
    assert len(index) == 4
