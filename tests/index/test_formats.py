"""Indexes that an earlier release wrote are opened, answer as before, and are upgraded by merging."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import hybrid
from hybrid.index.segment import SEGMENT_VERSION

FORMATS = Path(__file__).parent / "formats"
VERSIONS = sorted(FORMATS.glob("[0-9]*"))
QUERY = hybrid.Query(
    "ant dog",
    {
        "dense": [1, 0, 2, 1],
        "sparse": {"ant": 1.0, "dog": 2.0},
        "multivector": [[1, 0, 0, 1], [0, 1, 1, 0]],
    },
)


@pytest.fixture(params=VERSIONS, ids=lambda folder: folder.name)
def old(request, tmp_path):
    shutil.copytree(request.param, tmp_path / "old")
    return tmp_path / "old", json.loads((request.param / "answers.json").read_text())


def answers(index):
    return [[hit.id, hit.score, dict(hit.scores)] for hit in index.search(QUERY, 20)]


def outdated(index):
    return [view.segment.outdated for view in index._store.snapshot.segments]


def test_there_is_one_of_every_version_that_is_read():
    assert [int(folder.name) for folder in VERSIONS] == [*range(2, SEGMENT_VERSION)]


def test_an_old_index_answers_as_it_did(old):
    folder, expected = old
    with hybrid.open(folder / "vectors") as index:
        assert answers(index) == expected["vectors"]
        assert [document.id for document in index.documents()] == expected["documents"]
        assert index.version("d00") == 0  # that release did not say
        assert index.get("d00").expires is None
        assert all(outdated(index))
    with hybrid.open(folder / "passages") as index:
        found = [[hit.id, hit.score, [p.text for p in hit.passages]] for hit in index.search("ant dog", 5)]
        assert found == expected["passages"]


def test_an_old_index_is_upgraded_by_merging(old):
    folder, expected = old
    with hybrid.open(folder / "vectors", "w") as index:
        kept = index.get("d04")
        index.delete(["d04"])
        index.update([kept], if_version={"d00": 0, "d04": None})
        assert index.version("d04") == index.generation
        assert answers(index) == expected["vectors"]
        assert index.optimize()
        assert outdated(index) == [False]
        assert (index.version("d00"), index.version("d04")) == (0, index.generation - 1)
        assert answers(index) == expected["vectors"]
    with hybrid.open(folder / "passages", "w") as index:  # one segment, no deletes: the format is the reason
        assert outdated(index) == [True]
        assert index.optimize()
        assert outdated(index) == [False]
        assert not index.optimize()
        found = [[hit.id, hit.score, [p.text for p in hit.passages]] for hit in index.search("ant dog", 5)]
        assert found == expected["passages"]
