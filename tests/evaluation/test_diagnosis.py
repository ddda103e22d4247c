"""Diagnoses against plain loops over what each branch returns."""

from __future__ import annotations

from dataclasses import replace

import pytest

import hybrid
from hybrid.evaluation import Run, diagnose, evaluate
from tests.evaluation.searching import searched


@pytest.fixture(scope="module")
def found(collection):
    index, queries, qrels = collection
    return diagnose(index, queries, qrels, depths=(5, 20))


def test_each_branch_alone_and_the_union(found, collection):
    index, queries, qrels = collection
    lists = {
        name: {qid: index.retrieve(query, 20, branch=name).ids for qid, query in queries}
        for name in ("bm25", "dense")
    }

    def recall(depth, *names):
        return sum(
            len(set().union(*(lists[name][qid][:depth] for name in names)) & qrels[qid].keys())
            / len(qrels[qid])
            for qid in qrels
        ) / len(qrels)

    for branch in found.branches:
        pipeline = index.pipeline.only((branch.name,))
        run = searched(index, pipeline, queries)[0]
        assert branch.mean == pytest.approx(evaluate(run, qrels).mean("nDCG@10"), abs=1e-12)
        assert branch.interval.low < branch.mean < branch.interval.high
        assert branch.recall == pytest.approx({d: recall(d, branch.name) for d in (5, 20)})
        ranks = {q: {d: -n for n, d in enumerate(ids)} for q, ids in lists[branch.name].items()}
        judged = evaluate(Run("r", ranks), qrels, ["Judged@10"]).mean("Judged@10")
        assert branch.judged == pytest.approx(judged)
    assert found.union_recall == pytest.approx({d: recall(d, "bm25", "dense") for d in (5, 20)})
    assert found.union_recall[20] > max(branch.recall[20] for branch in found.branches)


def test_one_setting_for_all_and_one_for_each(found, collection):
    index, queries, qrels = collection
    assert len(found.curve) == 19
    point = found.curve[8]
    run = searched(index, replace(index.pipeline, fusion=point.fusion), queries)[0]
    assert point.mean == pytest.approx(evaluate(run, qrels).mean("nDCG@10"), abs=1e-12)
    means = [point.mean for point in found.curve] + [branch.mean for branch in found.branches]
    assert found.best_fixed == max(means)
    assert found.oracle > found.best_fixed


def test_where_branches_disagree(found):
    gaps = [one.gap for one in found.disagreements]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.5
    first = found.disagreements[0]
    assert set(first.values) == {"bm25", "dense"}


def test_doubts_are_said(found, collection):
    assert any("are judged" in warning for warning in found.warnings)
    index, queries, qrels = collection
    few = diagnose(index, queries[:10], qrels)
    assert any("10 queries tell large differences only" in warning for warning in few.warnings)


@pytest.mark.parametrize("depths", [(), (0,), (True,), (1.5,)])
def test_depths_are_checked(collection, depths):
    with pytest.raises(hybrid.InputError, match="depths is"):
        diagnose(*collection, depths=depths)
