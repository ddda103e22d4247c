"""Observers in a server's process are told of each search, run together with others or not."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from tests.server.conftest import running


def test_searches_that_were_run_together_are_told_one_by_one(moody, tmp_path):
    told = tmp_path / "told"
    with (
        running(moody, MOODY_SECONDS="0.4", OBSERVED=str(told)) as server,
        server.client("moody") as client,
        ThreadPoolExecutor(16) as threads,
    ):
        results = list(threads.map(lambda n: client.search(f"slow bread {n}"), range(16)))
    assert {result.degraded for result in results} == {()}
    events = [dict(json.loads(line)) for line in told.read_text().splitlines()]
    assert len(events) == 16
    seconds = [{name: ended - begun for name, (begun, ended) in event.items()} for event in events]
    assert all(each["total"] > each["dense.encode"] >= 0.4 for each in seconds)
    passes = {tuple(event["dense.encode"]) for event in events}
    assert len(passes) < 16  # some shared one
