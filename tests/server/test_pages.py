"""Pages over HTTP: those of the library, from one generation while documents change."""

from __future__ import annotations

import asyncio

import httpx
import pytest

import hybrid
from hybrid.errors import CursorError, InputError
from hybrid.server import AsyncClient, KeyRing, Settings
from tests.server.conftest import WORDS, documents, record, running

QUERY = "bread in a warm oven on the day"


def ids(results):
    return [[hit.id for hit in result] for result in results]


def test_pages_are_those_of_the_library(server, both):
    with hybrid.open(both) as index, server.client("both") as client:
        mine, theirs = list(index.pages(QUERY, 3)), list(client.pages(QUERY, 3))
        assert theirs == mine
        assert len(mine) > 3
        assert [hit.rank for result in theirs for hit in result] == list(range(1, len(documents()) + 1))
        first = client.search(QUERY, 3, pages=True)
        second = client.search(QUERY, 3, cursor=first.cursor)
        assert second == mine[1]
        rank = second[0].rank
        assert second.explain(rank).rank == rank
        assert second.highlights(rank) == mine[1].highlights(rank)
        assert client.search(QUERY, 12, pages=True, where={"year": 1999}).cursor is None

        async def scene():
            async with AsyncClient(server.url, "both") as other:
                return [page async for page in other.pages(QUERY, 3)]

        assert asyncio.run(scene()) == mine


def test_pages_stay_while_documents_change(tmp_path):
    folder = tmp_path / "shop"
    hybrid.create(folder, [hybrid.Document(f"{n:02}", "bread " * n) for n in range(1, 20)], WORDS).close()
    with running(folder, "--write") as server, server.client("shop") as client:
        whole = client.search("bread", 19)
        pages = [client.search("bread", 5, pages=True)]
        for n in range(3):
            client.add([hybrid.Document(f"new {n}", "bread")])
            client.delete([pages[-1][0].id, whole[-1 - n].id])
            pages.append(client.search("bread", 5, cursor=pages[-1].cursor))
        assert [hit.id for page in pages for hit in page] == [hit.id for hit in whole]
        assert {page.generation for page in pages} == {whole.generation}
        assert client.search("bread").generation > whole.generation


def test_what_is_no_cursor_of_this_search_is_refused(server):
    with server.client("both") as client:
        found = client.search(QUERY, 3, pages=True)
        cursor = found.cursor
        for wrong in ("x", cursor[:-2] + "AA", cursor + cursor):
            with pytest.raises(CursorError):
                client.search(QUERY, 3, cursor=wrong)
        with pytest.raises(CursorError, match="another query"):
            client.search("soup", 3, cursor=cursor)
        with pytest.raises(CursorError, match="another query"):
            client.search(QUERY, 3, where={"year": 2021}, cursor=cursor)
        with pytest.raises(InputError, match="pages=True"):
            _ = client.search(QUERY, 3).cursor
        with server.client("words") as words, pytest.raises(CursorError):
            words.search(QUERY, 3, cursor=cursor)
    plain = httpx.post(f"{server.url}/v1/indexes/both/search", json={"query": QUERY, "k": 3}).json()
    assert "cursor" not in plain


def test_pages_reach_so_far_and_no_further(both):
    from hybrid.server.app import build_app

    async def scene():
        app, guard = build_app({"both": both}, Settings(max_k=2, reach=3), KeyRing())
        transport = httpx.ASGITransport(guard)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            url, asked = "/v1/indexes/both/search", {"query": QUERY, "k": 2, "pages": True}
            first = (await client.post(url, json=asked)).json()
            one = await client.post(url, json={**asked, "k": 1, "cursor": first["cursor"]})
            two = await client.post(url, json={**asked, "k": 2, "cursor": first["cursor"]})
            return one, two

    one, two = asyncio.run(scene())
    assert [hit["rank"] for hit in one.json()["hits"]] == [3]
    assert (two.status_code, record(two)["type"]) == (422, "urn:hybrid:problem:limit")
    assert "the limit is 3" in record(two)["detail"]
