"""Queries that a language model rewords: mixed exactly, remembered, and left as they are when it fails."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid
from hybrid import BM25, Dense, Document, HyDE, MultiQuery, Pipeline
from hybrid.batches import DenseBatch
from hybrid.rewriting import asking
from tests.remote import server

WORDS = ["ant", "bee", "cat", "dog", "elk", "fox"]
DOCUMENTS = [
    Document("a", "ant ant bee"),
    Document("b", "bee cat"),
    Document("c", "cat dog dog"),
    Document("d", "dog elk ant"),
    Document("e", "fox"),
]
COUNTS = {d.id: np.array([d.text.split().count(word) for word in WORDS]) for d in DOCUMENTS}


class Counts:
    """A model whose vectors count words, of documents twice."""

    dimension, normalized = len(WORDS), False

    def fingerprint(self):
        return {"model": "counts"}

    def _encode(self, texts, times):
        rows = [[times * text.split().count(word) for word in WORDS] for text in texts]
        return DenseBatch(np.array(rows, np.float32).reshape(-1, len(WORDS)), np.zeros(len(texts), bool))

    def encode_documents(self, texts, progress=None):
        return self._encode(texts, 2)

    def encode_queries(self, texts):
        return self._encode(texts, 1)


class Completions:
    """The wire format of a chat, that answers with ``api.said``."""

    @staticmethod
    def wrong_key(sent):
        return {"error": {"message": f"Incorrect API key provided: {sent}."}}

    @staticmethod
    def answer(api, body):
        assert set(body) == {"model", "messages", "max_tokens", "temperature"}
        assert [m["role"] for m in body["messages"]] == ["system", "user"]
        return 200, {"choices": [{"message": {"role": "assistant", "content": api.said}}]}


def said(content):
    return lambda handler, answer: handler.reply(200, {"choices": [{"message": {"content": content}}]})


@pytest.fixture
def api(monkeypatch):
    with server.Api(formats={"/chat/completions": Completions}) as running:
        running.said = "dog elk"
        monkeypatch.setenv("OPENAI_REWRITE_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", server.KEY)
        yield running
    asking._opened.cache_clear()


@pytest.fixture
def opened(tmp_path):
    branches = [BM25(analyzer="simple"), Dense("m")]
    hybrid.create(tmp_path / "i", DOCUMENTS, Pipeline(branches), encoders={"m": Counts()}).close()

    def open_with(rewrite):
        pipeline = Pipeline(branches, rewrite=rewrite)
        return hybrid.open(tmp_path / "i", pipeline=pipeline, encoders={"m": Counts()})

    return open_with


def scores(index, query):
    """Each document's scores under both branches."""
    return {hit.id: hit.scores for hit in index.search(query, 9)}


def test_the_written_passage_is_searched_with_the_query(api, opened):
    with opened(None) as plain, opened(HyDE("openai:m", share=0.25)) as index:
        result = index.search("ant bee", 9)
        assert len(result) == len(DOCUMENTS)
        own, written = scores(plain, "ant bee"), scores(plain, "dog elk")
        mixed = 0.75 * np.array([1, 1, 0, 0, 0, 0]) + 0.25 * np.array([0, 0, 0, 2, 2, 0])  # as a document
        for hit in result:
            assert hit.scores["dense"] == pytest.approx(2 * COUNTS[hit.id] @ mixed)
            bm25 = 0.75 * own[hit.id]["bm25"] + 0.25 * written[hit.id]["bm25"]
            assert hit.scores["bm25"] == pytest.approx(bm25, rel=1e-6)
        assert result.exact
        assert result.degraded == ()
        assert "rewrite" in result.timings
        (body,) = api.bodies
        assert body["messages"][1]["content"] == "ant bee"
        assert [part.name for part in result.explain(1).branches] == ["bm25", "dense"]
        assert index.search("ant bee", 9).hits == result.hits
        assert len(api.bodies) == 1  # answers are remembered


def test_a_score_is_the_mean_over_all_wordings(api, opened):
    api.said = "1. dog elk\n\n- ant bee\n- fox\n* dog elk\n3) one too many"
    with opened(None) as plain, opened(MultiQuery("openai:m", count=2)) as index:
        found = [index.search("ant bee", 9), *index.search_many(["ant bee", "ant bee"], 9)]
        of_each = [scores(plain, text) for text in ("ant bee", "dog elk", "fox")]
    for result in found:
        assert {hit.id for hit in result} == set(COUNTS)
        for hit in result:
            for branch in ("bm25", "dense"):
                mean = sum(each[hit.id][branch] for each in of_each) / 3
                assert hit.scores[branch] == pytest.approx(mean, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(
    "fault",
    [
        lambda handler, answer: handler.reply(401, {"error": {"message": "no"}}),
        lambda handler, answer: handler.reply(200, {"choices": []}),
        said("  "),
        said("ant bee"),
    ],
)
def test_a_model_that_fails_leaves_the_query_as_it_is(api, opened, fault):
    api.fault_for = lambda body: fault
    with opened(None) as plain, opened(MultiQuery("openai:m")) as index:
        result = index.search("ant bee", 9)
        assert scores(plain, "ant bee") == {hit.id: hit.scores for hit in result}
        assert result.degraded == ("rewrite",)
        assert result.notes["rewrite"]
        assert server.KEY not in str(result.notes)
        with pytest.raises(hybrid.BranchError):
            index.search("ant bee", strict=True)


def test_dead_and_late_endpoints(api, opened, monkeypatch):
    api.delay = 1.0
    with opened(HyDE("openai:m")) as index:
        result = index.search("ant", deadline=0.8)
        assert "deadline" in result.notes["rewrite"][0]
        assert result.hits[0].id == "a"
    with opened(HyDE("openai:m", base_url="http://127.0.0.1:9")) as index:
        result = index.search("ant", 9)
        assert result.degraded == ("rewrite",)
        assert len(result) == len(DOCUMENTS)
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_REWRITE_BASE_URL")
    with opened(HyDE("openai:m")) as index:
        assert "OPENAI_API_KEY" in index.search("ant").notes["rewrite"][0]


def test_recipes_and_mistakes():
    for rewrite in (HyDE("openai:m", 0.3, base_url="http://x"), MultiQuery("openai:m", 5)):
        pipeline = Pipeline([BM25()], rewrite=rewrite)
        assert hybrid.parse_recipe(hybrid.format_recipe(pipeline)) == pipeline
    for make in (
        lambda: HyDE("m"),
        lambda: HyDE("openai:m", share=2),
        lambda: HyDE("openai:m", instruction=""),
        lambda: HyDE("openai:m", timeout=0),
        lambda: MultiQuery("openai:m", count=0),
        lambda: Pipeline([BM25()], rewrite="openai:m"),
        lambda: Pipeline([BM25(name="rewrite")]),
    ):
        with pytest.raises(hybrid.PipelineError):
            make()
