"""Cross-encoders against sentence-transformers and FlagEmbedding, and their own promises."""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import hybrid
from hybrid.rerankers.cross_encoder import CrossEncoder
from tests.encoders.checkpoints import save_bert, save_xlm_roberta
from tests.rerankers.classifiers import bge, classify

QUERY = "what is a cell"
TEXTS = ["hello world", "", "the cell of a river", "music", "a b c d e f g", "cell " * 9, "hello, world!"]
DOCUMENTS = [hybrid.Document(str(n), text) for n, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("cross-encoders")
    return {
        "bert": classify(save_bert(base / "bert")),  # ms-marco-MiniLM's layout
        "xlm": bge(classify(save_xlm_roberta(base / "xlm"))),  # bge-reranker-base's and v2-m3's
        "three": classify(save_bert(base / "three"), labels=3),
    }


@pytest.fixture(scope="module", params=["bert", "xlm"])
def folder(request, folders):
    return folders[request.param]


@pytest.fixture(scope="module")
def cross(folder):
    return CrossEncoder.load(folder, name="tiny", device="cpu")


def test_logits_are_those_of_sentence_transformers(folder, cross):
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers import CrossEncoder as Theirs

        theirs = Theirs(str(folder), device="cpu")
        expected = theirs.predict([(QUERY, text) for text in TEXTS], activation_fn=torch.nn.Identity())
    scores = cross.score(QUERY, DOCUMENTS)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert np.ptp(scores) > 0.005  # or anything would agree


def test_logits_are_those_of_flag_embedding(folders):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flag = pytest.importorskip("FlagEmbedding", reason="FlagEmbedding is not installed")
        theirs = flag.FlagReranker(str(folders["xlm"]), devices="cpu", use_fp16=False)
        filled = [document for document in DOCUMENTS if document.text]  # theirs makes no pair with nothing
        expected = theirs.compute_score([(QUERY, document.text) for document in filled], max_length=40)
    scores = CrossEncoder.load(folders["xlm"], name="xlm", device="cpu").score(QUERY, filled)
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_a_score_does_not_depend_on_the_others(cross):
    together = cross.score(QUERY, DOCUMENTS)
    alone = np.concatenate([cross.score(QUERY, [document]) for document in DOCUMENTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    backwards = cross.score(QUERY, DOCUMENTS[::-1])[::-1]
    np.testing.assert_allclose(together, backwards, atol=1e-5)
    assert cross.score(QUERY, []).shape == (0,)


def test_a_long_document_scores_as_its_best_passage(folders):
    words = [f"{letter} {letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    long = hybrid.Document("long", " ".join(words))  # 52 tokens
    whole = CrossEncoder.load(folders["bert"], name="b", device="cpu", max_tokens=24)
    first = CrossEncoder.load(folders["bert"], name="b", device="cpu", max_tokens=24, passages=1)
    # query: 4 tokens; special: 3; so 17 of the document at a time, each beginning 13 after the one before:
    # half of what is left of the window beside a longest query is (24 - 12 - 3) // 2 = 4 in common
    tokens = long.text.split()
    passages = [" ".join(tokens[start : start + 17]) for start in range(0, 52, 13)][:4]
    expected = first.score(QUERY, [hybrid.Document(str(n), text) for n, text in enumerate(passages)])
    assert whole.score(QUERY, [long])[0] == pytest.approx(expected.max(), abs=1e-5)
    assert first.score(QUERY, [long])[0] == pytest.approx(expected[0], abs=1e-5)
    assert expected.argmax() != 0  # or the passages would not have mattered


def test_a_long_query_is_cut_to_half_of_the_window(cross):
    long = "hello world cell river " * 30
    cut = " ".join(long.split()[:5])
    score = cross.score(long, DOCUMENTS)
    assert np.isfinite(score).all()
    assert not np.allclose(score, cross.score(cut, DOCUMENTS), atol=1e-4)


def test_many_threads(cross):
    expected = cross.score(QUERY, DOCUMENTS)
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(lambda _: cross.score(QUERY, DOCUMENTS), range(8)):
            np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_what_is_refused(folders, tmp_path):
    with pytest.raises(hybrid.EncoderError, match="3 outputs"):
        CrossEncoder.load(folders["three"], name="three")
    with pytest.raises(hybrid.InputError, match="passages is 0"):
        CrossEncoder.load(folders["bert"], name="bert", passages=0)
    with pytest.raises(hybrid.InputError, match="no room for a document"):
        CrossEncoder.load(folders["bert"], name="bert", max_tokens=6)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(hybrid.EncoderError, match="cannot load"):
        CrossEncoder.load(tmp_path, name="nothing")
    cross = CrossEncoder.load(folders["bert"], name="bert", device="cpu")
    with pytest.raises(hybrid.InputError, match="lone surrogate"):
        cross.score("\ud800", DOCUMENTS)


def test_a_pipeline_names_a_folder(folders, tmp_path):
    pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.Rerank(str(folders["bert"]), top=5)])
    with hybrid.create(tmp_path / "index", DOCUMENTS, pipeline) as index:
        result = index.search("cell world", strict=True)
        ids = [hit.id for hit in result]
        scores = CrossEncoder.load(folders["bert"], name="b", device="cpu").score(
            "cell world", [DOCUMENTS[int(id)] for id in ids]
        )
        np.testing.assert_allclose([hit.score for hit in result], scores, atol=1e-5)
        assert (np.diff(scores) <= 1e-5).all()
        assert hybrid.load_reranker(str(folders["bert"])) is hybrid.load_reranker(str(folders["bert"]))
    unknown = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.Rerank("no such model")])
    with (
        hybrid.open(tmp_path / "index", pipeline=unknown) as index,
        pytest.raises(hybrid.PipelineError, match="'no such model', which was not handed in"),
    ):
        index.search("cell")


def test_registered_rerankers(monkeypatch):
    from hybrid.rerankers import registry

    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_loaded", {})
    made = []
    hybrid.register_reranker("mine", lambda: made.append(1) or object())
    assert hybrid.load_reranker("mine") is hybrid.load_reranker("mine")
    assert made == [1]
    with pytest.raises(hybrid.InputError, match="'mine' is taken"):
        hybrid.register_reranker("mine", object)
    with pytest.raises(hybrid.InputError, match="takes no device"):
        hybrid.load_reranker("mine", device="cpu")
    with pytest.raises(hybrid.InputError, match="not blank"):
        hybrid.register_reranker(" ", object)
