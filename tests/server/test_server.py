"""A server in a process of its own, asked as callers ask it."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

import hybrid
from hybrid.errors import (
    DuplicateIdError,
    FilterError,
    InputError,
    NotFoundError,
    PipelineError,
    ReadOnlyError,
    RemoteError,
)
from hybrid.server import AsyncClient, Client
from tests.server.conftest import TEXTS, WORDS, documents, record, running


@pytest.fixture
def client(server):
    with server.client("both") as client:
        yield client


@pytest.fixture
def index(both):
    with hybrid.open(both) as index:
        yield index


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"k": 3},
        {"where": {"year": {"$gte": 2021}}},
        {"branches": ["bm25"]},
        {"fusion": hybrid.RRF(k=10)},
        {"fusion": hybrid.Weighted(weights={"bm25": 0.7, "dense": 0.2}, normalizer="minmax")},
        {"strict": True, "deadline": 5.0},
    ],
    ids=str,
)
def test_a_search_is_that_of_the_library(client, index, terms):
    mine, theirs = index.search("bread in a hot oven", **terms), client.search("bread in a hot oven", **terms)
    assert theirs == mine
    assert theirs.timings.keys() == mine.timings.keys()
    assert theirs[0].id in ("oven", "bread")
    assert [theirs.highlights(hit.rank) for hit in theirs] == [mine.highlights(hit.rank) for hit in mine]
    assert any(theirs.highlights(1))


def test_explanations_are_those_of_the_library(client, index):
    fusion = hybrid.RRF()
    mine, theirs = (each.search("warm oven", fusion=fusion) for each in (index, client))
    assert theirs.explain(2) == mine.explain(2)
    assert theirs.explain(1).fusion == "RRF(k=60)"
    assert client.explain("oven", "cat") == index.explain("oven", "cat")
    assert theirs.explain(1).stages[0].terms
    with pytest.raises(IndexError):
        theirs.explain(0)


def test_many_searches_at_once(client, index):
    queries = ["disk full", "cats", "E-4021"]
    assert client.search_many(queries, 2) == index.search_many(queries, 2)
    with pytest.raises(InputError, match="list of queries"):
        client.search_many("disk")


def test_documents_and_figures(client, index):
    for id in TEXTS:
        assert client.get(id) == index.get(id)
    mine, theirs = index.stats(), client.stats()
    assert (theirs.documents, theirs.fields, theirs.branches) == (mine.documents, mine.fields, mine.branches)
    with pytest.raises(NotFoundError, match="'nobody'"):
        client.get("nobody")


def test_an_asynchronous_client(server, index):
    async def scene():
        async with AsyncClient(server.url, "both") as client:
            found = await asyncio.gather(*(client.search(text) for text in TEXTS.values()))
            many = await client.search_many(["cats"], 1)
            with pytest.raises(InputError, match=r"await client\.explain"):
                found[0].explain(1)
            why = await client.explain("cats", "cat")
            return found, many, why, await client.get("cat"), (await client.stats()).documents

    found, many, why, cat, count = asyncio.run(scene())
    assert found == [index.search(text) for text in TEXTS.values()]
    assert (many, why) == (index.search_many(["cats"], 1), index.explain("cats", "cat"))
    assert (cat, count) == (index.get("cat"), len(TEXTS))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda c: c.search("x", 0), InputError, "k: "),
        (lambda c: c.search("x", 5000), InputError, "at most 1000"),
        (lambda c: c.search("x", where={"a": {"$no": 1}}), FilterError, r"\$no"),
        (lambda c: c.search("x", branches=["no"]), PipelineError, "'no'"),
        (lambda c: c.search("x", fusion=hybrid.RRF(weights={"bm25": 1})), PipelineError, "'dense'"),
        (lambda c: c.search("x" * 70_000), InputError, "query"),
        (lambda c: c.search("x", deadline=-1), InputError, "deadline"),
        (lambda c: c.explain("x", "cat", where={"year": 1999}), NotFoundError, "excludes"),
        (lambda c: c.add(documents()), ReadOnlyError, "--write"),
        (lambda c: c.delete(["cat"]), ReadOnlyError, "--write"),
        (lambda c: c.delete("cat"), InputError, "list of ids"),
        (lambda c: c.search(hybrid.Query("x", {"bm25": [1.0]})), InputError, "bm25"),
    ],
)
def test_errors_are_those_of_the_library(client, call, error, said):
    with pytest.raises(error, match=said):
        call(client)


def test_a_client_says_what_it_cannot_reach(server, unused_tcp_port):
    with (
        pytest.raises(RemoteError, match="there is no index 'none'"),
        server.client("none") as client,
    ):
        client.search("x")
    with (
        Client(f"http://127.0.0.1:{unused_tcp_port}", "x") as client,
        pytest.raises(RemoteError, match="reached"),
    ):
        client.search("x")
    with pytest.raises(InputError, match="ftp:"):
        Client("ftp://x", "x")
    with pytest.raises(InputError, match="Secret"):
        Client("http://x", "x", key="hyb_x")


@pytest.fixture
def unused_tcp_port():
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def test_several_indexes_by_name(server):
    found = httpx.get(f"{server.url}/v1/indexes").json()["indexes"]
    assert [each["name"] for each in found] == ["words", "both"]
    one = httpx.get(f"{server.url}/v1/indexes/both").json()
    assert one == found[1]
    assert one["branches"] == [{"name": "bm25", "kind": "sparse"}, {"name": "dense", "kind": "dense"}]
    assert (one["documents"], one["writable"], one["fields"]) == (len(TEXTS), False, ["length", "year"])
    with server.client("words") as words, server.client("both") as both:
        assert words.search("bread")[0].scores.keys() == {"bm25", "fused"}
        assert both.search("bread")[0].scores.keys() == {"bm25", "dense", "fused", "maxsim"}


def test_health_readiness_and_metrics(server, client):
    client.search("oven")
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{server.url}/ready").json() == {"status": "ready"}
    text = httpx.get(f"{server.url}/metrics").text
    assert 'hybrid_generation{index="both"} 1.0' in text
    assert f'hybrid_documents{{index="both"}} {len(TEXTS)}.0' in text
    assert 'hybrid_requests_total{method="POST",route="/v1/indexes/{index}/search",status="200"}' in text
    assert 'hybrid_search_seconds_count{index="both",stage="bm25"}' in text
    assert "hybrid_requests_open 1.0" in text  # this one


def test_changes_are_commits(guarded, keys):
    with guarded.client("mine", key=keys[1]) as client:
        before = client.stats().generation
        assert client.add([hybrid.Document("new", "a zebra", metadata={"year": 1})]) == 1
        assert client.search("zebra").hits[0].id == "new"
        with pytest.raises(DuplicateIdError, match="'new'"):
            client.add([hybrid.Document("other", "b"), hybrid.Document("new", "c")])
        with pytest.raises(NotFoundError):
            client.get("other")
        assert client.update([hybrid.Document("new", "a giraffe")]) == 1
        assert [hit.id for hit in client.search("zebra")] == []
        assert client.search("giraffe").generation == before + 2
        with pytest.raises(NotFoundError, match="'nobody'"):
            client.delete(["new", "nobody"])
        assert client.delete(["new", "nobody"], missing="ignore") == 1
        assert client.stats().documents == len(TEXTS)


def test_an_asynchronous_client_changes_too(guarded, keys):
    async def scene():
        async with AsyncClient(guarded.url, "mine", key=keys[1]) as client:
            added = await client.add([hybrid.Document("later", "an okapi")])
            updated = await client.update([hybrid.Document("later", "a tapir")])
            found = await client.search("tapir")
            return added, updated, found[0].id, await client.delete(["later"])

    assert asyncio.run(scene()) == (1, 1, "later", 1)


def test_another_process_writes_and_the_server_follows(tmp_path):
    folder = tmp_path / "index"
    hybrid.create(folder, documents(), WORDS).close()
    with running(folder) as server, server.client("index") as client:
        assert len(client.search("zebra")) == 0
        with hybrid.open(folder, "w") as writer:
            writer.add([hybrid.Document("z", "a zebra")])
        assert until(lambda: [hit.id for hit in client.search("zebra")] == ["z"])
        # replaced by an index with other branches: opened anew
        other = hybrid.Pipeline([hybrid.BM25(name="other")], name="other")
        hybrid.create(folder, [hybrid.Document("o", "an okapi")], other, overwrite=True).close()
        assert until(lambda: [hit.scores.keys() for hit in client.search("okapi")] == [{"other", "fused"}])


def until(happens, seconds=10.0):
    end = time.monotonic() + seconds
    while not (so := happens()) and time.monotonic() < end:
        time.sleep(0.05)
    return so


def test_what_fails_is_told_and_the_rest_answers(moody):
    with running(moody, MOODY_SECONDS="3") as server, server.client("moody") as client:
        degraded = client.search("fail bread")
        assert (degraded.degraded, degraded.exact) == (("dense",), False)
        assert degraded[0].id in ("bread", "oven")
        late = client.search("slow bread", deadline=0.3)
        assert late.degraded == ("dense",)
        assert "deadline" in late.notes["dense"][0]
        with pytest.raises(hybrid.BranchError):
            client.search("fail bread", strict=True)
        with pytest.raises(hybrid.BranchError):
            client.search("fail bread", branches=["dense"])
        text = httpx.get(f"{server.url}/metrics").text
        assert 'hybrid_degraded_total{index="moody",part="dense"} 2.0' in text


def test_what_fails_inside_does_not_leak_to_those_with_keys(moody, keys):
    read, _, file = keys
    with running(moody, "--keys", file) as server:
        headers = {"authorization": f"Bearer {read.reveal()}"}
        url = f"{server.url}/v1/indexes/moody/search"
        degraded = httpx.post(url, json={"query": "fail bread"}, headers=headers)
        assert degraded.json()["degraded"] == ["dense"]
        failed = httpx.post(url, json={"query": "fail", "branches": ["dense"]}, headers=headers)
        assert (failed.status_code, record(failed)["type"]) == (502, "urn:hybrid:problem:branches-failed")
        for answer in (degraded, failed):
            assert "secret place" not in answer.text
