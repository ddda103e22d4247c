"""Changes over HTTP: on conditions, by filter, with expiry; by clients that work at the same time."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

import hybrid
from hybrid.errors import ConflictError, DocumentError, FilterError, InputError, NotFoundError
from tests.server.conftest import WORDS, record, running


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """An index that may be changed, without keys."""
    folder = tmp_path_factory.mktemp("changed") / "shop"
    hybrid.create(folder, [], WORDS).close()
    with running(folder, "--write") as server:
        yield server


@pytest.fixture
def client(shop):
    with shop.client("shop") as client:
        client.delete(where={})
        yield client


def test_a_change_on_a_condition_that_holds_no_more_is_a_conflict(shop, client):
    client.add([hybrid.Document("a", "one"), hybrid.Document("b", "two")])
    version = client.version("a")
    assert client.update([hybrid.Document("a", "three")], if_version={"a": version, "new": None}) == 1
    now = client.version("a")
    assert now > version
    changes = [
        lambda: client.update(
            [hybrid.Document("a", "four"), hybrid.Document("c")], if_version={"a": version}
        ),
        lambda: client.delete(["a", "b"], if_version={"a": version}),
        lambda: client.delete(where={}, if_version={"a": version}),
    ]
    for change in changes:
        with pytest.raises(ConflictError, match="nothing was changed") as caught:
            change()
        assert (caught.value.id, caught.value.expected, caught.value.found) == ("a", version, now)
    with pytest.raises(ConflictError) as caught:
        client.update([hybrid.Document("b", "five")], if_version={"b": None})
    assert caught.value.expected is None
    with pytest.raises(ConflictError) as caught:
        client.update([hybrid.Document("d", "six")], if_version={"d": 1})
    assert caught.value.found is None
    assert (client.get("a").text, client.get("b").text, client.stats().documents) == ("three", "two", 2)
    body = {"documents": [{"id": "a"}], "if_version": {"a": version}}
    answer = httpx.put(f"{shop.url}/v1/indexes/shop/documents", json=body)
    assert answer.status_code == 409
    told = record(answer)
    assert told["type"] == "urn:hybrid:problem:conflict"
    assert (told["id"], told["expected"], told["found"]) == ("a", version, now)


@pytest.mark.parametrize("version", [-1, 1.5, True, "1"])
def test_what_is_no_version_is_refused(client, version):
    with pytest.raises(InputError, match="if_version"):
        client.update([hybrid.Document("a")], if_version={"a": version})
    assert client.stats().documents == 0


def test_no_change_is_lost_between_clients(shop, client):
    """Eight clients count up one number: each reads, and writes if nobody else has."""
    client.add([hybrid.Document("n", metadata={"n": 0})])
    conflicts = []

    def count():
        with shop.client("shop") as own:
            for _ in range(5):
                while True:
                    version = own.version("n")
                    n = own.get("n").metadata["n"]
                    try:
                        own.update([hybrid.Document("n", metadata={"n": n + 1})], if_version={"n": version})
                        break
                    except ConflictError as conflict:
                        conflicts.append(conflict)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("n").metadata == {"n": 40}
    assert conflicts


def test_deletes_by_filter_and_of_many(client):
    client.add(hybrid.Document(f"{n:04}", f"number {n}", metadata={"n": n}) for n in range(3000))
    assert client.delete(where={"n": {"$gte": 2500}}) == 500
    assert client.delete([f"{n:04}" for n in range(2600)], missing="ignore") == 2500
    with pytest.raises(NotFoundError, match="'nobody'"):
        client.delete(["nobody"])
    with pytest.raises(FilterError, match=r"\$no"):
        client.delete(where={"n": {"$no": 1}})
    for both in ({}, {"ids": ["a"], "where": {}}):
        with pytest.raises(InputError, match="one of the two"):
            client.delete(**both)
    with pytest.raises(InputError, match="missing"):
        client.delete(["a"], missing="skip")


def test_an_answer_to_a_change_is_of_the_state_after_it(shop, client):
    body = {"documents": [{"id": "a", "text": "one"}]}
    changed = httpx.post(f"{shop.url}/v1/indexes/shop/documents", json=body)
    assert changed.status_code == 201
    assert changed.json() == {"changed": 1, "documents": 1, "generation": client.search("one").generation}
    stored = httpx.get(f"{shop.url}/v1/indexes/shop/documents?id=a").json()["documents"][0]
    assert stored["version"] == client.version("a")


def test_documents_expire(client):
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    soon = time.time() + 1.5
    client.add(
        [
            hybrid.Document("later", "zebra", expires=later),
            hybrid.Document("soon", "zebra", expires=soon),
            hybrid.Document("past", "zebra", expires=1.0),
        ]
    )
    assert client.get("later") == hybrid.Document("later", "zebra", expires=later)
    assert client.get("soon").expires == datetime.fromtimestamp(int(soon), UTC)
    assert "past" not in [hit.id for hit in client.search("zebra")]
    end = time.monotonic() + 10
    while len(client.search("zebra")) > 1 and time.monotonic() < end:
        time.sleep(0.1)
    assert [hit.id for hit in client.search("zebra")] == ["later"]
    client.update([client.get("later")])
    assert client.get("later").expires == later  # kept by reading and writing
    for wrong, said in ((datetime(2030, 1, 1), "time zone"), (-1, "expires"), (float("nan"), "expires")):
        with pytest.raises(DocumentError, match=said):
            client.add([hybrid.Document("x", expires=wrong)])


def test_what_cannot_be_sent_is_refused_before(client):
    with pytest.raises(DocumentError, match="'x' brings an image"):
        client.add([hybrid.Document("x", image=b"GIF89a")])
    for wrong in (
        hybrid.Document("x", metadata={"when": datetime(2030, 1, 1)}),
        hybrid.Document("x", vectors={"dense": [float("nan")]}),
    ):
        with pytest.raises(InputError, match="cannot be sent as JSON"):
            client.add([wrong])
