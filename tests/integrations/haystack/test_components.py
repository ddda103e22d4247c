"""The retriever and the ranker: what `search` returns, in pipelines that are written down and read again."""

from __future__ import annotations

import pytest
from haystack import Document, Pipeline

import hybrid
from hybrid.integrations.haystack import HybridDocumentStore, HybridRanker, HybridRetriever
from tests.integrations.conftest import DOCUMENTS, PIPELINE, QUERIES, Lengths, Letters


@pytest.fixture(scope="module", autouse=True)
def _models():
    hybrid.register_encoder("letters", Letters, replace=True)
    hybrid.register_reranker("lengths", Lengths, replace=True)


@pytest.fixture
def store(index):
    index.close()
    store = HybridDocumentStore(str(index.path), recipe=hybrid.format_recipe(PIPELINE))
    yield store
    store.close()


def flat(documents):
    return [(d.id, d.content, d.score, d.meta) for d in documents]


def expected(result):
    rows = []
    for hit in result:
        told = {
            "rank": hit.rank,
            "score": hit.score,
            "scores": dict(hit.scores),
            "exact": True,
            "gap": 0.0,
            "degraded": [],
            "notes": {},
            "generation": result.generation,
            **({"title": hit.title} if hit.title else {}),
        }
        rows.append((hit.id, hit.text, hit.score, {**hit.metadata, "hybrid": told}))
    return rows


async def test_it_returns_what_search_returns(store):
    retriever = HybridRetriever(store)
    year = {"field": "meta.year", "operator": ">=", "value": 2024}
    with hybrid.open(store.path) as reader:
        for query in QUERIES:
            assert flat(retriever.run(query)["documents"]) == expected(reader.search(query))
            two = await retriever.run_async(query, top_k=2)
            assert flat(two["documents"]) == expected(reader.search(query, 2))
            found = retriever.run(query, filters=year)["documents"]
            assert flat(found) == expected(reader.search(query, where={"year": {"$gte": 2024}}))
            lexical = HybridRetriever(store, year, branches=["bm25"], strict=True, deadline=60)
            wanted = reader.search(query, where={"year": {"$gte": 2024}}, branches=["bm25"])
            assert flat(lexical.run(query)["documents"]) == expected(wanted)


def test_filters_are_merged_or_replaced(store):
    year = {"field": "meta.year", "operator": ">=", "value": 2024}
    english = {"field": "meta.lang", "operator": "==", "value": "en"}
    merging = HybridRetriever(store, year, filter_policy="merge")
    assert [d.id for d in merging.run("fox", filters=english)["documents"]] == ["b"]
    replacing = HybridRetriever(store, english)
    assert {d.id for d in replacing.run("fox", filters=year)["documents"]} == {"b", "c", "d"}


def test_it_sees_every_change(store):
    retriever = HybridRetriever(store, details=None)
    store.write_documents([Document(id="f", content="red fox red fox")])
    store.delete_documents(["a"])
    with hybrid.open(store.path) as reader:
        result = reader.search("red fox")
        assert [(d.id, d.score) for d in retriever.run("red fox")["documents"]] == [
            (h.id, h.score) for h in result
        ]
    found = {d.id: d.meta for d in retriever.run("red fox")["documents"]}
    assert found["f"] == {}
    assert "a" not in found


def test_embeddings_come_from_the_pipeline(tmp_path):
    store = HybridDocumentStore(str(tmp_path / "i"), dimension=2)
    store.write_documents(
        [Document(id="a", content="x", embedding=[1, 0]), Document(id="b", content="y", embedding=[0, 1])]
    )
    retriever = HybridRetriever(store)
    found = retriever.run("y", query_embedding=[3.0, 1.0])["documents"]
    assert {d.id: d.meta["hybrid"]["scores"]["dense"] for d in found} == {"a": 3.0, "b": 1.0}
    with pytest.raises(hybrid.InputError, match="the query brings no vector"):
        retriever.run("y")
    store.close()


def test_a_ranker_orders_as_the_stage_does(store):
    stage = hybrid.Pipeline(PIPELINE.branches, rerank=[hybrid.Rerank("lengths", top=5)])
    with hybrid.open(store.path, pipeline=stage) as reader:
        staged = reader.search("red dog", 5)
    found = HybridRetriever(store).run("red dog")["documents"]
    ranked = HybridRanker("lengths", top_k=3).run("red dog", found)["documents"]
    assert [d.id for d in ranked] == [hit.id for hit in staged][:3]
    for document, hit in zip(ranked, staged, strict=False):
        assert document.meta["hybrid"]["scores"] == hit.scores
        assert document.score == hit.scores["rerank:lengths"]
    assert all("rerank:lengths" not in d.meta["hybrid"]["scores"] for d in found)
    assert HybridRanker("lengths", details=None).run("q", [Document(id="x", content="abc")]) == {
        "documents": [Document(id="x", content="abc", score=3.0)]
    }
    with pytest.raises(hybrid.EncoderError, match="'nowhere' is unknown"):
        HybridRanker("nowhere").warm_up()


async def test_pipelines_are_written_down_and_read_again(store):
    pipeline = Pipeline()
    retriever = HybridRetriever(
        store,
        {"field": "meta.year", "operator": ">", "value": 2000},
        4,
        ["bm25", "dense"],
        filter_policy="merge",
    )
    pipeline.add_component("retriever", retriever)
    pipeline.add_component("ranker", HybridRanker("lengths", 2))
    pipeline.connect("retriever.documents", "ranker.documents")
    asked = {"retriever": {"query": "red dog"}, "ranker": {"query": "red dog"}}
    found = pipeline.run(asked)
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["hybrid.integrations.haystack"])
    assert again.to_dict() == pipeline.to_dict()
    assert again.run(asked) == found
    assert len(found["ranker"]["documents"]) == 2
    assert await HybridRanker("lengths").run_async("q", []) == {"documents": []}
    again.get_component("retriever").document_store.close()
    with pytest.raises(hybrid.InputError, match="give a HybridDocumentStore"):
        HybridRetriever("store")


def test_documents_of_any_index_are_found(store):
    (found,) = store.filter_documents({"field": "meta.year", "operator": "==", "value": 2023})
    assert found == Document(id="a", content=DOCUMENTS[0].text, meta=DOCUMENTS[0].metadata)
    titled = HybridRetriever(store, content="content", details=None)
    assert titled.run("snow", top_k=5)["documents"][0].content in {"Fox red fox in the snow", "red red dog"}
