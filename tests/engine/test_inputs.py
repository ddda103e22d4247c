"""Bad input is a clear error and changes nothing; odd input works."""

from __future__ import annotations

import errno
import gzip
import json
import math
import sqlite3

import numpy as np
import pytest

import hybrid

PIPELINE = hybrid.Pipeline(branches=[hybrid.BM25(analyzer="simple"), hybrid.Dense(model=None, dimension=2)])


def doc(id, text="some words", vector=(1.0, 0.0), **metadata):
    return hybrid.Document(id, text, metadata=metadata, vectors={"dense": vector})


def ask(index, text="words", k=10, vector=(1.0, 0.0), **options):
    return index.search(hybrid.Query(text, {"dense": vector}), k, **options)


@pytest.fixture
def index(tmp_path):
    with hybrid.create(tmp_path / "index", [doc("a"), doc("b")], PIPELINE) as index:
        yield index


@pytest.mark.parametrize(
    ("documents", "error", "words"),
    [
        ([doc("c"), doc("d"), doc("c")], hybrid.DuplicateIdError, ["'c'", "0", "2"]),
        ([doc("c"), doc("a")], hybrid.DuplicateIdError, ["'a'", "update"]),
        ([doc("c"), doc("")], hybrid.DocumentError, ["id"]),
        ([doc("c"), doc(7)], hybrid.DocumentError, ["7"]),
        ([doc("c"), doc("d", text=b"bytes")], hybrid.DocumentError, ["'d'", "text"]),
        ([doc("c"), doc("d", text=None)], hybrid.DocumentError, ["'d'", "text"]),
        ([doc("c"), doc("d", text="half a pair \ud800")], hybrid.DocumentError, ["'d'"]),
        ([doc("c"), doc("d", year=math.nan)], hybrid.DocumentError, ["'d'", "year"]),
        ([doc("c"), doc("d", vector=(math.nan, 0))], hybrid.InputError, ["'d'", "finite"]),
        ([doc("c"), doc("d", vector=(1e300, 0))], hybrid.InputError, ["'d'", "finite"]),
        ([doc("c"), doc("d", vector=(1, 2, 3))], hybrid.InputError, ["'d'", "(3,)", "(2,)"]),
        ([doc("c"), doc("d", vector="no")], hybrid.InputError, ["'d'", "numbers"]),
        ([doc("c"), hybrid.Document("d", "no vector")], hybrid.DocumentError, ["'d'", "vector", "dense"]),
        ([doc("c"), "just text"], hybrid.DocumentError, ["'just text'", "Document"]),
        ("a string", hybrid.DocumentError, ["str"]),
        (None, hybrid.DocumentError, ["NoneType"]),
        ([hybrid.Document("c", "", vectors=None)], hybrid.DocumentError, ["'c'", "None"]),
        ([hybrid.Document("c", vectors={"dens": [1, 0]})], hybrid.DocumentError, ["'c'", "'dens'", "dense"]),
        (doc("c"), hybrid.DocumentError, ["list"]),
        ([{"text": "no id"}], hybrid.InputError, ["id"]),
    ],
)
def test_bad_documents_change_nothing(index, documents, error, words):
    files = sorted(p.name for p in (index.path / "segments").iterdir())
    for change in (index.add, index.update):
        if change == index.update and error is hybrid.DuplicateIdError and "update" in words:
            continue  # update replaces it
        with pytest.raises(error) as caught:
            change(documents)
        for word in words:
            assert word in str(caught.value)
        assert (index.generation, len(index)) == (1, 2)
        assert sorted(p.name for p in (index.path / "segments").iterdir()) == files
        assert [hit.id for hit in ask(index)] == ["a", "b"]


def test_an_error_in_a_late_batch_changes_nothing(index, monkeypatch):
    monkeypatch.setattr("hybrid.engine.building.GROUP_DOCUMENTS", 2)
    with pytest.raises(hybrid.DuplicateIdError, match="'c'"):
        index.add([doc("c"), doc("d"), doc("e"), doc("f"), doc("c")])
    assert (index.generation, len(index)) == (1, 2)
    index.add([doc("c"), doc("d"), doc("e"), doc("f"), doc("g")])
    assert (index.generation, len(index)) == (2, 7)
    assert index.stats().segments == 2


def test_a_failing_reader_changes_nothing(index, tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"_id": "c", "text": "fine"}\n{"_id": "d", "text": \n')
    with pytest.raises(hybrid.CorpusError, match=r"corpus\.jsonl.*line 2"):
        index.add(hybrid.read(path))
    assert index.generation == 1


def test_create_leaves_nothing_behind(tmp_path):
    with pytest.raises(hybrid.DuplicateIdError):
        hybrid.create(tmp_path / "index", [doc("a"), doc("a")], PIPELINE)
    assert list(tmp_path.iterdir()) == []


def test_create_keeps_what_it_may_not_replace(index, tmp_path):
    with pytest.raises(hybrid.IndexExistsError, match="overwrite"):
        hybrid.create(index.path, [doc("z")], PIPELINE)
    index.close()
    with pytest.raises(hybrid.DuplicateIdError):
        hybrid.create(index.path, [doc("z"), doc("z")], PIPELINE, overwrite=True)
    with hybrid.open(index.path) as again:
        assert [d.id for d in again.documents()] == ["a", "b"]
    with hybrid.create(index.path, [doc("z")], PIPELINE, overwrite=True) as new:
        assert [d.id for d in new.documents()] == ["z"]
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("the only copy")
    with pytest.raises(hybrid.StorageError):
        hybrid.create(full, [doc("z")], PIPELINE, overwrite=True)
    assert (full / "thesis.txt").read_text() == "the only copy"


@pytest.mark.parametrize("content", [None, "folder", "file", "database"])
def test_not_an_index(tmp_path, content):
    path = tmp_path / "thing"
    if content == "folder":
        path.mkdir()
    elif content == "file":
        path.write_text("hello")
    elif content == "database":
        path.mkdir()
        (path / "catalog.sqlite").write_text("this is no database" * 100)
    for mode in ("r", "w"):
        with pytest.raises(hybrid.StorageError, match="thing"):
            hybrid.open(path, mode)


def test_a_newer_format(index):
    index.close()
    with sqlite3.connect(index.path / "catalog.sqlite") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(hybrid.FormatError, match="999"):
        hybrid.open(index.path)


def test_a_second_writer(index):
    with pytest.raises(hybrid.IndexLockedError, match=r"process \d+ on"):
        hybrid.open(index.path, "w")
    with hybrid.open(index.path) as reader:
        assert len(reader) == 2
        with pytest.raises(hybrid.ReadOnlyError, match="mode"):
            reader.add([doc("c")])
    index.close()
    with hybrid.open(index.path, "w") as writer:
        writer.add([doc("c")])


def test_a_full_disk(index, monkeypatch):
    import os

    real = os.fsync

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(hybrid.StorageError, match="No space left"):
        index.add([doc("c")])
    monkeypatch.setattr(os, "fsync", real)
    assert (index.generation, len(index)) == (1, 2)
    index.add([doc("c")])
    assert [d.id for d in index.documents()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 0}, ["0", "at least 1"]),
        ({"k": -3}, ["-3"]),
        ({"k": 2.5}, ["2.5"]),
        ({"k": True}, ["True"]),
        ({"k": None}, ["None"]),
        ({"branches": 5}, ["5", "list"]),
        ({"where": {"year": {"$near": 3}}}, ["$near", "$gte"]),
        ({"where": [1]}, ["[1]"]),
        ({"branches": ["splade"]}, ["'splade'", "bm25, dense"]),
        ({"branches": []}, ["branch"]),
        ({"branches": "bm25"}, ["'bm25'"]),
        ({"vector": (math.inf, 0)}, ["finite"]),
        ({"vector": (1,)}, ["(1,)", "(2,)"]),
    ],
)
def test_bad_searches(index, options, words):
    with pytest.raises(hybrid.InputError) as caught:
        ask(index, **options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("query", [None, 7, b"bytes", ["list"]])
def test_a_query_is_a_string(index, query):
    with pytest.raises(hybrid.InputError, match="query"):
        index.search(query)


@pytest.mark.parametrize("queries", ["words", hybrid.Query("words", {"dense": [1, 0]})])
def test_many_queries_are_a_list(index, queries):
    with pytest.raises(hybrid.InputError, match="give a list"):
        index.search_many(queries)


@pytest.mark.parametrize("id", [7, None, ["a"], doc("a")])
def test_an_id_is_a_string(index, id):
    for call in (index.get, lambda id: index.delete(["b", id]), lambda id: index.explain("words", id)):
        with pytest.raises(hybrid.InputError, match="is not a string"):
            call(id)
    assert id not in index
    assert len(index) == 2


def test_a_vector_that_nobody_reads(index):
    for vectors in ({"dens": [1, 0]}, {"bm25": [1, 0]}, None):
        with pytest.raises(hybrid.InputError, match=r"dense|None"):
            index.search(hybrid.Query("words", vectors))


def test_numbers_of_numpy(index):
    assert len(ask(index, k=np.int64(1))) == 1


def test_deleting(index):
    with pytest.raises(hybrid.InputError, match="None"):
        index.delete(None)
    with pytest.raises(hybrid.NotFoundError, match="'x'"):
        index.delete(["a", "x"])
    assert len(index) == 2
    with pytest.raises(hybrid.InputError, match="'a'"):
        index.delete("a")
    with pytest.raises(hybrid.InputError, match="7"):
        index.delete(["a", 7])
    assert index.delete(["a", "x", "a"], missing="ignore") == 1
    assert [d.id for d in index.documents()] == ["b"]
    assert "a" not in index
    with pytest.raises(hybrid.NotFoundError, match="'a'"):
        index.get("a")
    assert index.delete(["b"]) == 1
    assert len(index) == 0
    assert len(ask(index)) == 0


def test_odd_documents_and_queries(tmp_path):
    documents = [
        doc("empty", ""),
        doc("blank", " \n\t "),
        doc("stop", "the and of"),
        doc("x", "E-4021 failed"),
    ]
    pipeline = hybrid.Pipeline(branches=[hybrid.BM25(), hybrid.Dense(model=None, dimension=2)])
    with hybrid.create(tmp_path / "index", documents, pipeline) as index:
        for text in [
            "",
            " ",
            "the",
            "the of",
            "!!!",
            "nothing-matches-this",
            "E-4021",
            "x" * 60_000,
            "\x00",
        ]:
            result = ask(index, text, k=100)
            assert len(result) == 4
            assert result.exact
        assert [hit.id for hit in index.search("the of", branches=["bm25"])] == []
        assert [hit.id for hit in index.search("e-4021", branches=["bm25"])] == ["x"]


def test_no_documents_and_one(tmp_path):
    with hybrid.create(tmp_path / "none", [], PIPELINE) as index:
        assert (len(index), len(ask(index)), ask(index).exact) == (0, 0, True)
        index.add([doc("only")])
        assert [hit.id for hit in ask(index, k=5)] == ["only"]
        assert ask(index).explain(1).rank == 1
        index.optimize()
        assert [hit.id for hit in ask(index, "other")] == ["only"]


def test_a_document_is_kept_as_it_was(tmp_path):
    metadata = {"year": 2024, "big": 2**70, "tags": ["a", "ü"], "nested": {"x": None, "f": 0.1}}
    document = hybrid.Document("ß/ü 漢", "text\n\x00\twith 𝒳", "Title", metadata, {"dense": [1, 0]})
    with hybrid.create(tmp_path / "index", [document], PIPELINE) as index:
        assert index.get("ß/ü 漢") == document
        (hit,) = ask(index)
        assert (hit.id, hit.title, hit.text, hit.metadata) == (document.id, "Title", document.text, metadata)


def test_documents_as_mappings(tmp_path):
    rows = [{"id": "a", "text": "ant"}, {"_id": "b", "title": "Bee", "text": "bee", "metadata": {"n": 1}}]
    with hybrid.create(tmp_path / "i", rows, hybrid.Pipeline(branches=[hybrid.BM25()])) as index:
        assert list(index.documents()) == [
            hybrid.Document("a", "ant"),
            hybrid.Document("b", "bee", "Bee", {"n": 1}),
        ]


def test_a_truncated_gzip(tmp_path):
    path = tmp_path / "c.jsonl.gz"
    whole = gzip.compress(
        "".join(json.dumps({"_id": str(n), "text": "x" * 50}) + "\n" for n in range(999)).encode()
    )
    path.write_bytes(whole[:-20])
    with pytest.raises(hybrid.CorpusError, match=r"c\.jsonl\.gz"):
        hybrid.create(tmp_path / "index", hybrid.read(path), hybrid.Pipeline(branches=[hybrid.BM25()]))
    assert not (tmp_path / "index").exists()


def test_vectors_of_numpy_and_the_zero_vector(tmp_path):
    documents = [doc("a", vector=np.zeros(2)), doc("b", vector=np.float32([0, 2]))]
    with hybrid.create(tmp_path / "index", documents, PIPELINE) as index:
        assert [(h.id, h.scores["dense"]) for h in ask(index, "", vector=[0, 1])] == [("b", 2.0), ("a", 0.0)]
        assert len(ask(index, "", vector=[0, 0])) == 2


@pytest.mark.parametrize("memory", [0, 1 << 20, "1 GB", None, 1e9])
def test_a_memory_that_is_not_accepted(tmp_path, memory):
    with pytest.raises(hybrid.InputError, match=r"memory is .*32 MiB"):
        hybrid.create(tmp_path / "index", [], PIPELINE, memory=memory)
    assert not (tmp_path / "index").exists()
