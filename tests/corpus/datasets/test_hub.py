"""Collections in the hub's layout, read by datasets from folders."""

from __future__ import annotations

import sys

import pytest

import hybrid
from hybrid.errors import CorpusError, MissingDependencyError
from tests.corpus.datasets.published import CORPUS, GRADES, QRELS, QUERIES, save, save_collection

DOCUMENTS = [hybrid.Document(row["_id"], row["text"], row["title"]) for row in CORPUS]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("qrels", ["default", "qrels"])
def test_documents_queries_and_judgements(tmp_path, qrels):
    source = f"hf:{save_collection(tmp_path / 'tiny', qrels=qrels)}"
    assert list(hybrid.read(source)) == DOCUMENTS
    assert hybrid.read_queries(source) == [(row["_id"], row["text"]) for row in QUERIES]
    assert hybrid.read_qrels(source) == GRADES
    assert hybrid.read_qrels(f"{source}#train") == {"q1": {"d1": 2}}


def test_judgements_in_a_repository_of_their_own(tmp_path):
    folder = save(tmp_path / "tiny", {"corpus": {"corpus": CORPUS}, "queries": {"queries": QUERIES}})
    save(tmp_path / "tiny-qrels", {"default": {"test": QRELS, "train": QRELS[:1]}})
    assert hybrid.read_qrels(f"hf:{folder}") == GRADES
    assert hybrid.read_qrels(f"hf:{folder}#train") == {"q1": {"d1": 2}}


def test_a_language_is_a_subset(tmp_path):
    source = f"hf:{save_collection(tmp_path / 'tiny', 'de', 'qrels')}#de"
    assert list(hybrid.read(source)) == DOCUMENTS
    assert len(hybrid.read_queries(source)) == 2
    assert hybrid.read_qrels(f"{source}/train") == {"q1": {"d1": 2}}


def test_other_columns_become_metadata_and_numbers_ids(tmp_path):
    rows = [{"id": 7, "text": "a text", "title": None, "year": 2024}, {"id": 8, "text": "b", "year": None}]
    folder = save(tmp_path / "tiny", {"corpus": {"train": rows}})
    assert list(hybrid.read(f"hf:{folder}")) == [
        hybrid.Document("7", "a text", metadata={"year": 2024}),
        hybrid.Document("8", "b"),
    ]


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("#dev", "the configuration 'default' has the splits test, train; name one"),
        ("#de/test", "has no configuration 'de-qrels', only corpus, queries, default"),
        ("#", "is no name of a collection; give 'ir_datasets:NAME'"),
        ("#a/b/c", "is no name of a collection"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, ending, message):
    with pytest.raises(CorpusError, match=message):
        hybrid.read_qrels(f"hf:{save_collection(tmp_path / 'tiny')}{ending}")


def test_a_wrong_judgement_is_named(tmp_path):
    rows = [{"query-id": "q1", "corpus-id": "d1", "score": 0.5}]
    folder = save(tmp_path / "tiny", {"default": {"test": rows}})
    with pytest.raises(CorpusError, match="judgement 1: expected query-id, corpus-id, score"):
        hybrid.read_qrels(f"hf:{folder}")


def test_a_document_twice_judged_is_named(tmp_path):
    folder = save(tmp_path / "tiny", {"default": {"test": [*QRELS, QRELS[0]]}})
    with pytest.raises(CorpusError, match=r"judgement 4: document 'd1' was already judged .* on judgement 1"):
        hybrid.read_qrels(f"hf:{folder}")


def test_a_repository_that_cannot_be_reached(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CorpusError, match=r"cannot be read by datasets: .*give the name of a repository"):
        hybrid.read(f"hf:{tmp_path / 'nothing-here'}")


@pytest.mark.parametrize(
    ("source", "module", "extra"),
    [
        ("hf:a/b", "datasets", "datasets"),
        ("ir_datasets:a", "ir_datasets", "datasets"),
        ("mteb:A", "mteb", "mteb"),
    ],
)
def test_a_missing_library_names_the_extra(monkeypatch, source, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    for read in (hybrid.read, hybrid.read_queries, hybrid.read_qrels):
        with pytest.raises(MissingDependencyError, match=rf"{module}.*hybrid-retrieval\[{extra}\]"):
            read(source)
