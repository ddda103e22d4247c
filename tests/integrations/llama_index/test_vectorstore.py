"""The vector store: modes, filters against LlamaIndex's own, deletes, and a whole `VectorStoreIndex`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

import hybrid
from hybrid.integrations.llama_index import HybridEmbedding, HybridVectorStore
from hybrid.integrations.llama_index.filters import where_of
from hybrid.integrations.llama_index.nodes import as_document
from tests.integrations.conftest import Letters

TEXTS = {"a": "red fox", "b": "red red dog", "c": "blue dog", "d": "a fox and a dog", "e": "dog fox"}
LETTERS = Letters()


def vector(text):
    return LETTERS.encode_queries([text]).vectors[0].tolist()


def node(id, text, source="doc", **metadata):
    related = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source)}
    return TextNode(id_=id, text=text, metadata=metadata, relationships=related, embedding=vector(text))


@pytest.fixture
def nodes():
    return [node(id, text, "one" if id < "c" else "two", n=n) for n, (id, text) in enumerate(TEXTS.items())]


@pytest.fixture
def store(tmp_path, nodes):
    store = HybridVectorStore.create(tmp_path / "store", 8)
    with store.client:
        assert store.add(nodes) == list(TEXTS)
        yield store


def asked(text, k=3, **options):
    return VectorStoreQuery(vector(text), k, query_str=text, **options)


Mode = VectorStoreQueryMode
RAW = hybrid.Weighted(weights={"dense": 1, "bm25": 1}, normalizer="raw")
DENSE = {"branches": ["dense"], "fusion": RAW}


@pytest.mark.parametrize(
    ("options", "searched"),
    [
        ({}, {"branches": ["dense"], "fusion": RAW}),
        ({"mode": Mode.HYBRID}, {}),
        ({"mode": Mode.HYBRID, "alpha": 0.25}, {"fusion": hybrid.Weighted(0.25)}),
        ({"mode": Mode.HYBRID, "hybrid_top_k": 2}, {"k": 2}),
        ({"mode": Mode.SPARSE}, {"branches": ["bm25"], "fusion": RAW}),
        ({"mode": Mode.TEXT_SEARCH, "sparse_top_k": 1}, {"branches": ["bm25"], "k": 1, "fusion": RAW}),
        ({"node_ids": ["a", "x"]}, {**DENSE, "where": {"_llama_index.id": "a"}}),
        ({"doc_ids": ["two"]}, {**DENSE, "where": {"n": {"$gte": 2}}}),
        ({"node_ids": [], "doc_ids": []}, DENSE),
    ],
    ids=str,
)
async def test_a_mode_is_a_search(store, nodes, options, searched):
    result = store.client.search(
        hybrid.Query("red dog", {"dense": vector("red dog")}), **{"k": 3, **searched}
    )
    for found in (store.query(asked("red dog", **options)), await store.aquery(asked("red dog", **options))):
        assert found.ids == [hit.id for hit in result]
        assert found.similarities == [hit.score for hit in result]
        plain = {each.node_id: each.model_copy(update={"embedding": None}) for each in nodes}
        assert list(found.nodes) == [plain[id] for id in found.ids]


def test_the_default_agrees_with_their_own_store(store, nodes):
    simple = SimpleVectorStore()

    def unit(numbers):
        return (np.array(numbers) / np.linalg.norm(numbers)).tolist()

    nodes = [node.model_copy(update={"embedding": unit(node.embedding)}) for node in nodes]
    simple.add(nodes)
    store.clear()
    store.add(nodes)
    for text in ("red dog", "fox", "blue and grey"):
        query = VectorStoreQuery(unit(vector(text)), 5)
        wanted, found = simple.query(query), store.query(query)
        np.testing.assert_allclose(found.similarities, wanted.similarities, atol=1e-6)
        assert sorted(found.ids) == sorted(wanted.ids)


def test_mmr_is_the_stage(store):
    pipeline = hybrid.Pipeline([hybrid.Dense(dimension=8)], rerank=[hybrid.MMR(top=12, weight=0.3)])
    with hybrid.open(store.client.path, pipeline=pipeline) as other:
        result = other.search(hybrid.Query("", {"dense": vector("red")}), 3)
    found = store.query(asked("red", mode=Mode.MMR, mmr_threshold=0.3))
    assert found.ids == [hit.id for hit in result]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": Mode.SVM}, "mode is 'svm', which an index does not have; accepted: default, hybrid"),
        ({"mode": Mode.SEMANTIC_HYBRID}, "mode is 'semantic_hybrid'"),
        ({"output_fields": ["text"]}, r"output_fields is \['text'\]"),
        ({"embedding_field": "other"}, "embedding_field is 'other'"),
    ],
)
def test_what_an_index_cannot_do_is_refused(store, options, message):
    with pytest.raises(hybrid.InputError, match=message):
        store.query(asked("red", **options))


Operator, Condition = FilterOperator, FilterCondition
ROWS = [
    {},
    {"k": None},
    {"k": ""},
    {"k": []},
    {"k": 1},
    {"k": 2.5},
    {"k": "x"},
    {"k": "y"},
    {"k": ["x", "y"]},
]
ROWS += [{"k": ["y"]}, {"k": "x", "j": 1}, {"k": 3, "j": 2}, {"j": 3}]


def one(operator, value=None, key="k"):
    return MetadataFilter(key=key, operator=operator, value=value)


def all_of(*filters, condition=Condition.AND):
    return MetadataFilters(filters=list(filters), condition=condition)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """An index of ROWS, and those that are lists told apart."""
    documents = [
        as_document(TextNode(id_=str(n), text="", metadata=row), {}) for n, row in enumerate(ROWS, 10)
    ]
    path = tmp_path_factory.mktemp("rows") / "i"
    with hybrid.create(path, documents, hybrid.Pipeline([hybrid.BM25()])) as index:
        yield index


def found(index, filters):
    return [ROWS[int(id) - 10] for id in index.ids(where_of(filters))]


def theirs(filters, rows):
    """Which rows LlamaIndex's own filters let through; a comparison of kinds that have no order is False."""

    def one_holds(row, filter):
        try:
            return build_metadata_filter_fn(lambda _: row, all_of(filter))("")
        except TypeError:
            return False

    how = {Condition.AND: all, Condition.OR: any, Condition.NOT: lambda held: not any(held)}[
        filters.condition
    ]
    held = {n: [one_holds(row, filter) for filter in filters.filters] for n, row in enumerate(rows)}
    return [row for n, row in enumerate(rows) if not filters.filters or how(held[n])]


SCALARS = [row for row in ROWS if not isinstance(row.get("k"), list)]
scalar_filters = st.one_of(
    st.builds(
        one,
        st.sampled_from([Operator.EQ, Operator.NE, Operator.GT, Operator.GTE, Operator.LT, Operator.LTE]),
        st.sampled_from([0, 1, 2.5, 3, "x", "z", ""]),
        st.sampled_from(["k", "j"]),
    ),
    st.builds(
        one,
        st.sampled_from([Operator.IN, Operator.NIN]),
        st.sampled_from([["x", "y"], [1, 3], ["z"], []]),
        st.sampled_from(["k", "j"]),
    ),
    st.builds(one, st.just(Operator.IS_EMPTY), st.none(), st.sampled_from(["k", "j"])),
)


@settings(deadline=None)
@given(st.lists(scalar_filters, max_size=3), st.sampled_from(list(Condition)))
def test_filters_agree_with_their_own(rows, filters, condition):
    asked = all_of(*filters, condition=condition)
    assert [row for row in found(rows, asked) if row in SCALARS] == theirs(asked, SCALARS)


@pytest.mark.parametrize(
    "filter",
    [
        one(Operator.ANY, ["x", "z"]),
        one(Operator.ALL, ["x", "y"]),
        one(Operator.ALL, []),
        one(Operator.CONTAINS, "x"),
        one(Operator.IS_EMPTY),
    ],
    ids=str,
)
def test_and_of_lists(rows, filter):
    lists = [row for row in ROWS if isinstance(row.get("k"), list)]
    assert [row for row in found(rows, all_of(filter)) if row in lists] == theirs(all_of(filter), lists)


def test_filters_may_be_nested(rows):
    either = all_of(one(Operator.EQ, 1, "j"), one(Operator.EQ, 2, "j"), condition=Condition.OR)
    assert found(rows, all_of(one(Operator.EQ, "x"), either)) == [{"k": "x", "j": 1}]
    assert found(rows, all_of()) == ROWS
    assert found(rows, None) == ROWS


@pytest.mark.parametrize("operator", [Operator.TEXT_MATCH, Operator.TEXT_MATCH_INSENSITIVE])
def test_operators_that_cannot_be_expressed_are_named(operator):
    with pytest.raises(
        hybrid.FilterError, match=f"'k' has the operator '{operator.value}', which an index cannot"
    ):
        where_of(all_of(one(operator, "x")))


def test_every_operator_is_expressed_or_named():
    for operator in Operator:
        value = ["x"] if operator in (Operator.IN, Operator.NIN, Operator.ANY, Operator.ALL) else "x"
        if operator not in (Operator.TEXT_MATCH, Operator.TEXT_MATCH_INSENSITIVE):
            assert where_of(all_of(one(operator, value)))


@pytest.mark.parametrize(("operator", "value"), [(Operator.EQ, None), (Operator.GT, [1]), (Operator.IN, "x")])
def test_values_that_do_not_fit_are_refused(operator, value):
    with pytest.raises(hybrid.FilterError, match=f"operator '{operator.value}' and the value"):
        where_of(all_of(one(operator, value)))


async def test_deleting(store):
    ids = lambda: [node.node_id for node in store.get_nodes()]  # noqa: E731
    filters = all_of(one(Operator.GTE, 3, "n"))
    assert [n.node_id for n in store.get_nodes(["a", "e"], filters)] == ["e"]
    assert [n.node_id for n in await store.aget_nodes(["a", "e"])] == ["a", "e"]
    store.delete_nodes(["a", "d"], filters)
    assert ids() == ["a", "b", "c", "e"]
    await store.adelete_nodes(filters=filters)
    assert ids() == ["a", "b", "c"]
    store.delete("one")
    assert ids() == ["c"]
    await store.adelete("unknown")
    with pytest.raises(hybrid.InputError, match=r"clear\(\) deletes all"):
        store.delete_nodes()
    assert await store.async_add([node("z", "late")]) == ["z"]
    assert ids() == ["c", "z"]
    await store.aclear()
    assert ids() == []
    assert store.query(asked("red")).ids == []


def test_a_node_is_replaced_and_a_bad_batch_changes_nothing(store):
    store.add([node("a", "grey wolf", n=7)])
    assert len(store.client) == 5
    assert store.get_nodes(["a"])[0].get_content() == "grey wolf"
    generation = store.client.generation
    with pytest.raises(ValueError, match="embedding not set"):
        store.add([node("f", "fine"), TextNode(id_="g", text="no vector")])
    assert (store.client.generation, len(store.client)) == (generation, 5)


@pytest.mark.parametrize("own", [False, True], ids=["vectors of theirs", "a model of the index"])
async def test_under_a_vector_store_index(tmp_path, own):
    embed_model = HybridEmbedding("letters", LETTERS)
    if own:
        pipeline = hybrid.Pipeline([hybrid.BM25(), hybrid.Dense("letters")])
        store = HybridVectorStore.create(tmp_path / "i", pipeline=pipeline, encoders={"letters": LETTERS})
    else:
        store = HybridVectorStore.create(tmp_path / "i", 8)
    assert store.is_embedding_query is not own
    with store.client as index:
        context = StorageContext.from_defaults(vector_store=store)
        nodes = [TextNode(id_=id, text=text, metadata={"n": n}) for n, (id, text) in enumerate(TEXTS.items())]
        over = VectorStoreIndex(nodes, storage_context=context, embed_model=embed_model)
        filters = all_of(one(Operator.GT, 0, "n"))
        retriever = over.as_retriever(
            vector_store_query_mode="hybrid", alpha=0.5, similarity_top_k=3, filters=filters
        )
        query = "red dog" if own else hybrid.Query("red dog", {"dense": vector("red dog")})
        # LlamaIndex embeds a text without the spaces around it, and with its metadata
        result = index.search(query, 3, {"n": {"$gt": 0}}, fusion=hybrid.Weighted(0.5))
        for got in (retriever.retrieve("red dog"), await retriever.aretrieve("red dog")):
            assert [(each.node_id, each.score) for each in got] == [(hit.id, hit.score) for hit in result]
        over.delete_nodes(["a"])
        assert "a" not in index


def test_create_takes_one_or_the_other(tmp_path):
    with pytest.raises(hybrid.InputError, match="a pipeline or a dimension"):
        HybridVectorStore.create(tmp_path / "i", 8, pipeline=hybrid.Pipeline())
    HybridVectorStore.create(tmp_path / "i", 8).client.close()
    with HybridVectorStore.open(tmp_path / "i", "r").client as index:
        assert index.pipeline.branches == (hybrid.BM25(), hybrid.Dense(dimension=8))
        with pytest.raises(hybrid.ReadOnlyError):
            HybridVectorStore(index).clear()
