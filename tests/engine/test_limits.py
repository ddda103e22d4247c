"""Every limit: what is just allowed, what is refused, and that nothing has changed then."""

from __future__ import annotations

import gzip

import pytest

import hybrid
from hybrid.corpus import lines

PIPELINE = hybrid.Pipeline(branches=[hybrid.BM25(analyzer="simple")])
LIMITS = hybrid.Limits(
    query_characters=10,
    k=5,
    filter_depth=2,
    filter_conditions=4,
    filter_values=6,
    document_characters=20,
    metadata_depth=2,
    metadata_bytes=40,
)


@pytest.fixture
def index(tmp_path):
    documents = [hybrid.Document(str(n), "word", metadata={"n": n}) for n in range(8)]
    with hybrid.create(tmp_path / "index", documents, PIPELINE, limits=LIMITS) as opened:
        yield opened


@pytest.mark.parametrize(
    ("query", "k", "where", "said"),
    [
        ("word" * 3, 1, None, r"the query are 12, and the limit is 10.*Limits\(query_characters=…\)"),
        (hybrid.Query("word" * 3), 1, None, "characters of the query are 12"),
        ("word", 6, None, "k is 6, and the limit is 5"),
        ("word", 1, {"$not": {"$not": {"$not": {"n": 1}}}}, "depth is 3, and the limit is 2"),
        (
            "word",
            1,
            {"$or": [{"n": n} for n in range(4)]},
            "conditions of the filter are 5, ",
        ),
        ("word", 1, {"n": {"$in": [1, 2, 3, 4, 5, 6, 7]}}, "values of the filter are 7, and the limit is 6"),
    ],
)
def test_what_is_too_large_is_refused(index, query, k, where, said):
    for ask in (
        lambda: index.search(query, k, where),
        lambda: index.search_many([query], k, where),
        lambda: index.retrieve(query, k, where),
        lambda: index.explain(query, "1", k, where),
    ):
        with pytest.raises(hybrid.LimitError, match=said):
            ask()
    if where is not None:
        with pytest.raises(hybrid.LimitError, match=said):
            index.delete(where=where)
        assert len(index) == 8


def test_what_is_just_allowed_is_done(index):
    where = {"$not": {"$not": {"n": {"$in": [1, 2, 3, 4, 5, 6]}}}}
    assert len(index.search("word" * 2, 5, where)) == 0
    assert len(index.search("word", 5, where)) == 5


def test_pages_count_towards_k(index):
    first = index.search("word", 3)
    assert len(index.search("word", 2, cursor=first.cursor)) == 2
    with pytest.raises(hybrid.LimitError, match="k is 6"):
        index.search("word", 3, cursor=first.cursor)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            hybrid.Document("x", "t" * 11, "t" * 10),
            r"document 1 \('x'\): the characters .* are 21",
        ),
        (
            hybrid.Document("x", metadata={"a": {"b": [{"c": 1}]}}),
            "depth of its metadata is 3",
        ),
        (hybrid.Document("x", metadata={"a": "é" * 17}), "bytes of its metadata are 43, and the limit is 40"),
    ],
)
def test_documents_that_are_too_large_are_refused(index, document, said):
    fine = hybrid.Document("y", "t" * 10, "t" * 10, {"a": {"b": {"c": 1}}})
    with pytest.raises(hybrid.LimitError, match=said):
        index.add([fine, document])
    with index.stream() as stream, pytest.raises(hybrid.LimitError):
        stream.add(document)
    assert index.generation == 1
    index.add([fine])
    with hybrid.open(index.path) as reader:  # limits belong to those who open an index, not to the index
        assert len(reader.search("word" * 9, 100)) == 0


@pytest.mark.parametrize(
    "wrong", [{"k": 0}, {"k": 1.5}, {"k": True}, {"filter_depth": 33}, {"metadata_depth": 17}]
)
def test_limits_check_themselves(wrong):
    with pytest.raises(hybrid.InputError, match=next(iter(wrong))):
        hybrid.Limits(**wrong)


def test_a_filter_that_holds_itself_is_refused(index):
    where = {}
    where["n"] = where
    with pytest.raises(hybrid.LimitError):
        index.search("word", 1, where)


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BOMB_BYTES", 1 << 16)
    line = b'{"_id": "a", "text": "%s"}\n' % (b"a" * 100)
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(gzip.compress(line + b"\n" * 5_000_000))
    with pytest.raises(hybrid.CorpusError, match="over 200 times its size"):
        [*hybrid.read(path)]
    fine = tmp_path / "fine.jsonl.gz"
    rows = [f'{{"_id": "{n}", "text": "word{n} word{n * 7}"}}\n' for n in range(3000)]
    fine.write_bytes(gzip.compress("".join(rows).encode()))
    assert sum(1 for _ in hybrid.read(fine)) == 3000
