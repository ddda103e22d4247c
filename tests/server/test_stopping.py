"""Overload is refused at once; stopping loses nothing that was accepted."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress

import httpx
import pytest

from tests.server.conftest import record, running


def test_too_much_is_refused_with_a_time_and_the_rest_is_answered(moody):
    with running(moody, "--queue", "2", MOODY_SECONDS="0.5", HYBRID_THREADS="2") as server:
        answers: list[httpx.Response] = []

        def ask(n):
            url = f"{server.url}/v1/indexes/moody/search"
            answers.append(httpx.post(url, json={"query": f"slow bread {n}"}, timeout=30))

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert len(found) + len(refused) == 30
        assert len(found) >= 3
        assert refused
        assert all(answer.json()["hits"] and not answer.json()["degraded"] for answer in found)
        assert all(record(answer)["type"] == "urn:hybrid:problem:busy" for answer in refused)
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        with server.client("moody") as client:
            assert client.search("bread").degraded == ()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_is_answered(moody, number):
    with running(moody, MOODY_SECONDS="1.5") as server:
        answers = []
        url = f"{server.url}/v1/indexes/moody/search"
        thread = threading.Thread(
            target=lambda: answers.append(httpx.post(url, json={"query": "slow bread"}, timeout=30))
        )
        thread.start()
        time.sleep(0.5)
        server.process.send_signal(number)
        thread.join()
        assert answers[0].status_code == 200
        assert answers[0].json()["degraded"] == []
        assert server.process.wait(10) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/health")


def test_a_second_signal_ends_it_at_once_whatever_hangs(moody):
    with running(moody, MOODY_SECONDS="100") as server:
        body = {"query": "slow bread", "id": "bread"}

        def ask():
            with suppress(httpx.HTTPError):
                httpx.post(f"{server.url}/v1/indexes/moody/explain", json=body, timeout=30)

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        try:
            assert server.process.wait(10) == 0
        finally:
            server.process.kill()
            thread.join()


def test_stopping_under_load_loses_nothing(words):
    with running(words) as server:
        counts, lost = [], []

        def ask():
            count = 0
            with httpx.Client(base_url=server.url) as client:
                while True:
                    try:
                        answer = client.post("/v1/indexes/words/search", json={"query": "warm bread"})
                    except httpx.ConnectError:  # it does not listen any more: nothing was accepted
                        break
                    except httpx.HTTPError as error:
                        lost.append(error)
                        break
                    assert answer.status_code == 200
                    count += 1
            counts.append(count)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert server.process.wait(10) == 0
        assert lost == []
        assert min(counts) > 5
