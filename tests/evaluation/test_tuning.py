"""Tuning whole: the recipe that comes out, and the sentence."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid
from hybrid.evaluation import Grid, evaluate, tune
from tests.evaluation.searching import searched

SMALL = Grid(steps=5, normalizers=(hybrid.TM2C2(),), rrf_k=(60,), k1=(0.9,), b=(0.4,))


def measured(index, pipeline, queries, qrels):
    return evaluate(searched(index, pipeline, queries)[0], qrels).mean("nDCG@10")


def test_fusion_where_it_helps(collection):
    index, queries, qrels = collection
    tuned = tune(index, queries, qrels, grid=SMALL)
    assert isinstance(tuned.pipeline.fusion, hybrid.Weighted | hybrid.RRF)
    assert len(tuned.pipeline.branches) == 2
    assert tuned.held_out > tuned.best_branch_mean + 0.03
    assert tuned.gain.significant
    assert tuned.interval.low < tuned.held_out < tuned.interval.high
    assert tuned.sentence.startswith("Ship ")
    assert tuned.fitted == pytest.approx(measured(index, tuned.pipeline, queries, qrels), abs=1e-12)
    assert hybrid.parse_recipe(hybrid.format_recipe(tuned.pipeline)) == tuned.pipeline
    assert tuned.settings == sum(family.settings for family in tuned.families) == 2 + 1 + 4 + 4 + 4


def test_a_single_branch_where_the_other_knows_nothing(collection):
    index, queries, qrels = collection
    rng = np.random.default_rng(0)
    blind = [
        (qid, hybrid.Query(q.text, {"dense": rng.permutation(-np.array(q.vectors["dense"])).tolist()}))
        for qid, q in queries
    ]
    tuned = tune(index, blind, qrels, grid=SMALL)
    assert [branch.name for branch in tuned.pipeline.branches] == ["bm25"]
    assert tuned.best_branch == "bm25"
    assert "bm25 alone" in tuned.sentence
    assert tuned.held_out >= tuned.best_branch_mean - 0.003
    assert tuned.fitted == pytest.approx(measured(index, tuned.pipeline, blind, qrels), abs=1e-12)


def test_the_same_seed_gives_the_same_answer(collection):
    index, queries, qrels = collection
    first, second = (tune(index, queries, qrels, grid=SMALL) for _ in range(2))
    assert (first.sentence, first.held_out, first.pipeline) == (
        second.sentence,
        second.held_out,
        second.pipeline,
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"measure": "foo"}, "the measure to tune is 'foo'"),
        ({"depth": 0}, "depth is 0"),
        ({"folds": 20}, "needs at least 400"),
    ],
)
def test_wrong_use(collection, options, what):
    index, queries, qrels = collection
    with pytest.raises(hybrid.InputError, match=what):
        tune(index, queries, qrels, grid=SMALL, **options)


def test_one_branch_has_only_its_parameters_to_tune(tmp_path, collection):
    index, queries, qrels = collection
    pipeline = index.pipeline.only(("bm25",))
    with hybrid.open(index.path, pipeline=pipeline) as reader:
        tuned = tune(reader, [(qid, q.text) for qid, q in queries], qrels, grid=SMALL)
    assert [family.name for family in tuned.families] == ["single branch", "single branch, BM25 tuned"]
    assert tuned.pipeline.branches[0].name == "bm25"
