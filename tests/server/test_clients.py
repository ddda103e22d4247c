"""What both clients do alike: queries with vectors, addresses, answers of something else."""

from __future__ import annotations

import asyncio
import inspect
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import hybrid
from hybrid.errors import InputError, RemoteError
from hybrid.server import AsyncClient, Client
from tests.server.conftest import running

BROUGHT = hybrid.Pipeline([hybrid.BM25(), hybrid.Dense(model=None, dimension=2)], name="brought")


def test_vectors_of_queries_go_with_everything_that_is_asked(tmp_path):
    folder = tmp_path / "brought"
    rows = [hybrid.Document(str(n), f"word {n}", vectors={"dense": [n, 5 - n]}) for n in range(5)]
    query = hybrid.Query("word 3", {"dense": [0.5, 1.0]})
    hybrid.create(folder, rows, BROUGHT).close()
    with hybrid.open(folder) as index, running(folder) as server, server.client("brought") as client:
        mine, theirs = index.search(query), client.search(query)
        assert theirs == mine
        assert theirs.explain(2) == mine.explain(2)
        assert theirs.highlights(1) == mine.highlights(1) != []
        assert client.explain(query, "4") == index.explain(query, "4")
        many = client.search_many([query, hybrid.Query("word 1", {"dense": [1, 0]})], 2)
        assert many == index.search_many([query, hybrid.Query("word 1", {"dense": [1, 0]})], 2)
        assert many[1].explain(1) == index.search(hybrid.Query("word 1", {"dense": [1, 0]}), 2).explain(1)
        assert list(client.get("3").vectors["dense"]) == list(index.get("3").vectors["dense"])


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("url", "index", "said"),
    [
        ("ftp://x", "x", "ftp:"), ("http://", "x", "http://"), ("http://[", "x", "give an address"),
        ("http://a:b", "x", "give an address"), ("http://me:secret@x", "x", "a name or a password"),
        ("http://x", "../v2", "'../v2' is not accepted"), ("http://x", "", "'' is not accepted"),
    ],
)  # fmt: skip
def test_addresses_and_names_are_checked(kind, url, index, said):
    with pytest.raises(InputError, match=said) as caught:
        kind(url, index)
    assert "secret" not in str(caught.value)


class Other(BaseHTTPRequestHandler):
    """A server that is another one."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"hits": "many"}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""


def test_an_answer_of_something_else_is_told_as_such():
    other = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=other.serve_forever)
    thread.start()
    try:
        with (
            Client(f"http://127.0.0.1:{other.server_port}", "x") as client,
            pytest.raises(RemoteError, match="is it another one"),
        ):
            client.search("x")
    finally:
        other.shutdown()
        thread.join()
        other.server_close()


def test_what_is_no_option_is_refused(server):
    with server.client("both") as client:
        with pytest.raises(TypeError, match="nothing"):
            client.search_many(["x"], nothing=1)
        with pytest.raises(InputError, match="the query is 5"):
            client.search(5)


def test_both_clients_take_the_same():
    public = [name for name in vars(Client) if not name.startswith("_")]
    assert public == [name for name in vars(AsyncClient) if not name.startswith("_")]
    for name in public:
        one, other = getattr(Client, name), getattr(AsyncClient, name)
        assert (
            str(inspect.signature(one)).partition(" ->")[0]
            == str(inspect.signature(other)).partition(" ->")[0]
        )
        assert inspect.getdoc(one) == inspect.getdoc(other)
        assert inspect.iscoroutinefunction(other) or inspect.isasyncgenfunction(other)


def test_conflicts_reach_an_asynchronous_client_too(tmp_path):
    folder = tmp_path / "shop"
    hybrid.create(folder, [hybrid.Document("a", "one")], hybrid.Pipeline([hybrid.BM25()])).close()

    async def scene(url):
        async with AsyncClient(url, "shop") as client:
            version = await client.version("a")
            await client.update([hybrid.Document("a", "two")], if_version={"a": version})
            with pytest.raises(hybrid.ConflictError):
                await client.delete(["a"], if_version={"a": version})
            return await client.delete(where={})

    with running(folder, "--write") as server:
        assert asyncio.run(scene(server.url)) == 1
