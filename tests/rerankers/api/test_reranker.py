"""Rerankers behind APIs: what is sent, how it is batched, and how names resolve."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybrid
from hybrid.remote import Limits
from hybrid.rerankers import registry
from hybrid.rerankers.api.reranker import overlapping
from tests.remote.rerankers import relevance
from tests.remote.server import KEY

QUERY = "what is a cell"
TEXTS = ["hello world", "the cell", "a river", "Größe 東京", "the cell"]
PROVIDERS = ["cohere", "voyage", "jina", "tei"]


def documents(texts=TEXTS):
    return [hybrid.Document(str(n), text) for n, text in enumerate(texts)]


def right(scores, texts=TEXTS, query=QUERY):
    assert scores.dtype == np.float32
    assert scores.tolist() == [relevance(query, text) for text in texts]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_scores_are_in_the_order_of_the_documents(api, reranker, provider):
    right(reranker(f"{provider}:m").score(QUERY, documents()))
    path, headers, body = api.seen[0]
    assert path.endswith("/rerank")
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["query"] == QUERY
    assert body.get("texts", body.get("documents")) == TEXTS[:4]  # equal texts once


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_has_no_content_is_sent_as_a_stop(reranker, provider):
    right(reranker(f"{provider}:m").score(QUERY, documents(["", "a", " \n"])), [".", "a", "."])
    right(reranker(f"{provider}:m").score("", documents(["a"])), ["a"], ".")


def test_titles_count(reranker):
    right(reranker().score(QUERY, [hybrid.Document("1", "text", title="Title")]), ["Title text"])


def test_no_documents_are_no_request(api, reranker):
    scores = reranker().score(QUERY, [])
    assert (scores.shape, scores.dtype) == ((0,), np.float32)
    assert not api.seen


def test_batches_by_count_and_by_tokens(api, reranker):
    texts = ["a" * 15, "b" * 15, "c", "d" * 60, "e", "f", "g", "h", "i"]
    # the query is one token, which each document has besides its own
    model = reranker(batch_documents=4, batch_tokens=12, limits=Limits(concurrency=1))
    right(model.score("q", documents(texts)), texts, "q")
    sent = [[len(text) for text in body["documents"]] for body in api.bodies]
    assert sent == [[15, 15], [1], [60], [1, 1, 1, 1], [1]]


@pytest.mark.parametrize(("provider", "most"), [("tei", 32), ("cohere", 100), ("voyage", 100), ("jina", 100)])
def test_a_request_holds_what_the_api_takes(api, reranker, provider, most):
    texts = [f"text {n}" for n in range(most + 8)]
    right(reranker(f"{provider}:m", batch_documents=500).score(QUERY, documents(texts)), texts)
    sizes = sorted(len(body.get("texts", body.get("documents"))) for body in api.bodies)
    assert sizes == [8, most]


def test_a_batch_that_is_too_large_is_halved(api, reranker):
    api.most = 3
    texts = [f"text {n}" for n in range(8)]
    right(reranker("tei:m").score(QUERY, documents(texts)), texts)
    assert [len(body["texts"]) for body in api.bodies] == [8, 4, 2, 2, 4, 2, 2]


@pytest.mark.parametrize("provider", ["cohere", "voyage", "tei"])
def test_long_documents_are_cut_by_the_api(api, reranker, provider):
    api.window = 2
    right(reranker(f"{provider}:m").score(QUERY, documents(["a b c d", "e"])), ["a b", "e"])
    assert len(api.seen) == 1


def test_long_documents_are_cut_where_the_api_does_not(api, reranker):
    api.window = 30
    texts = ["one two three", " ".join("abcdefghijklmnopqrstuvwxyz" * 2), "four"]
    scores = reranker("jina:m").score(QUERY, documents(texts))
    sent = [body["documents"] for body in api.bodies]
    assert sent[:4] == [texts, texts[:1], texts[1:], texts[1:2]]  # refused together, then alone
    (taken,) = sent[4]
    assert texts[1].startswith(taken)
    assert 25 <= len(taken.split()) <= 30  # what the message told is used
    assert sent[5:] == [texts[2:]]
    right(scores, [texts[0], taken, texts[2]])


def test_concurrency_is_bounded(api, reranker):
    api.delay = 0.03
    texts = [f"t{n}" for n in range(12)]
    right(reranker(batch_documents=1).score(QUERY, documents(texts)), texts)
    assert api.busiest == 3


def test_many_threads(api, reranker):
    api.delay = 0.01
    model = reranker(batch_documents=2)

    def ask(n):
        texts = [f"{n} {m}" for m in range(5)]
        right(model.score(f"q{n}", documents(texts)), texts, f"q{n}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(16)))
    assert api.busiest == 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"timeout": 0}, "timeout is 0"),
        ({"batch_documents": 0}, "batch_documents is 0"),
        ({"batch_tokens": True}, "batch_tokens is True"),
        ({"base_url": "ftp://example.com"}, "base_url is not an address"),
        ({"api_key": "sk-plain"}, r"api_key is a str; give hybrid.Secret"),
    ],
)
def test_options_are_checked(reranker, options, told):
    with pytest.raises(hybrid.InputError, match=told) as caught:
        reranker(**options)
    assert "sk-plain" not in str(caught.value)


def test_texts_are_checked(api, reranker):
    for query, text in (("\ud800", "a"), ("a", "\ud800")):
        with pytest.raises(hybrid.InputError, match="lone surrogate"):
            reranker().score(query, documents([text]))
    assert not api.seen


# --- through the registry and an index -----------------------------------------------------------------


@pytest.fixture
def loaded(monkeypatch):
    """A registry of its own; connections end with the test."""
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setattr(registry, "_registered", {})
    yield registry._loaded
    for model in registry._loaded.values():
        model.close()


def test_names_resolve(api, loaded, monkeypatch):
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    monkeypatch.setenv("COHERE_BASE_URL", "http://127.0.0.1:1/not-here")
    monkeypatch.setenv("COHERE_RERANK_BASE_URL", api.url)
    model = hybrid.load_reranker("cohere:rerank-v3.5")
    assert model is hybrid.load_reranker("cohere:rerank-v3.5")
    assert repr(model) == f"ApiReranker(cohere:rerank-v3.5, {api.url!r})"
    right(model.score(QUERY, documents()))
    assert api.bodies[0]["model"] == "rerank-v3.5"
    with pytest.raises(
        hybrid.InputError, match="'dtype' is no option of 'cohere:m'; accepted: base_url, api"
    ):
        hybrid.load_reranker("cohere:m", dtype="float16")
    with pytest.raises(hybrid.InputError, match="'api_key' is no option of 'owner/name'; accepted: backend"):
        hybrid.load_reranker("owner/name", api_key="x")


def test_keys_come_from_the_environment_or_a_secret(loaded, monkeypatch):
    for variable in ("COHERE_API_KEY", "CO_API_KEY", "COHERE_BASE_URL", "COHERE_RERANK_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(
        hybrid.EncoderError, match="no key for cohere; set the environment variable COHERE_API_KEY"
    ):
        hybrid.load_reranker("cohere:rerank-v3.5")
    monkeypatch.delenv("TEI_BASE_URL", raising=False)
    with pytest.raises(hybrid.EncoderError, match=r"nothing says where tei is.* set TEI_RERANK_BASE_URL"):
        hybrid.load_reranker("tei:any")


def test_a_pipeline_names_it(api, loaded, monkeypatch, tmp_path):
    monkeypatch.setenv("JINA_API_KEY", KEY)
    monkeypatch.setenv("JINA_BASE_URL", api.url + "/jina")
    pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.Rerank("jina:m", top=3)])
    texts = ["cell one", "cell two", "cell three", "cell four"]
    with hybrid.create(tmp_path / "i", documents(texts), pipeline) as index:
        result = index.search("cell", k=4, strict=True)
        expected = sorted(texts[:3], key=lambda text: -relevance("cell", text))
        assert [hit.text for hit in result] == [*expected, "cell four"]
        api.key = "sk-revoked"
        degraded = index.search("cell", k=4)
        assert degraded.degraded == ("rerank:jina:m",)
        assert [hit.id for hit in degraded] == ["0", "1", "2", "3"]
        with pytest.raises(
            hybrid.BranchError, match=r"rerank:jina:m failed: jina at .* answered 401"
        ) as caught:
            index.search("cell", strict=True)
        assert KEY not in str(caught.value)


def test_a_long_document_is_read_by_its_best_passage(api, reranker):
    words = [f"word{n:05}" for n in range(30)]  # ten bytes with the space
    text = " ".join(words)
    model = reranker("voyage:m", max_tokens=40, passages=3)  # 120 bytes: twelve words, moved by six
    expected = [" ".join(words[a : a + 12]) + " " for a in (0, 6, 12)]
    scores = model.score(QUERY, documents([text, "short", text + " more"]))
    best = max(relevance(QUERY, passage) for passage in expected)
    assert scores.tolist() == [best, relevance(QUERY, "short"), best]
    assert sorted(api.bodies[0]["documents"]) == sorted([*expected, "short"])  # equal passages once


@pytest.mark.parametrize(("provider", "sent"), [("cohere", 4), ("voyage", 1)])
def test_the_window_of_a_provider_is_known_or_not(api, reranker, provider, sent):
    text = "".join(f"{n:05} " for n in range(10_000))
    score = reranker(f"{provider}:m").score(QUERY, documents([text]))
    assert [len(body["documents"]) for body in api.bodies] == [sent]
    assert score[0] == max(relevance(QUERY, passage) for passage in api.bodies[0]["documents"])


@pytest.mark.parametrize("options", [{"max_tokens": 0}, {"max_tokens": True}, {"passages": 0}])
def test_windows_are_whole_numbers(reranker, options):
    with pytest.raises(hybrid.InputError, match="whole number of at least 1"):
        reranker(**options)


@given(
    text=st.text(st.characters(codec="utf-8"), max_size=60), most=st.integers(1, 8), count=st.integers(1, 40)
)
def test_passages_overlap_and_fit(text, most, count):
    found = overlapping(text, most, count)
    assert len(found) <= count
    assert found
    assert all(len(passage.encode()) <= 3 * most or len(passage) == 1 for passage in found)
    places = [text.find(passage) for passage in found]
    assert -1 not in places
    if len(text) == len(text.encode()) and count == 40:  # nothing is left out
        assert set("".join(found)) == set(text)
        assert found[-1] == text[len(text) - len(found[-1]) :]


def test_a_passage_that_no_character_fits_into_is_not_another_document_s(api, reranker):
    texts = ["\U0001f642\U0001f642", "the cell"]
    scores = reranker("cohere:m", max_tokens=1, passages=1).score(QUERY, documents(texts))
    right(scores, ["\U0001f642", "the"])
