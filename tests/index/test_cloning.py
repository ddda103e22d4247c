"""Clones of an index folder: the same answers, and nothing shared that could change."""

from __future__ import annotations

import os

import pytest

import hybrid
from hybrid.engine import clone

PIPELINE = hybrid.Pipeline([hybrid.BM25(analyzer="simple")])


@pytest.fixture
def index(tmp_path):
    documents = [hybrid.Document(f"d{n}", f"alpha {'beta ' * n}gamma{n}") for n in range(20)]
    with hybrid.create(tmp_path / "index", documents[:12], PIPELINE) as index:
        index.add(documents[12:])
        index.delete(["d3"])
        yield index


def answers(index):
    return [(hit.id, hit.score) for hit in index.search("beta gamma7", 20)]


def test_a_clone_answers_the_same_and_changes_alone(index, tmp_path):
    before = answers(index)
    with clone(index, tmp_path / "clone") as copy:
        assert answers(copy) == before
        assert copy.generation == index.generation
        copy.update([hybrid.Document("d7", "delta")])
        copy.optimize()
        assert answers(copy) != before
        assert "d3" not in copy
    assert answers(index) == before
    with hybrid.open(index.path) as reopened:
        assert answers(reopened) == before


def test_what_is_removed_from_the_original_stays_in_the_clone(index, tmp_path):
    before = answers(index)
    clone(index, tmp_path / "clone").close()
    index.delete(["d7"])
    index.optimize()
    with hybrid.open(tmp_path / "clone") as copy:
        assert answers(copy) == before


def test_segments_are_linked_or_else_copied(index, tmp_path, monkeypatch):
    clone(index, tmp_path / "linked").close()
    assert all(path.stat().st_nlink == 2 for path in (tmp_path / "linked" / "segments").iterdir())

    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with clone(index, tmp_path / "copied") as copy:
        assert answers(copy) == answers(index)
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "copied" / "segments").iterdir())


def test_nothing_is_overwritten(index, tmp_path):
    with pytest.raises(hybrid.StorageError, match="File exists"):
        clone(index, index.path)
    assert len(index) == 19
