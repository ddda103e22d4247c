"""What our store promises beyond Haystack's suites: exact documents, filters as theirs, sharing, refusals."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from haystack import Document
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.utils.filters import document_matches_filter
from hypothesis import given, settings
from hypothesis import strategies as st

import hybrid
from hybrid.integrations.haystack import HybridDocumentStore
from hybrid.integrations.haystack.documents import restored, stored
from hybrid.integrations.haystack.filters import where_of

RECIPE = hybrid.format_recipe(hybrid.Pipeline([hybrid.BM25()]))
DOCUMENTS = [
    Document(id="a", content="text", meta={"z": 1, "a": [1, {"b": None}]}),
    Document(id="b", content=None, blob=ByteStream(b"\x00\xff", meta={"n": 1}, mime_type="image/png")),
    Document(id="c", content="", embedding=[0.1, 1e300, -0.0], score=0.5),
    Document(id="d", sparse_embedding=SparseEmbedding([3, 9], [0.25, 0.1])),
    Document(id="e", content="plain"),
]


@pytest.fixture
def store(tmp_path):
    store = HybridDocumentStore(str(tmp_path / "index"), recipe=RECIPE)
    yield store
    store.close()


def test_documents_come_back_as_they_were(store):
    assert store.write_documents(DOCUMENTS) == 5
    assert store.filter_documents() == DOCUMENTS
    assert hybrid.open(store.path).get("e").metadata == {"_haystack": {"id": "e"}}


@settings(deadline=None)
@given(
    st.builds(
        Document,
        id=st.just("x"),
        content=st.none() | st.text(),
        meta=st.dictionaries(
            st.text(max_size=4), st.none() | st.booleans() | st.integers() | st.text(), max_size=3
        ),
        score=st.none() | st.floats(allow_nan=False),
        embedding=st.none() | st.lists(st.floats(allow_nan=False), max_size=3),
    )
)
def test_whatever_they_hold(document):
    row = stored(document, [])
    assert restored(row.id, row.text, row.metadata, row.vectors) == document


META = [
    {},
    {"k": None},
    {"k": 1},
    {"k": 2.5},
    {"k": "x"},
    {"k": True},
    {"k": "2024-05-01T10:00:00", "j": 1},
    {"k": "2025-05-01T10:00:00", "j": 2},
    {"j": 1, "deep": {"n": 3}},
]
comparisons = st.one_of(
    st.builds(
        lambda field, operator, value: {"field": field, "operator": operator, "value": value},
        st.sampled_from(["meta.k", "meta.j", "k", "meta.deep.n"]),
        st.sampled_from(["==", "!="]),
        st.sampled_from([None, 1, 2.5, "x", False, "2024-05-01T10:00:00"]),
    ),
    st.builds(
        lambda field, operator, value: {"field": field, "operator": operator, "value": value},
        st.sampled_from(["meta.j", "meta.deep.n"]),
        st.sampled_from([">", ">=", "<", "<="]),
        st.sampled_from([None, 0, 1, 1.5, 3]),
    ),
    st.builds(
        lambda field, operator, value: {"field": field, "operator": operator, "value": value},
        st.sampled_from(["meta.k", "meta.j", "id"]),
        st.sampled_from(["in", "not in"]),
        st.lists(st.sampled_from([None, 1, 2, "x", "m3", "m7"]), max_size=3),
    ),
)
filters = st.recursive(
    comparisons,
    lambda inner: st.builds(
        lambda operator, conditions: {"operator": operator, "conditions": conditions},
        st.sampled_from(["AND", "OR", "NOT"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    documents = [Document(id=f"m{n}", meta=meta) for n, meta in enumerate(META)]
    path = tmp_path_factory.mktemp("rows") / "index"
    with hybrid.create(path, [stored(d, []) for d in documents], hybrid.Pipeline([hybrid.BM25()])) as index:
        yield index, documents


@settings(deadline=None)
@given(filters)
def test_filters_are_theirs(rows, asked):
    """1 and True are equal in Python and not in an index, so no filter here asks for 1 where True stands."""
    index, documents = rows
    if "1" in repr(asked):
        documents = [document for document in documents if document.meta.get("k") is not True]
    found = index.ids(where_of(asked))
    assert [d.id for d in documents if d.id in found] == [
        d.id for d in documents if document_matches_filter(asked, d)
    ]


def test_dates_compare_in_one_format(rows):
    index, documents = rows
    dated = [document for document in documents if str(document.meta.get("k")).startswith("20")]
    for operator in (">", ">=", "<", "<="):
        asked = {"field": "meta.k", "operator": operator, "value": "2025-05-01T10:00:00"}
        matching = [d.id for d in dated if document_matches_filter(asked, d)]
        assert [id for id in index.ids(where_of(asked)) if id in [d.id for d in dated]] == matching


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"field": "content", "operator": "==", "value": "x"}, "cannot filter by 'content'; accepted: 'id'"),
        ({"field": "meta.k", "operator": "~", "value": 1}, "unknown operator '~' at 'k'; accepted: ==, !="),
        ({"field": "meta.k", "operator": "==", "value": [1]}, r"cannot compare 'k' with \[1\]"),
        ({"field": "meta.k", "operator": ">", "value": True}, "takes a number or an ISO date, got True"),
        ({"operator": "XOR", "conditions": []}, "the operator is 'XOR' over"),
        ({"operator": "AND", "conditions": [3]}, "a filter is an object with an operator, got 3"),
    ],
)
def test_what_cannot_be_expressed_is_refused(asked, message):
    with pytest.raises(FilterError, match=message):
        where_of(asked)


def test_embeddings_that_are_searched(tmp_path):
    store = HybridDocumentStore(str(tmp_path / "i"), dimension=2)
    store.write_documents(
        [Document(id="a", content="x", embedding=[0.5, 0.1]), Document(id="b", embedding=[1, 0])]
    )
    float32 = 0.10000000149011612
    assert [document.embedding for document in store.filter_documents()] == [[0.5, float32], [1.0, 0.0]]
    assert store.update_by_filter({"field": "id", "operator": "==", "value": "a"}, {"n": 1}) == 1
    (changed,) = store.filter_documents({"field": "meta.n", "operator": "==", "value": 1})
    assert (changed.id, changed.embedding) == ("a", [0.5, float32])
    with pytest.raises(hybrid.DocumentError, match="'c' brings no vector"):
        store.write_documents([Document(id="c", content="no embedding")])
    assert store.count_documents() == 2
    store.close()


def test_new_meta_leaves_all_else_of_a_document(tmp_path):
    later = datetime(2100, 1, 1, tzinfo=UTC)
    given = hybrid.Document("a", "text", "A title", {"n": 1, "m": 2}, expires=later)
    hybrid.create(tmp_path / "shop", [given], hybrid.Pipeline([hybrid.BM25()])).close()
    store = HybridDocumentStore(str(tmp_path / "shop"))
    assert store.update_by_filter({"field": "meta.m", "operator": "==", "value": 2}, {"n": 3}) == 1
    store.close()
    with hybrid.open(tmp_path / "shop") as index:
        assert index.get("a") == hybrid.Document("a", "text", "A title", {"n": 3, "m": 2}, expires=later)
        assert [hit.id for hit in index.search("title")] == ["a"]


def test_policies(store):
    one, two = Document(id="1", content="one"), Document(id="1", content="two")
    assert store.write_documents([one, two], DuplicatePolicy.SKIP) == 1
    assert store.filter_documents()[0].content == "one"
    assert store.write_documents([one, two], DuplicatePolicy.OVERWRITE) == 2
    assert store.filter_documents()[0].content == "two"
    assert store.write_documents([], DuplicatePolicy.FAIL) == 0


def test_a_store_is_its_description(store):
    again = HybridDocumentStore.from_dict(store.to_dict())
    store.write_documents(DOCUMENTS)
    assert again.to_dict() == store.to_dict()
    assert again.filter_documents() == DOCUMENTS
    again.delete_documents(["a"])
    assert store.count_documents() == 4  # it sees what others wrote
    again.close()
    with pytest.raises(hybrid.InputError, match="a recipe or a dimension"):
        HybridDocumentStore("x", dimension=3, recipe=RECIPE)
    with pytest.raises(hybrid.PipelineError):
        HybridDocumentStore("x", recipe="[nothing]")


def test_another_recipe_for_the_same_folder_is_refused(store):
    store.write_documents(DOCUMENTS)
    with pytest.raises(hybrid.HybridError, match="dense"):
        HybridDocumentStore(store.path, dimension=3).count_documents()


def test_threads_share_a_store(store):
    def work(n):
        for m in range(3):
            store.write_documents([Document(id=f"{n}-{m}", content="red fox")])
            assert store.count_documents() >= m + 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count_documents() == 12


def test_what_is_no_document_changes_nothing(store):
    with pytest.raises(ValueError, match=r"is no haystack\.Document"):
        store.write_documents([Document(id="a"), 3])
    with pytest.raises(hybrid.InputError, match="'b' has metadata of its own under '_haystack'"):
        store.write_documents([Document(id="a"), Document(id="b", meta={"_haystack": 1})])
    with pytest.raises(hybrid.DocumentError, match="metadata 'when'"):
        store.write_documents([Document(id="a"), Document(id="b", meta={"when": object()})])
    assert store.count_documents() == 0
