"""Searches run together are those run alone, whatever comes of the others."""

from __future__ import annotations

import time

import numpy as np
import pytest

import hybrid
from hybrid.batches import DenseBatch
from hybrid.engine import Ask, search_together
from hybrid.engine.deadline import Deadline

TEXTS = {
    "a": "ants carry leaves",
    "b": "bees carry pollen",
    "c": "cats sleep",
    "d": "dogs run and carry sticks",
}


class Lengths:
    """A model that counts letters; it remembers what it was asked together."""

    dimension, normalized = 2, False

    def __init__(self):
        self.asked, self.seconds = [], 0.0

    def fingerprint(self):
        return {"model": "lengths"}

    def encode_documents(self, texts, progress=None):
        rows = np.float32([[len(text), text.count("a")] for text in texts]).reshape(-1, 2)
        return DenseBatch(rows, np.zeros(len(texts), np.bool_))

    def encode_queries(self, texts):
        self.asked.append(list(texts))
        time.sleep(self.seconds)
        if "broken" in texts:
            raise RuntimeError("broken")
        return self.encode_documents(texts)


@pytest.fixture
def model():
    return Lengths()


@pytest.fixture
def index(tmp_path, model):
    pipeline = hybrid.Pipeline([hybrid.BM25(), hybrid.Dense("lengths")])
    documents = [hybrid.Document(id, text, metadata={"n": n}) for n, (id, text) in enumerate(TEXTS.items())]
    with hybrid.create(tmp_path / "index", documents, pipeline, encoders={"lengths": model}) as index:
        model.asked.clear()
        yield index


def together(index, asks):
    found = {}

    def done(n, outcome):
        assert n not in found
        found[n] = outcome

    search_together(index, asks, done)
    assert sorted(found) == list(range(len(asks)))
    return [found[n] for n in range(len(asks))]


def test_results_are_those_of_each_alone(index, model):
    asks = [
        Ask("ants"),
        Ask("carry", k=2),
        Ask("sleep", where={"n": {"$gte": 2}}),
        Ask("bees", branches=("bm25",)),
        Ask("pollen", fusion=hybrid.RRF()),
        Ask("dogs", strict=True, deadline=Deadline(5)),
    ]
    found = together(index, asks)
    assert model.asked == [["ants", "carry", "sleep", "pollen", "dogs"]]  # one pass
    for ask, result in zip(asks, found, strict=True):
        alone = index.search(
            ask.query, ask.k, ask.where, branches=ask.branches, fusion=ask.fusion, strict=ask.strict
        )
        assert result == alone


def test_what_is_wrong_with_one_is_not_wrong_with_the_others(index):
    asks = [
        Ask("ants"), Ask("ants", k=0), Ask("ants", branches=("none",)), Ask("ants", where={"n": {"$no": 1}}),
        Ask("ants", branches=("dense",), strict=True), Ask("bees"),
    ]  # fmt: skip
    found = together(index, asks)
    assert [type(each) for each in found] == [
        hybrid.Result, hybrid.InputError, hybrid.PipelineError, hybrid.FilterError, hybrid.Result,
        hybrid.Result,
    ]  # fmt: skip
    assert (found[0], found[5]) == (index.search("ants"), index.search("bees"))


def test_a_query_that_breaks_the_pass_breaks_its_own_search_only(index):
    asks = [Ask("ants"), Ask("broken"), Ask("broken", strict=True), Ask("bees", strict=True)]
    ants, degraded, error, bees = together(index, asks)
    assert (ants, bees) == (index.search("ants"), index.search("bees"))
    assert degraded.degraded == ("dense",)
    assert isinstance(error, hybrid.BranchError)


def test_the_shortest_deadline_ends_the_pass_and_each_search_has_its_own(index, model):
    model.seconds = 0.4
    started = time.monotonic()
    hasty, patient = together(
        index, [Ask("ants", deadline=Deadline(0.1)), Ask("bees", deadline=Deadline(30))]
    )
    assert (hasty.degraded, patient.degraded) == (("dense",), ())
    assert time.monotonic() - started < 5
    model.seconds = 0.0
    assert patient == index.search("bees")


def test_nothing_asked_is_nothing_done(index):
    assert together(index, []) == []
