"""Stages that ask no model: one passage of a parent, and diversity."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import hybrid
from hybrid.engine.rerank import lowered

BRANCHES = [hybrid.BM25(analyzer="simple"), hybrid.Dense(dimension=2)]


def passages():
    """Return twelve passages of one long document, which rank highest, and three of others."""
    made = [
        hybrid.Document(
            f"long-{n:02}", "ant " * (20 - n), metadata={"parent": "long"}, vectors={"dense": [1, 0]}
        )
        for n in range(12)
    ]
    others = {"short-1": "short", "short-2": "short", "other-1": "other"}
    made += [
        hybrid.Document(id, "ant " + "bee " * n, metadata={"parent": parent}, vectors={"dense": [0, 1]})
        for n, (id, parent) in enumerate(others.items(), 30)
    ]
    return made


def plain():
    return [dataclasses.replace(passage, vectors={}) for passage in passages()]


class Backwards:
    """A reranker that turns the order around, and remembers what it saw."""

    def __init__(self):
        self.seen = []

    def score(self, query, documents):
        self.seen.append([document.id for document in documents])
        return np.arange(len(documents), dtype=np.float32)


def opened(path, *stages, documents, **more):
    pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple", b=0.0)], rerank=stages, depth=1)
    return hybrid.create(path, documents, pipeline, overwrite=True, **more)


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, ["long-00", "other-1", "short-1"]),
        (2, ["long-00", "long-01", "other-1", "short-1", "short-2"]),
    ],
)
def test_a_long_document_does_not_fill_the_page(tmp_path, most, expected):
    with opened(tmp_path / "i", hybrid.Parents(most=most), documents=plain()) as index:
        result = index.search("ant", k=5)
        assert [hit.id for hit in result] == expected
        assert [hit.rank for hit in result] == list(range(1, len(expected) + 1))
        assert [hit.id for hit in index.search("ant", k=2)] == expected[:2]  # the list was deepened for them
        explained = index.explain("ant", "long-05", k=5)
        (part,) = explained.stages
        assert (explained.rank, explained.fused_rank) == (None, 6)
        assert (part.rank_before, part.rank_after, part.score) == (6, None, None)
        assert "parents: rank 6" in str(explained)
        assert "left out" in str(explained)
        assert result.explain(2).rank == 2


def test_how_far_down_the_list_is_looked(tmp_path):
    with opened(tmp_path / "i", hybrid.Parents(within=13), documents=plain()) as index:
        assert [hit.id for hit in index.search("ant", k=3)] == ["long-00", "other-1"]
        assert [hit.id for hit in index.search("ant", k=20)] == ["long-00", "other-1", "short-1"]


def test_later_stages_see_distinct_parents(tmp_path):
    backwards = Backwards()
    stages = hybrid.Parents(), hybrid.Rerank("backwards", top=3)
    with opened(tmp_path / "i", *stages, documents=plain(), rerankers={"backwards": backwards}) as index:
        result = index.search("ant", k=1)
        assert backwards.seen[-1] == ["long-00", "other-1", "short-1"]
        assert [hit.id for hit in result] == ["short-1"]


def test_a_document_without_the_key_is_its_own_parent(tmp_path):
    documents = [
        hybrid.Document("book", "ant ant ant"),  # the parent itself
        hybrid.Document("p1", "ant ant", metadata={"of": "book"}),
        hybrid.Document("7", "ant", metadata={"of": 7}),  # 7 is not "7"
        hybrid.Document("8", "ant", metadata={"of": "7"}),
        hybrid.Document("9", "ant", metadata={"of": {"b": 1, "a": [2]}}),
        hybrid.Document("91", "ant", metadata={"of": {"a": [2], "b": 1}}),
    ]
    with opened(tmp_path / "i", hybrid.Parents("of"), documents=documents) as index:
        assert [hit.id for hit in index.search("ant")] == ["book", "7", "8", "9"]


def test_null_names_no_parent(tmp_path):
    given = [
        hybrid.Document(id, "ant", metadata=metadata)
        for id, metadata in {"a": {"parent": None}, "b": {"parent": None}, "c": {"parent": "a"}}.items()
    ]
    with opened(tmp_path / "i", hybrid.Parents(), documents=given) as index:
        assert [hit.id for hit in index.search("ant")] == ["a", "b"]


def test_passages_of_split_name_their_parents(tmp_path):
    whole = [hybrid.Document("x", "ant bee. " * 40), hybrid.Document("y", "ant. " + "cat dog. " * 40)]
    cut = list(hybrid.split(whole, hybrid.Fixed(size=20), hybrid.Words()))
    assert len(cut) > 4
    with opened(tmp_path / "i", hybrid.Parents(), documents=cut) as index:
        assert sorted(hit.metadata["parent"] for hit in index.search("ant")) == ["x", "y"]


def test_diversity_by_hand(tmp_path):
    """Twins a and b; c is less relevant and new. Fused scores 4, 3, 2 become 1, .5, 0."""
    documents = [
        hybrid.Document("a", vectors={"dense": [4, 0]}),
        hybrid.Document("b", vectors={"dense": [3, 0]}),
        hybrid.Document("c", vectors={"dense": [2, 2]}),
        hybrid.Document("d", vectors={"dense": [1, 9]}),
    ]
    stage = hybrid.MMR(top=3, weight=0.4)
    pipeline = hybrid.Pipeline([hybrid.Dense(dimension=2)], rerank=[stage])
    query = hybrid.Query("", {"dense": [1, 0]})
    with hybrid.create(tmp_path / "i", documents, pipeline) as index:
        result = index.search(query, k=4)
        # a: .4·1. Then b: .4·.5 - .6·1 = -.4; c: 0 - .6·cos 45° = -.4243: b, then c; d is below the top
        assert [hit.id for hit in result] == ["a", "b", "c", "d"]
        assert [hit.scores.get("mmr") for hit in result] == [
            pytest.approx(0.4), pytest.approx(-0.4), pytest.approx(-0.6 * 0.5**0.5), None
        ]  # fmt: skip
        assert result[3].score < result[2].score
        part = result.explain(2).stages[0]
        assert (part.name, part.rank_before, part.rank_after, part.weight) == ("mmr", 2, 2, 0.4)
    other = hybrid.Pipeline([hybrid.Dense(dimension=2)], rerank=[hybrid.MMR(top=3, weight=0.3)])
    with hybrid.open(tmp_path / "i", pipeline=other) as index:
        # b: .3·.5 - .7 = -.55; c: -.7·.7071 = -.495: c comes first
        assert [hit.id for hit in index.search(query)] == ["a", "c", "b", "d"]


def test_a_search_of_some_branches_keeps_the_stages_that_read_others(tmp_path):
    pipeline = hybrid.Pipeline(BRANCHES, rerank=[hybrid.MMR(weight=0.0, top=20)])
    with hybrid.create(tmp_path / "i", passages(), pipeline) as index:
        found = index.search("ant", branches=["bm25"], k=2)
        assert [hit.id[:4] for hit in found] == ["long", "othe"]
        assert found.degraded == ()


STAGES = [
    hybrid.Parents("source", most=3),
    hybrid.MMR("dense", top=7, weight=0.25),
    hybrid.MaxSim("m", expand=hybrid.Neighbours("bm25", k=3, batch=5)),
    hybrid.Rerank("r", expand=hybrid.Neighbours()),
    hybrid.Rerank("s"),
]


def test_recipes_hold_every_stage():
    pipeline = hybrid.Pipeline(BRANCHES, rerank=STAGES)
    text = hybrid.format_recipe(pipeline)
    assert hybrid.parse_recipe(text) == pipeline
    assert "[rerank.expand]" in text
    assert 'type = "parents"' in text
    only = pipeline.only(("bm25",))
    assert [stage.name for stage in only.rerank] == ["parents", "maxsim", "rerank:r", "rerank:s"]
    assert [stage.branch for stage in only.rerank] == [None, "bm25", None, None]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: hybrid.Parents(""), "field is ''"),
        (lambda: hybrid.Parents(most=0), "most is 0"),
        (lambda: hybrid.MMR(top=0), "top is 0"),
        (lambda: hybrid.MMR(weight=1.5), "weight is 1.5"),
        (lambda: hybrid.MMR(branch=None), "branch is None"),
        (lambda: hybrid.Neighbours(k=0), "k is 0"),
        (lambda: hybrid.Neighbours(batch=True), "batch is True"),
        (lambda: hybrid.Rerank("x", expand="dense"), "expand is 'dense'"),
        (lambda: hybrid.Pipeline(BRANCHES, rerank=[hybrid.MMR("bm25")]), "give it one of dense"),
        (
            lambda: hybrid.Pipeline(BRANCHES, rerank=[hybrid.Rerank("x", expand=hybrid.Neighbours("nope"))]),
            "reads the branch 'nope'; give it one of bm25, dense",
        ),
        (
            lambda: hybrid.Pipeline(
                [hybrid.Sparse("m")], rerank=[hybrid.Rerank("x", expand=hybrid.Neighbours("sparse"))]
            ),
            "the pipeline lacks",
        ),
        (
            lambda: hybrid.Pipeline(BRANCHES, rerank=[hybrid.MMR()], passages=hybrid.Passages()),
            "holds passages, not documents",
        ),
        (lambda: hybrid.parse_recipe('[[rerank]]\ntype = "mmr"\nbad = 1'), "unknown field 'bad'"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(hybrid.PipelineError, match=message):
        make()


@pytest.mark.parametrize(
    ("scores", "limit", "expected"),
    [
        ([0.5, 0.25], 1.0, [0.5, 0.25]),  # below already
        ([3.0, 2.0, 2.0, 0.0], 1.0, [1 - 2**-24, -(2**-24), -(2**-24), -2.0]),
        (  # float32 has one number in eight there
            [3 + 2**-22, 3.0, 3.0, 3 - 2**-22, 1.0],
            -1e8,
            [-1e8 - 8, -1e8 - 16, -1e8 - 16, -1e8 - 24, -1e8 - 32],
        ),
    ],
)
def test_what_stays_below_keeps_its_order(scores, limit, expected):
    assert lowered(np.float32(scores), limit).tolist() == np.float32(expected).tolist()
