"""Tables of settings against what the engine itself answers with each setting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import hybrid
from hybrid.engine import complete
from hybrid.evaluation import Grid, Scores, Setting, evaluate, settings, variants
from tests.evaluation.searching import searched

GRID = Grid(
    steps=4,
    normalizers=(hybrid.TM2C2(), hybrid.MinMax(), hybrid.ZScore(depth=20)),
    rrf_k=(1, 60),
    k1=(0.6, 1.2),
    b=(0.3, 0.75),
)
MEASURES = ("nDCG@10", "AP@10", "R@5", "RR@10", "P@3", "Success@1")


def test_every_setting_gives_what_the_engine_gives(collection):
    index, queries, qrels = collection
    branches = variants(index.pipeline, GRID)
    tried = settings(index.pipeline, branches, GRID)
    assert len(tried) == 2 + 3 + 3 + 6 + 6 + 27
    scores = Scores.of(index, queries, qrels, branches, depth=150)
    assert scores.queries == tuple(qrels)
    tables = {name: scores.measure(tried, name) for name in MEASURES}
    spread = tables["nDCG@10"].mean(axis=1)
    assert spread.max() - spread.min() > 0.05  # the settings differ, or the comparison would say little
    for n in {0, 1, 2, 4, 5, 8, 10, 13, 15, 18, 20, 25, 30, 40, len(tried) - 1}:
        pipeline = tried[n].pipeline(index.pipeline, branches)
        run, exact = searched(index, pipeline, queries)
        assert exact
        found = evaluate(run, qrels, MEASURES)
        for name in MEASURES:
            assert tables[name][n] == pytest.approx(found.values[name], abs=1e-12), (pipeline, name)


def test_results_do_not_depend_on_threads(collection, monkeypatch):
    index, queries, qrels = collection
    tried = settings(index.pipeline, index.pipeline.branches, replace(GRID, k1=()))
    tables = []
    for threads in ("1", "2"):
        monkeypatch.setenv("HYBRID_THREADS", threads)
        tables.append(Scores.of(index, queries, qrels).measure(tried, "AP"))
    assert np.array_equal(*tables)


def test_completed_columns_are_true_scores_and_ranks(collection):
    index, queries, _ = collection
    for (_, query), found in zip(
        queries[:5], complete(index, [q for _, q in queries[:5]], depth=7), strict=True
    ):
        assert found.ids == sorted(found.ids)
        assert 7 <= len(found.ids) <= 14
        for column, bound in zip(found.columns, found.bounds, strict=True):
            whole = index.retrieve(query, 150, branch=column.name)
            place = {id: n for n, id in enumerate(whole.ids)}
            for id, raw, rank in zip(found.ids, column.raw, column.ranks, strict=True):
                assert rank == place.get(id, -1) + 1
                assert raw == (whole.scores[place[id]] if id in place else 0.0)
            assert bound == (whole.scores[6] if len(whole) > 7 else -np.inf)
            assert set(whole.ids[:7]) <= set(found.ids)


def test_queries_without_relevant_documents_are_left_out(collection):
    index, queries, qrels = collection
    some = {"q3": qrels["q3"], "q4": {"d001": 0}, "q5": {"d001": -1}}
    assert Scores.of(index, queries, some).queries == ("q3",)
    with pytest.raises(hybrid.InputError, match="look like 'q0', those of the qrels like '3'"):
        Scores.of(index, queries, {"3": {"d001": 1}})


def test_relevant_documents_that_are_no_candidates_count_as_lost(collection):
    index, queries, _ = collection
    qid, query = queries[0]
    best = index.retrieve(query, 1, branch="dense").ids[0]
    scores = Scores.of(index, [(qid, query)], {qid: {best: 1, "no such document": 1}})
    assert scores.measure([Setting((1,), None, "single branch")], "R@10").tolist() == [[0.5]]


def test_fusions_that_are_no_weighted_sums_are_refused(collection):
    index, queries, qrels = collection
    with pytest.raises(hybrid.InputError, match=r"CombMNZ.* cannot be tuned"):
        Scores.of(index, queries, qrels).measure([Setting((0, 1), hybrid.CombMNZ(), "x")], "RR")


@pytest.mark.parametrize("depth", [0, True, 1.5])
def test_depth_is_checked(collection, depth):
    with pytest.raises(hybrid.InputError, match="depth is"):
        complete(collection[0], ["w1"], depth=depth)


def test_depth_may_be_a_number_of_numpys(collection):
    index, queries, _ = collection
    (found,), (same,) = (complete(index, [queries[0][1]], depth=kind(5)) for kind in (np.int64, int))
    assert found.ids == same.ids


@pytest.mark.parametrize(
    ("options", "what"), [({"steps": 1}, "steps is 1"), ({"normalizers": (), "rrf_k": ()}, "neither")]
)
def test_grids_are_checked(options, what):
    with pytest.raises(hybrid.InputError, match=what):
        Grid(**options)


def test_three_branches_share_the_weight():
    pipeline = hybrid.Pipeline(
        [hybrid.BM25(), hybrid.Dense(dimension=2, name="a"), hybrid.Dense(dimension=2, name="b")]
    )
    grid = Grid(steps=8, normalizers=(hybrid.TM2C2(),), rrf_k=(), k1=())
    found = settings(pipeline, variants(pipeline, grid), grid)
    weights = [tuple(s.fusion.weights.values()) for s in found if s.fusion is not None]
    assert sorted(weights) == [(0.25, 0.25, 0.5), (0.25, 0.5, 0.25), (0.5, 0.25, 0.25)]
    assert [s.columns for s in found[:3]] == [(0,), (1,), (2,)]
