"""Embeddings both ways, and rerankers as document compressors."""

from __future__ import annotations

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

import hybrid
from hybrid.integrations.langchain import (
    EmbeddingsEncoder,
    HybridEmbeddings,
    HybridReranker,
    HybridRetriever,
)
from tests.integrations.conftest import DOCUMENTS, PIPELINE, Lengths, Letters


def test_our_encoder_as_theirs():
    embeddings = HybridEmbeddings("letters", Letters())
    assert embeddings.embed_query("abba") == [2.0, 2.0, 0, 0, 0, 0, 0, 0]
    assert embeddings.embed_documents(["dad", ""]) == [[1.0, 0, 2.0, 0, 0, 0, 0, 0], [0.0] * 8]
    assert embeddings.embed_documents([]) == []
    with pytest.raises(hybrid.EncoderError, match="'nowhere' is unknown"):
        HybridEmbeddings("nowhere").embed_query("x")


def test_the_bundled_model_is_the_default():
    vector = HybridEmbeddings().embed_query("a query")
    expected = hybrid.load_encoder("all-MiniLM-L6-v2").encode_queries(["a query"]).vectors[0]
    assert vector == expected.tolist()


def test_theirs_as_our_encoder(tmp_path):
    encoder = EmbeddingsEncoder(DeterministicFakeEmbedding(size=6), normalize=True)
    assert isinstance(encoder, hybrid.DenseEncoder)
    assert encoder.fingerprint() == {
        "library": "langchain",
        "model": "langchain_core.embeddings.fake.DeterministicFakeEmbedding",
        "dimension": 6,
        "normalize": True,
        "dtype": "unstated",
    }
    batch = encoder.encode_documents(["red", "blue"])
    given = np.array(encoder.embeddings.embed_documents(["red", "blue"]))
    given /= np.linalg.norm(given, axis=1, keepdims=True)
    assert batch.vectors.dtype == np.float32
    np.testing.assert_allclose(batch.vectors, given, rtol=1e-6)
    assert encoder.encode_documents([]).vectors.shape == (0, 6)
    pipeline = hybrid.Pipeline([hybrid.Dense("theirs")])
    with hybrid.create(tmp_path / "i", DOCUMENTS, pipeline, encoders={"theirs": encoder}) as index:
        found = index.search("red fox", 5)
        assert all(-1 <= hit.scores["dense"] <= 1 for hit in found)
    named = EmbeddingsEncoder(DeterministicFakeEmbedding(size=6), "another", normalize=True)
    with pytest.raises(hybrid.FingerprintError, match="model: index has"):
        hybrid.open(tmp_path / "i", encoders={"theirs": named})


@pytest.mark.parametrize("answer", [[[1.0, 2.0], [1.0]], [[1.0, 2.0]], [], [[], []]])
def test_embeddings_that_are_no_matrix_are_refused(answer):
    class Wrong(Embeddings):
        def embed_documents(self, texts):
            return answer

        def embed_query(self, text):
            return [1.0, 2.0]

    with pytest.raises(hybrid.EncoderError, match="Wrong gave"):
        EmbeddingsEncoder(Wrong()).encode_documents(["a", "b"])


def test_a_compressor_orders_as_the_stage_does(tmp_path):
    stage = hybrid.Rerank("lengths", top=5)
    pipeline = hybrid.Pipeline(PIPELINE.branches, rerank=[stage])
    models = {"encoders": {"letters": Letters()}, "rerankers": {"lengths": Lengths()}}
    with hybrid.create(tmp_path / "i", DOCUMENTS, pipeline, **models) as index:
        staged = index.search("red dog", 5)
        plain = hybrid.open(index.path, pipeline=PIPELINE, encoders=models["encoders"])
        with plain:
            found = HybridRetriever(index=plain).invoke("red dog")
            compressor = HybridReranker(model="lengths", reranker=Lengths(), top_n=3)
            kept = compressor.compress_documents(found, "red dog")
    assert [document.id for document in kept] == [hit.id for hit in staged][:3]
    for document, hit in zip(kept, staged, strict=False):
        told = document.metadata["hybrid"]
        assert told["scores"] == hit.scores
        assert (told["rank"], told["score"]) == (hit.rank, hit.scores["rerank:lengths"])
        assert told["notes"] == {"rerank:lengths": ["asked 'red dog' of 5"]}
    assert all("rerank:lengths" not in document.metadata["hybrid"]["scores"] for document in found)


async def test_any_documents_are_compressed():
    documents = [
        Document(page_content="aa", metadata={"n": 1}),
        Document(page_content="bbb"),
        Document(page_content="cc"),
    ]
    compressor = HybridReranker(model="lengths", reranker=Lengths())
    kept = await compressor.acompress_documents(documents, "q")
    assert [document.page_content for document in kept] == ["bbb", "aa", "cc"]  # equals keep their order
    assert kept[1].metadata["n"] == 1
    assert kept[1].metadata["hybrid"]["score"] == 2.0
    silent = HybridReranker(model="lengths", reranker=Lengths(), details=None, top_n=1)
    assert silent.compress_documents(documents, "q") == [documents[1]]
    assert compressor.compress_documents([], "q") == []


def test_what_a_compressor_refuses():
    documents = [Document(page_content="a", metadata={"hybrid": 3}, id="x")]
    with pytest.raises(hybrid.InputError, match="'x' has metadata of its own under 'hybrid': 3"):
        HybridReranker(model="lengths", reranker=Lengths()).compress_documents(documents, "q")
    with pytest.raises(hybrid.InputError, match="number of documents to keep is 0"):
        HybridReranker(model="lengths", reranker=Lengths(), top_n=0).compress_documents([], "q")
    with pytest.raises(hybrid.EncoderError, match="'nowhere' is unknown"):
        HybridReranker(model="nowhere").compress_documents([Document(page_content="a")], "q")

    class Broken:
        def score(self, query, documents):
            return np.float32([np.nan] * len(documents))

    with pytest.raises(hybrid.EncoderError, match="one finite score for each"):
        HybridReranker(model="b", reranker=Broken()).compress_documents([Document(page_content="a")], "q")
