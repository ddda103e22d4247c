"""The vector store: scores, filters, vectors, diversity, and what it refuses."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

import hybrid
from hybrid.integrations.langchain import EmbeddingsEncoder, HybridEmbeddings, HybridVectorStore
from tests.integrations.conftest import Letters

TEXTS = {"a": "red fox", "b": "red red dog", "c": "blue dog", "d": "a fox and a dog", "e": "dog fox"}
YEARS = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}


class Counting(Embeddings):
    """Counts of eight letters, as LangChain has embeddings; it remembers what it was asked."""

    def __init__(self):
        self.documents, self.queries = [], []

    def embed_documents(self, texts):
        self.documents += texts
        return Letters().encode_documents(texts).vectors.tolist()

    def embed_query(self, text):
        self.queries.append(text)
        return Letters().encode_documents([text]).vectors[0].tolist()


@pytest.fixture
def embedding():
    return Counting()


@pytest.fixture
def store(tmp_path, embedding):
    store = HybridVectorStore.from_texts(
        list(TEXTS.values()),
        embedding,
        [{"year": year} for year in YEARS.values()],
        ids=list(TEXTS),
        path=tmp_path / "store",
    )
    with store.index:
        yield store


def ids(documents):
    return [document.id for document in documents]


def test_it_is_a_hybrid_search(store):
    for options in ({}, {"branches": ["bm25"]}, {"fusion": hybrid.RRF()}):
        result = store.index.search("red fox", 3, **options)
        found = store.similarity_search_with_score("red fox", 3, **options)
        assert [(document.id, score) for document, score in found] == [(h.id, h.score) for h in result]
        assert store.similarity_search("red fox", k=3, **options) == [document for document, _ in found]
    assert store.similarity_search("red fox", 1, branches=["bm25"]) == [
        Document(id="a", page_content="red fox", metadata={"year": 1})
    ]


def test_filters_act_inside_every_branch(store):
    where = {"$or": [{"year": {"$lt": 2}}, {"year": {"$in": [4, 5]}}]}
    assert sorted(ids(store.similarity_search("dog", 10, filter=where))) == ["a", "d", "e"]
    assert ids(store.similarity_search_by_vector([1.0] * 8, 1, filter={"year": 2})) == ["b"]
    assert ids(store.as_retriever(search_kwargs={"k": 9, "filter": {"year": 3}}).invoke("red")) == ["c"]
    with pytest.raises(hybrid.FilterError, match=r"unknown operator '\$like'"):
        store.similarity_search("dog", filter={"year": {"$like": "2%"}})
    with pytest.raises(hybrid.FilterError, match="where must be an object"):
        store.similarity_search("dog", filter=lambda document: True)


def test_by_vector_scores_are_inner_products(store, embedding):
    query = np.array(embedding.embed_query("dog fox"))
    inner = {id: float(query @ embedding.embed_query(text)) for id, text in TEXTS.items()}
    best = sorted(TEXTS, key=lambda id: (-inner[id], id))
    assert ids(store.similarity_search_by_vector(query, 5)) == best


def test_relevance_is_half_of_one_and_the_cosine(store, embedding):
    query = np.array(embedding.embed_query("dog fox"))
    for document, relevance in store.similarity_search_with_relevance_scores("dog fox", 5):
        vector = np.array(embedding.embed_query(TEXTS[document.id]))
        cosine = query @ vector / np.linalg.norm(query) / np.linalg.norm(vector)
        assert relevance == pytest.approx((1 + cosine) / 2, abs=1e-7)
    above = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.95, "k": 5}
    ).invoke("dog fox")
    assert 0 < len(above) < 5
    assert "e" in ids(above)


def test_diversity_is_that_of_the_stage(store, tmp_path, embedding):
    for weight in (0.0, 0.3, 0.8, 1.0):
        stage = hybrid.MMR(top=4, weight=weight)
        pipeline = hybrid.Pipeline(store.index.pipeline.branches, rerank=[stage])
        with hybrid.open(
            store.index.path, pipeline=pipeline, encoders={"langchain": EmbeddingsEncoder(embedding)}
        ) as other:
            for query in ("red dog", "fox"):
                wanted = [hit.id for hit in other.search(query, 3)]
                options = {"k": 3, "fetch_k": 4, "lambda_mult": weight}
                assert ids(store.max_marginal_relevance_search(query, **options)) == wanted
    assert ids(store.as_retriever(search_type="mmr", search_kwargs={"k": 2}).invoke("red")) != []
    vector = embedding.embed_query("red")
    assert ids(store.max_marginal_relevance_search_by_vector(vector, 5, 5, 1.0)) == ids(
        store.similarity_search_by_vector(vector, 5)
    )
    with pytest.raises(hybrid.InputError, match=r"share of relevance is 1\.5"):
        store.max_marginal_relevance_search("red", lambda_mult=1.5)
    with pytest.raises(hybrid.InputError, match="k is 0"):
        store.max_marginal_relevance_search("red", 0)


async def test_asynchronously_the_same(store):
    query, vector = "red dog", [1.0] * 8
    assert await store.asimilarity_search(query) == store.similarity_search(query)
    assert await store.asimilarity_search_with_score(query) == store.similarity_search_with_score(query)
    assert await store.asimilarity_search_by_vector(vector) == store.similarity_search_by_vector(vector)
    assert await store.amax_marginal_relevance_search(query) == store.max_marginal_relevance_search(query)
    related = store.similarity_search_with_relevance_scores(query)
    assert await store.asimilarity_search_with_relevance_scores(query) == related
    added = await asyncio.gather(*(store.aadd_texts([f"text {n}"], ids=[f"n{n}"]) for n in range(3)))
    assert added == [["n0"], ["n1"], ["n2"]]
    assert len(store.index) == 8


def test_texts_are_embedded_once(store, embedding):
    assert sorted(embedding.documents[-5:]) == sorted(TEXTS.values())
    before = len(embedding.documents)
    store.similarity_search("red")
    assert len(embedding.documents) == before
    assert embedding.queries[-1] == "red"


def test_details_if_wanted(store):
    store.details = "found"
    told = store.similarity_search("red fox", 1)[0].metadata
    assert told["year"] == 2
    assert told["found"]["scores"].keys() == {"bm25", "dense", "fused"}


def test_it_opens_again_with_the_same_embeddings_only(store, tmp_path):
    path = store.index.path
    found = store.similarity_search_with_score("red dog", 5)
    store.index.close()
    with (again := HybridVectorStore.open(path, Counting())).index:
        assert again.similarity_search_with_score("red dog", 5) == found
        again.add_texts(["more"], ids=["m"])
    with pytest.raises(hybrid.FingerprintError, match="model: index has"):
        HybridVectorStore.open(path, DeterministicFakeEmbedding(size=8))

    class Drifted(Counting):
        def embed_documents(self, texts):
            return [vector[::-1] for vector in super().embed_documents(texts)]

    Drifted.__module__, Drifted.__qualname__ = Counting.__module__, Counting.__qualname__
    with pytest.raises(hybrid.FingerprintError, match="drifted"):
        HybridVectorStore.open(path, Drifted())
    with pytest.raises(hybrid.EncoderError, match="'langchain' is unknown"):
        HybridVectorStore.open(path)
    reader = HybridVectorStore.open(path, Counting(), mode="r")
    with reader.index, pytest.raises(hybrid.ReadOnlyError):
        reader.delete(["a"])


def test_a_model_of_ours_keeps_its_name(tmp_path):
    embedding = HybridEmbeddings("letters", Letters())
    with (store := HybridVectorStore.create(tmp_path / "i", embedding)).index as index:
        assert index.pipeline.branches[1] == hybrid.Dense("letters")
        store.add_documents([Document(page_content="red"), Document(id="x", page_content="fox")])
        assert len(index) == 2
        assert "x" in index
        assert store.embeddings is embedding
        assert HybridVectorStore(index).embeddings.model == "letters"
    pipeline = hybrid.Pipeline([hybrid.BM25()])
    with pytest.raises(hybrid.PipelineError, match=r"has the model 'letters'.*add hybrid.Dense\('letters'\)"):
        HybridVectorStore.create(tmp_path / "j", embedding, pipeline=pipeline)
    with (lexical := HybridVectorStore.create(tmp_path / "j", pipeline=pipeline)).index:
        lexical.add_texts(["red fox"], ids=["a"])
        assert ids(lexical.similarity_search("fox")) == ["a"]
        assert lexical.embeddings is None
        with pytest.raises(hybrid.PipelineError, match="one dense branch is needed"):
            lexical.similarity_search_by_vector([1.0])
        with pytest.raises(hybrid.PipelineError, match="one dense branch is needed"):
            lexical.similarity_search_with_relevance_scores("fox")


def test_what_is_refused_leaves_the_index_as_it_was(store, tmp_path):
    generation = store.index.generation
    with pytest.raises(hybrid.InputError, match="2 texts and 1 metadatas"):
        store.add_texts(["x", "y"], [{}])
    with pytest.raises(hybrid.InputError, match="2 texts and 3 ids"):
        store.add_texts(["x", "y"], ids=["1", "2", "3"])
    with pytest.raises(hybrid.DuplicateIdError, match="'1'"):
        store.add_texts(["x", "y"], ids=["1", "1"])
    with pytest.raises(hybrid.DocumentError, match="metadata 'when'"):
        store.add_texts(["x"], [{"when": object()}])
    with pytest.raises(hybrid.InputError, match="batch_size"):
        store.add_texts(["x"], batch_size=3)
    with pytest.raises(hybrid.InputError, match="'fetch' is no argument"):
        store.similarity_search("x", fetch=3)
    with pytest.raises(hybrid.InputError, match="path='my-index'"):
        HybridVectorStore.from_texts(["x"], Counting())
    assert (store.index.generation, len(store.index)) == (generation, 5)
    with pytest.raises(hybrid.DocumentError):
        HybridVectorStore.from_texts(["x"], Counting(), [{"when": object()}], path=tmp_path / "k")
    hybrid.open(tmp_path / "k", "w", check_encoders=False).close()  # nobody holds its lock


def test_deleting(store):
    store.delete(["a", "unknown"])
    assert store.get_by_ids(["b", "a", "c"]) == [
        Document(id="b", page_content="red red dog", metadata={"year": 2}),
        Document(id="c", page_content="blue dog", metadata={"year": 3}),
    ]
    store.delete()
    assert len(store.index) == 0
    assert store.similarity_search("red") == []
    assert store.max_marginal_relevance_search("red") == []
    assert store.similarity_search_with_relevance_scores("red") == []


def test_what_is_deleted_while_documents_are_got_is_left_out(store, monkeypatch):
    whole = hybrid.HybridIndex.get

    def get(index, id):
        if id == "b" and "b" in index:
            index.delete(["b"])  # as somebody else would, just now
        return whole(index, id)

    monkeypatch.setattr(hybrid.HybridIndex, "get", get)
    assert ids(store.get_by_ids(["a", "b", "c"])) == ["a", "c"]
