"""The retriever against `search` itself, and rerankers as node postprocessors."""

from __future__ import annotations

import asyncio

import pytest
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode

import hybrid
from hybrid.integrations.llama_index import HybridEmbedding, HybridRerank, HybridRetriever, HybridVectorStore
from tests.integrations.conftest import DOCUMENTS, PIPELINE, QUERIES, Lengths, Letters

ASKED = [
    {},
    {"k": 2},
    {"where": {"year": {"$gte": 2024}}},
    {"branches": ["bm25"]},
    {"fusion": hybrid.RRF(k=10), "strict": True, "deadline": 60},
]


def flat(found):
    return [(each.node_id, each.score, each.node.get_content(), each.metadata) for each in found]


def expected(result):
    rows = []
    for rank, hit in enumerate(result, 1):
        told = {
            "rank": rank,
            "score": hit.score,
            "scores": dict(hit.scores),
            "exact": True,
            "gap": 0.0,
            "degraded": [],
            "notes": {},
            "generation": result.generation,
            **({"title": hit.title} if hit.title else {}),
        }
        rows.append((hit.id, hit.score, hit.text, {**hit.metadata, "hybrid": told}))
    return rows


@pytest.mark.parametrize("options", ASKED, ids=str)
async def test_it_returns_what_search_returns(index, options):
    retriever = HybridRetriever(index, **options)
    results = [expected(index.search(query, **options)) for query in QUERIES]
    assert any(results[0])
    assert [flat(retriever.retrieve(query)) for query in QUERIES] == results
    found = await asyncio.gather(*(retriever.aretrieve(query) for query in QUERIES))
    assert [flat(each) for each in found] == results


def test_it_follows_the_index(index):
    with hybrid.open(index.path, encoders={"letters": Letters()}) as reader:
        retriever = HybridRetriever(reader)
        before = flat(retriever.retrieve("red fox"))
        index.update([hybrid.Document("f", "red fox red fox")])
        index.delete(["a"])
        assert flat(retriever.retrieve("red fox")) == before
        reader.refresh()
        after = flat(retriever.retrieve("red fox"))
        assert after == expected(index.search("red fox"))
        assert {row[0] for row in after} == {"b", "c", "d", "e", "f"}


def test_prompts_and_embeddings_are_not_told_the_details(index):
    node = HybridRetriever(index, 1, {"year": 2023}).retrieve("red fox")[0].node
    assert node.metadata["hybrid"]["rank"] == 1
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        assert "rank" not in node.get_content(mode)
        assert "year: 2023" in node.get_content(mode)
    plain = HybridRetriever(index, 1, {"year": 2023}, details=None).retrieve("red fox")[0].node
    assert plain == TextNode(id_="a", text=DOCUMENTS[0].text, metadata=DOCUMENTS[0].metadata)
    titled = HybridRetriever(index, 1, {"year": 2023}, content="content").retrieve("red fox")[0].node
    assert titled.get_content() == "Fox red fox in the snow"
    index.update([hybrid.Document("a", "x", metadata={"hybrid": 1})])
    with pytest.raises(hybrid.InputError, match="'a' has metadata of its own"):
        HybridRetriever(index).retrieve("x")


def test_embeddings_are_used_where_there_is_no_model(index, tmp_path):
    with HybridVectorStore.create(tmp_path / "v", 2).client as brought:
        brought.add([hybrid.Document("x", "fox", vectors={"dense": [1, 0]})])
        brought.add([hybrid.Document("y", "dog", vectors={"dense": [0, 1]})])
        bundle = QueryBundle("cat", embedding=[0.0, 2.0])
        found = HybridRetriever(brought).retrieve(bundle)
        assert [(each.node_id, each.metadata["hybrid"]["scores"]["dense"]) for each in found] == [
            ("y", 2),
            ("x", 0),
        ]
    bundle = QueryBundle("red fox", embedding=[1.0])
    assert flat(HybridRetriever(index).retrieve(bundle)) == expected(index.search("red fox"))


async def test_a_postprocessor_orders_as_the_stage_does(tmp_path):
    pipeline = hybrid.Pipeline(PIPELINE.branches, rerank=[hybrid.Rerank("lengths", top=5)])
    models = {"encoders": {"letters": Letters()}, "rerankers": {"lengths": Lengths()}}
    with hybrid.create(tmp_path / "i", DOCUMENTS, pipeline, **models) as index:
        staged = index.search("red dog", 5)
        with hybrid.open(index.path, pipeline=PIPELINE, encoders=models["encoders"]) as plain:
            found = HybridRetriever(plain).retrieve("red dog")
    rerank = HybridRerank("lengths", Lengths(), top_n=3)
    kept = rerank.postprocess_nodes(found, query_str="red dog")
    assert flat(await rerank.apostprocess_nodes(found, query_str="red dog")) == flat(kept)
    assert [each.node_id for each in kept] == [hit.id for hit in staged][:3]
    for each, hit in zip(kept, staged, strict=False):
        told = each.metadata["hybrid"]
        assert told["scores"] == hit.scores
        assert (told["rank"], each.score) == (hit.rank, hit.scores["rerank:lengths"])
    assert all("rerank:lengths" not in each.metadata["hybrid"]["scores"] for each in found)
    assert HybridRerank("lengths", Lengths(), details=None).postprocess_nodes(found, query_str="q")[
        0
    ].node in [each.node for each in found]


def test_what_a_postprocessor_refuses():
    nodes = [NodeWithScore(node=TextNode(text="a"))]
    with pytest.raises(hybrid.InputError, match="needs the query"):
        HybridRerank("lengths", Lengths()).postprocess_nodes(nodes)
    with pytest.raises(hybrid.EncoderError, match="'nowhere' is unknown"):
        HybridRerank("nowhere").postprocess_nodes(nodes, query_str="q")
    assert HybridRerank("lengths", Lengths()).postprocess_nodes([], query_str="q") == []


async def test_our_encoder_as_theirs():
    model = HybridEmbedding("letters", Letters())
    assert model.get_query_embedding("abba") == [2.0, 2.0, 0, 0, 0, 0, 0, 0]
    assert await model.aget_query_embedding("abba") == model.get_query_embedding("abba")
    assert model.get_text_embedding_batch(["dad", "a"]) == [
        [1.0, 0, 2, 0, 0, 0, 0, 0],
        [1.0, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert await model.aget_text_embedding("dad") == model.get_text_embedding("dad")
    with pytest.raises(hybrid.EncoderError, match="'nowhere' is unknown"):
        HybridEmbedding("nowhere").get_query_embedding("x")
