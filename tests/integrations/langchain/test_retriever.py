"""The retriever against `search` itself: whatever is asked, the same documents with the same scores."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda

import hybrid
from hybrid.integrations.langchain import HybridRetriever
from tests.integrations.conftest import DOCUMENTS, PIPELINE, QUERIES, Letters


def expected(result, key="hybrid"):
    """A result as documents, spelt out by hand."""
    return [
        Document(
            id=hit.id,
            page_content=hit.text,
            metadata={
                **hit.metadata,
                key: {
                    "rank": rank,
                    "score": hit.score,
                    "scores": dict(hit.scores),
                    "exact": True,
                    "gap": 0.0,
                    "degraded": [],
                    "notes": {},
                    "generation": result.generation,
                    **({"title": hit.title} if hit.title else {}),
                },
            },
        )
        for rank, hit in enumerate(result, 1)
    ]


ASKED = [
    {},
    {"k": 2},
    {"where": {"year": {"$gte": 2024}}},
    {"where": {"tags": "x"}, "k": 1},
    {"branches": ["bm25"]},
    {"fusion": hybrid.RRF(k=10), "strict": True},
]


@pytest.mark.parametrize("options", ASKED, ids=str)
def test_it_returns_what_search_returns(index, options):
    results = [expected(index.search(query, **options)) for query in QUERIES]
    assert any(results[0])
    configured = HybridRetriever(index=index, **options)
    called = HybridRetriever(index=index)
    assert [configured.invoke(query) for query in QUERIES] == results
    assert [called.invoke(query, **options) for query in QUERIES] == results
    assert configured.batch(QUERIES) == results
    assert called.batch(QUERIES, **options) == results


@pytest.mark.parametrize("options", ASKED, ids=str)
async def test_and_so_it_does_from_an_event_loop(index, options):
    results = [expected(index.search(query, **options)) for query in QUERIES]
    retriever = HybridRetriever(index=index)
    assert await asyncio.gather(*(retriever.ainvoke(query, **options) for query in QUERIES)) == results
    assert await retriever.abatch(QUERIES, **options) == results


def test_it_follows_the_index(index):
    retriever = HybridRetriever(index=index)
    reader = hybrid.open(index.path, encoders={"letters": Letters()})
    with reader:
        reading = HybridRetriever(index=reader)
        before = reading.invoke("red fox")
        index.update([hybrid.Document("b", "no such thing"), hybrid.Document("f", "red fox red fox")])
        index.delete(["a"])
        assert reading.invoke("red fox") == before  # until it is refreshed
        after = retriever.invoke("red fox")
        assert after == expected(index.search("red fox"))
        assert after[0].id == "f"
        assert "a" not in [document.id for document in after]
        assert {document.metadata["hybrid"]["generation"] for document in after} == {index.generation}
        assert reader.refresh()
        assert reading.invoke("red fox") == after


class Heard(BaseCallbackHandler):
    def __init__(self):
        self.started, self.ended, self.failed = [], [], []

    def on_retriever_start(self, serialized, query, **kwargs):
        self.started.append(query)

    def on_retriever_end(self, documents, **kwargs):
        self.ended.append([document.id for document in documents])

    def on_retriever_error(self, error, **kwargs):
        self.failed.append(type(error).__name__)


def test_callbacks_hear_of_every_query_of_a_batch(index):
    heard = Heard()
    found = HybridRetriever(index=index, k=2).batch(QUERIES, {"callbacks": [heard]})
    assert heard.started == QUERIES
    assert heard.ended == [[document.id for document in documents] for documents in found]
    assert heard.failed == []


def test_a_batch_searches_once(index, monkeypatch):
    asked = []
    many = type(index).search_many
    monkeypatch.setattr(
        type(index),
        "search_many",
        lambda self, queries, *a, **k: asked.append(queries) or many(self, queries, *a, **k),
    )
    monkeypatch.setattr(type(index), "search", None)
    assert len(HybridRetriever(index=index).batch(QUERIES)) == len(QUERIES)
    assert asked == [QUERIES]


async def test_an_error_is_that_of_its_query(index):
    retriever, heard = HybridRetriever(index=index), Heard()
    found = retriever.batch(["red", 5, "dog"], {"callbacks": [heard]}, return_exceptions=True)
    assert [type(each) for each in found] == [list, hybrid.InputError, list]
    assert sorted(map(str, heard.started)) == ["5", "dog", "red"]
    assert heard.failed == ["InputError"]
    assert [type(each) for each in await retriever.abatch(["red", 5], return_exceptions=True)] == [
        list,
        hybrid.InputError,
    ]
    with pytest.raises(hybrid.InputError, match="query is 5"):
        retriever.batch(["red", 5])


def test_a_deadline_is_each_querys_own(index):
    retriever = HybridRetriever(index=index, deadline=60)
    assert retriever.batch(QUERIES) == [expected(index.search(query)) for query in QUERIES]
    with pytest.raises(hybrid.InputError, match="deadline"):
        retriever.batch(QUERIES, deadline=-1)


def test_what_a_failed_branch_leaves_is_said(tmp_path):
    class Broken(Letters):
        def encode_queries(self, texts):
            if "fox" in texts[0]:
                raise OSError("the model is away")
            return super().encode_queries(texts)

    with hybrid.create(tmp_path / "i", DOCUMENTS, PIPELINE, encoders={"letters": Broken()}) as index:
        found = HybridRetriever(index=index).invoke("fox")[0].metadata["hybrid"]
        assert (found["degraded"], found["exact"], found["gap"]) == (["dense"], False, None)
        assert "the model is away" in found["notes"]["dense"][0]
        with pytest.raises(hybrid.BranchError, match="the model is away"):
            HybridRetriever(index=index, strict=True).invoke("fox")


def test_metadata_of_ones_own_is_not_written_over(index):
    index.update([hybrid.Document("a", "red fox", metadata={"hybrid": "mine"})])
    with pytest.raises(hybrid.InputError, match=r"'a' has metadata of its own under 'hybrid'.*details='"):
        HybridRetriever(index=index).invoke("red fox")
    asked = (["blue", "red fox"], None)
    retriever = HybridRetriever(index=index, branches=["bm25"])
    for found in (
        retriever.batch(*asked, return_exceptions=True),
        asyncio.run(retriever.abatch(*asked, return_exceptions=True)),
    ):
        assert [type(each) for each in found] == [list, hybrid.InputError]
    with pytest.raises(hybrid.InputError, match="'a' has metadata"):
        retriever.batch(*asked)
    elsewhere = HybridRetriever(index=index, details="why").invoke("red fox", where={"hybrid": "mine"})[0]
    assert elsewhere.metadata["hybrid"] == "mine"
    assert elsewhere.metadata["why"]["rank"] == 1
    plain = HybridRetriever(index=index, details=None).invoke("red fox", where={"hybrid": "mine"})[0]
    assert plain == Document(id="a", page_content="red fox", metadata={"hybrid": "mine"})


def test_the_text_of_a_document(tmp_path):
    text = ("Red foxes sleep. " * 20 + "Blue dogs bark. " * 20).strip()
    pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple")], passages=hybrid.Passages(hybrid.Fixed(30)))
    with hybrid.create(tmp_path / "i", [hybrid.Document("a", text, "Animals")], pipeline) as index:
        hit = index.search("blue").hits[0]
        texts = {
            content: HybridRetriever(index=index, content=content).invoke("blue")[0]
            for content in ("text", "content", "passage")
        }
        assert texts["text"].page_content == text
        assert texts["content"].page_content == f"Animals {text}"
        assert texts["passage"].page_content == hit.passages[0].text != text
        told = texts["text"].metadata["hybrid"]["passages"][0]
        assert text[told["start"] : told["end"]] == told["text"] == hit.passages[0].text
        with pytest.raises(ValueError, match="content"):
            HybridRetriever(index=index, content="half")


def test_what_is_no_argument_is_refused(index):
    with pytest.raises(hybrid.InputError, match="'top_k' is no argument of a search; accepted: k, where"):
        HybridRetriever(index=index).invoke("red", top_k=3)
    with pytest.raises(ValueError, match="HybridIndex"):
        HybridRetriever(index="my-index")


def test_in_a_chain(index):
    chain = HybridRetriever(index=index, k=1) | RunnableLambda(lambda found: found[0].page_content)
    assert chain.invoke("blue") == "blue dog asleep"
