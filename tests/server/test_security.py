"""What a server must withstand: callers without rights, bodies without end, clients without haste."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import httpx
import pytest

import hybrid
from hybrid.server import KeyRing, Settings
from tests.server.conftest import record, running

SEARCH = "/v1/indexes/mine/search"
READ = [
    ("GET", "/v1/indexes"), ("GET", "/v1/indexes/mine"), ("GET", "/v1/indexes/mine/stats"),
    ("GET", "/metrics"),
    ("GET", "/v1/indexes/mine/documents?id=cat"), ("POST", SEARCH), ("POST", "/v1/indexes/mine/search-many"),
    ("POST", "/v1/indexes/mine/explain"), ("POST", "/v1/indexes/mine/candidates"),
]  # fmt: skip
WRITE = [(method, "/v1/indexes/mine/documents") for method in ("POST", "PUT")]
WRITE.append(("POST", "/v1/indexes/mine/delete"))
WRITE.append(("DELETE", "/v1/indexes/mine/documents?id=cat"))


def ask(server, method, path, key=None, **options):
    headers = {"content-type": "application/json", **options.pop("headers", {})}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return httpx.request(method, server.url + path, headers=headers, timeout=20, **options)


@pytest.mark.parametrize(("method", "path"), [*READ, *WRITE])
def test_without_a_key_nothing_is_told(guarded, method, path):
    for key in (None, "-", "hyb_wrong", "x" * 5000):
        answer = ask(guarded, method, path, key, content=b"{}" if method in ("POST", "PUT") else None)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert record(answer)["type"] == "urn:hybrid:problem:unauthorized"
    basic = ask(guarded, method, path, headers={"authorization": "Basic eDp5"})
    assert basic.status_code == 401


@pytest.mark.parametrize(("method", "path"), WRITE)
def test_a_reader_cannot_write(guarded, keys, method, path):
    body = {"documents": [{"id": "intruder"}]} if method != "DELETE" else None
    body = {"where": {}} if path.endswith("/delete") else body
    answer = ask(guarded, method, path, keys[0].reveal(), json=body)
    assert (answer.status_code, record(answer)["type"]) == (403, "urn:hybrid:problem:forbidden")
    with guarded.client("mine", key=keys[0]) as client:
        assert client.get("cat").id == "cat"
        assert "intruder" not in {hit.id for hit in client.search("intruder")}


def test_what_is_open_tells_nothing(guarded):
    assert ask(guarded, "GET", "/health").json() == {"status": "ok"}
    assert ask(guarded, "GET", "/ready").json() == {"status": "ready"}
    assert ask(guarded, "GET", "/").headers["content-type"].startswith("text/html")
    assert "mine" not in ask(guarded, "GET", "/openapi.json").text.replace("determine", "")


def test_bodies_are_bounded_declared_or_not(guarded, keys):
    large = b'{"query": "' + b"x" * (9 * 2**20) + b'"}'
    for content in (large, (large[at : at + 2**16] for at in range(0, len(large), 2**16))):
        answer = ask(guarded, "POST", SEARCH, keys[0].reveal(), content=content)
        assert (answer.status_code, record(answer)["type"]) == (413, "urn:hybrid:problem:too-large")


def test_a_body_is_not_read_for_a_stranger(guarded):
    with connected(guarded) as line:
        line.sendall(
            b"POST " + SEARCH.encode() + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n{"
        )
        assert line.recv(65536).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "json"), (b"\xff\xfe", 400, "json"), (b'{"query": "a"} {}', 400, "json"),
        (b"[" * 100_000, 400, "json"), (b"[]", 422, "input"), (b'"x"', 422, "input"), (b"null", 422, "input"),
        (b'{"query": NaN}', 422, "input"), (b'{"query": "a", "deadline": NaN}', 422, "input"),
        (b'{"query": "a", "deadline": Infinity}', 422, "input"),
        (b'{"query": "a", "k": 1e400}', 422, "input"),
        (b'{"query": "\\ud800"}', 422, "input"),
        (b'{"query": "a", "k": true}', 422, "input"), (b'{"query": "a", "k": "3"}', 422, "input"),
        (b'{"query": "a", "more": 1}', 422, "input"), (b"", 422, "input"),
        (b'{"query": "a", "where": ' + b'{"$not": ' * 400 + b"{}" + b"}" * 401, 422, None),
    ],
)  # fmt: skip
def test_what_is_not_what_was_asked_for_is_refused(guarded, keys, body, status, kind):
    answer = ask(guarded, "POST", SEARCH, keys[0].reveal(), content=body)
    assert answer.status_code == status, answer.text
    if kind is not None:
        assert record(answer)["type"] == f"urn:hybrid:problem:{kind}"
    assert len(answer.content) < 3000


def test_forms_and_plain_text_are_refused(guarded, keys):
    """A page elsewhere may send these to this machine without asking first."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = ask(
            guarded,
            "POST",
            SEARCH,
            keys[0].reveal(),
            content=b'{"query": "a"}',
            headers={"content-type": kind},
        )
        assert (answer.status_code, record(answer)["type"]) == (415, "urn:hybrid:problem:media-type")


@pytest.mark.parametrize(
    "name",
    ["..", "../mine", "..%2fmine", "%2e%2e%2fmine", "..%5cmine", "/etc/passwd", "%2fetc%2fpasswd", "mine%00",
     "mine/", "mine%2f..%2fmine", ".", "%c0%ae%c0%ae"],
)  # fmt: skip
def test_names_of_indexes_are_not_paths(guarded, keys, name):
    with connected(guarded) as line:
        head = f"GET /v1/indexes/{name}/stats HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        line.sendall(f"{head}authorization: Bearer {keys[0].reveal()}\r\n\r\n".encode())
        answer = received(line)
    assert answer.split(b" ")[1] in (b"404", b"400", b"405"), answer
    assert str(guarded).encode() not in answer


def test_files_of_the_page_are_not_paths(guarded):
    for path in ("../__init__.py", "..%2fkeys.py", "%2e%2e/app.py", "//etc/passwd", "..%5c..%5capp.py"):
        with connected(guarded) as line:
            line.sendall(f"GET /page/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
            answer = received(line)
        assert answer.split(b" ")[1] in (b"404", b"400", b"405", b"401"), answer
        assert b"import" not in answer


def test_every_answer_carries_the_policy(guarded, keys):
    for path in ("/", "/v1/indexes", "/nowhere", "/page/page.js"):
        headers = ask(guarded, "GET", path, keys[0].reveal()).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_other_origins_are_refused_unless_named(server, words):
    asking = {"origin": "https://a.example", "access-control-request-method": "POST"}
    answer = httpx.options(f"{server.url}/v1/indexes/words/search", headers=asking)
    assert "access-control-allow-origin" not in answer.headers
    with running(words, "--allow-origin", "https://a.example") as other:
        url = f"{other.url}/v1/indexes/words/search"
        assert (
            httpx.options(url, headers=asking).headers["access-control-allow-origin"] == "https://a.example"
        )
        elsewhere = httpx.options(url, headers={**asking, "origin": "https://b.example"})
        assert "access-control-allow-origin" not in elsewhere.headers
        found = httpx.post(url, json={"query": "bread"}, headers={"origin": "https://a.example"})
        assert found.headers["access-control-allow-origin"] == "https://a.example"


def test_without_keys_only_own_names_are_answered(server):
    """A page elsewhere may let its own name lead to this machine; then the browser sends that name."""
    for host, status in (
        ("localhost", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:1", 200),
        ("evil.example", 421),
        ("", 421),
    ):
        answer = httpx.get(f"{server.url}/v1/indexes", headers={"host": host})
        assert answer.status_code == status, host


def test_rates_are_limited(words, keys):
    with running(words, "--keys", keys[2], "--rate", "0.05") as server:
        first, second = (ask(server, "GET", "/v1/indexes", keys[0].reveal()) for _ in range(2))
        assert (first.status_code, second.status_code) == (200, 429)
        assert record(second)["type"] == "urn:hybrid:problem:rate"
        assert 1 <= int(second.headers["retry-after"]) <= 20
        assert ask(server, "GET", "/v1/indexes", keys[1].reveal()).status_code == 200  # another caller


class connected:
    """A plain connection to a server."""

    def __init__(self, server):
        self.line = socket.create_connection(("127.0.0.1", server.port), timeout=20)

    def __enter__(self):
        return self.line

    def __exit__(self, *error):
        self.line.close()


def received(line):
    pieces = []
    try:
        while piece := line.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def test_slow_clients_are_cut_off_and_hinder_nobody(words):
    with running(words, "--slow", "1", "--connections", "20") as server:
        silent, head, drip, body = (
            socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(4)
        )
        head.sendall(b"GET /health HTTP/1.1\r\nhost: ")
        body.sendall(
            b"POST /v1/indexes/words/search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"content-length: 100\r\n\r\n{"
        )
        began = time.monotonic()
        drip.sendall(b"GET /health HTTP/1.1\r\n")
        for _ in range(5):  # a byte now and then does not help
            time.sleep(0.15)
            drip.sendall(b"x")
        assert httpx.get(f"{server.url}/health", timeout=5).status_code == 200
        assert received(silent) == received(head) == received(drip) == b""
        assert received(body).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 5
        lines = [socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(25)]
        lines[-1].sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert received(lines[-1]) == b""  # too many: hung up at once
        for line in (silent, head, drip, body, *lines):
            line.close()
        time.sleep(0.2)
        assert httpx.get(f"{server.url}/health", timeout=5).status_code == 200


def test_heads_are_bounded(guarded):
    with connected(guarded) as line:
        try:
            line.sendall(b"GET /health HTTP/1.1\r\n" + b"x: " + b"y" * 2_000_000)
            answer = received(line)
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 200")


def test_documents_come_back_as_they_are_and_as_json(server):
    answer = httpx.post(f"{server.url}/v1/indexes/words/search", json={"query": "markup"})
    assert answer.headers["content-type"] == "application/json"
    (hit,) = json.loads(answer.content)["hits"]
    assert hit["id"] == "<script>alert(1)</script>"


def test_what_is_no_http_is_told_so(guarded):
    with connected(guarded) as line:
        line.sendall(b"\x16\x03\x01 hello\r\n\r\n")  # TLS, say
        answer = received(line)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n")


def test_whatever_fails_inside_is_a_problem_that_says_nothing(words, monkeypatch):
    from hybrid.server.app import build_app

    def broken(index):
        raise ValueError("a secret place")

    monkeypatch.setattr(hybrid.HybridIndex, "stats", broken)

    async def scene():
        _, guard = build_app({"words": words}, Settings(), KeyRing())
        transport = httpx.ASGITransport(guard, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/v1/indexes/words/stats")

    answer = asyncio.run(scene())
    assert (answer.status_code, record(answer)["type"]) == (500, "urn:hybrid:problem:internal")
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers


def test_filters_are_bounded_wherever_they_are_taken(server):
    where = {"year": 1}
    for _ in range(40):
        where = {"$not": where}
    for what, more in (("search", {}), ("candidates", {}), ("explain", {"id": "cat"})):
        body = {"query": "bread", "where": where, **more}
        answer = httpx.post(f"{server.url}/v1/indexes/words/{what}", json=body)
        assert (answer.status_code, record(answer)["type"]) == (422, "urn:hybrid:problem:limit"), what
