"""A served index goes on looking for newer generations, whatever one look meets with."""

from __future__ import annotations

import asyncio
import logging

import pytest

import hybrid
from hybrid.server import hosting
from hybrid.server.metrics import Metrics
from hybrid.server.settings import Settings
from tests.server.conftest import WORDS, documents


@pytest.mark.parametrize("error", [RuntimeError("out of luck"), hybrid.StorageError("cannot read")])
def test_a_look_that_fails_is_not_the_last(tmp_path, monkeypatch, caplog, error):
    look, failing = hosting.refreshed, [error, error]

    def sometimes(index, reopened):
        if failing:
            raise failing.pop()
        return look(index, reopened)

    monkeypatch.setattr(hosting, "refreshed", sometimes)
    hybrid.create(tmp_path / "words", documents(), WORDS).close()

    async def scene():
        hosted = hosting.Hosted("words", tmp_path / "words", Settings(refresh=0.01), Metrics())
        hosted.keep_fresh()
        with hybrid.open(tmp_path / "words", "w") as writer:
            writer.add([hybrid.Document("new", "a newer generation")])
            wanted = writer.generation
        for _ in range(1000):
            if hosted.index.generation == wanted:
                break
            await asyncio.sleep(0.02)
        found = [hit.id for hit in hosted.index.search("newer generation")]
        await hosted.close()
        return found

    with caplog.at_level(logging.WARNING, "hybrid.server"):
        assert asyncio.run(scene())[0] == "new"
    assert not failing
    told = [record for record in caplog.records if "the generation before stays" in record.message]
    assert len(told) == 2
    assert [bool(record.exc_info) for record in told] == [isinstance(error, RuntimeError)] * 2
