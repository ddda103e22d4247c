"""Measures against trec_eval itself (pytrec_eval), and against values worked by hand."""

from __future__ import annotations

import math
import random

import ir_measures
import numpy as np
import pytest
import pytrec_eval

import hybrid
from hybrid.evaluation import Run, evaluate, parse_measures

TREC = {
    "nDCG@10": "ndcg_cut_10",
    "nDCG": "ndcg",
    "R@100": "recall_100",
    "R@5": "recall_5",
    "P@5": "P_5",
    "AP": "map",
    "AP@100": "map_cut_100",
    "RR": "recip_rank",
    "Success@5": "success_5",
    "Rprec": "Rprec",
    "Bpref": "bpref",
}
QRELS = {"q1": {"a": 2, "b": 1, "x": 0}, "q2": {"c": 1}, "q3": {"d": 0}}


def made_up(seed: int) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """Return a run and qrels with many ties, missing and unjudged queries, and graded gains."""
    rng = random.Random(seed)
    documents = [f"{n:03d}" for n in range(120)]
    run = {
        f"q{n}": {d: float(rng.randint(0, 9)) for d in rng.sample(documents, rng.randint(1, 110))}
        for n in range(rng.randint(3, 12))
        if rng.random() < 0.8
    }
    qrels = {
        f"q{n}": {d: rng.choice([0, 0, 1, 1, 2, 3]) for d in rng.sample(documents, rng.randint(1, 25))}
        for n in range(2, 14)
        if rng.random() < 0.8
    }
    run["q99"], qrels["q99"] = {"000": 1.0, "001": 1.0}, {"001": 1}  # one that is in both, in any case
    return run, qrels


@pytest.mark.parametrize("seed", range(40))
def test_equal_to_trec_eval(seed):
    """trec_eval breaks ties by the reverse order of ids; with ids turned round its order is ours."""
    run, qrels = made_up(seed)

    def turned(table):
        return {q: {f"{999 - int(d):03d}": value for d, value in found.items()} for q, found in table.items()}

    theirs = pytrec_eval.RelevanceEvaluator(turned(qrels), set(TREC.values())).evaluate(turned(run))
    ours = evaluate(Run("r", run), qrels, list(TREC))
    assert ours.queries == tuple(qrels)
    assert set(ours.missing) == set(qrels) - set(run)
    assert ours.unjudged == len(set(run) - set(qrels))
    for name, trec in TREC.items():
        expected = [theirs[q][trec] if q in theirs else 0.0 for q in qrels]
        assert ours.values[name].tolist() == expected, name


@pytest.mark.parametrize("seed", range(5))
def test_measures_that_trec_eval_lacks(seed):
    run, qrels = made_up(seed)
    found = evaluate(Run("r", run), qrels, ["RR@10", "Judged@10"])
    for n, query in enumerate(found.queries):
        ranking = sorted(run.get(query, {}), key=lambda d: (-run[query][d], d))[:10]
        first = next((place for place, d in enumerate(ranking, 1) if qrels[query].get(d, 0) > 0), math.inf)
        judged = sum(d in qrels[query] for d in ranking)
        assert found.values["RR@10"][n] == pytest.approx(1 / first)
        assert found.values["Judged@10"][n] == (judged / len(ranking) if ranking else 0.0)


def test_by_hand():
    run = Run("r", {"q1": {"x": 3.0, "a": 2.0, "b": 2.0, "z": 1.0}, "q3": {"d": 1.0}, "q9": {"a": 1.0}})
    found = evaluate(run, QRELS, ["nDCG@10", "P@5", "RR", "Judged@10"])
    ideal = 2 + 1 / math.log2(3)
    first = (2 / math.log2(3) + 1 / math.log2(4)) / ideal
    assert found.values["nDCG@10"] == pytest.approx([first, 0, 0])
    assert found.values["P@5"].tolist() == [2 / 5, 0, 0]
    assert found.values["RR"].tolist() == [1 / 2, 0, 0]
    assert found.values["Judged@10"].tolist() == [3 / 4, 0, 1]
    assert found.mean("nDCG@10") == pytest.approx(first / 3)
    assert (found.missing, found.unjudged) == (("q2",), 1)
    low, high = found.interval("nDCG@10")
    assert 0 <= low < first / 3 < high <= first


def test_ties_and_digits_beyond_float32_count():
    close = {"b": 1.0 + 1e-12, "a": 1.0}  # float32 cannot tell them apart, and trec_eval would not
    assert evaluate(Run("r", {"q": close}), {"q": {"b": 1}}, ["RR"]).mean("RR") == 1.0
    tied = {"b": 1.0, "a": 1.0}
    assert evaluate(Run("r", {"q": tied}), {"q": {"b": 1}}, ["RR"]).mean("RR") == 0.5


def test_a_query_without_results_counts_zero():
    found = evaluate(Run("r", {"q1": {}, "q2": {"c": 1.0}}), QRELS, ["RR", "Judged@10"])
    assert found.values["RR"].tolist() == [0, 1, 0]
    assert found.missing == ("q1", "q3")


def test_our_results_are_those_of_ir_measures_where_nothing_ties():
    rng = np.random.default_rng(3)
    run = {f"q{n}": {str(d): float(s) for d, s in enumerate(rng.random(50))} for n in range(9)}
    qrels = {f"q{n}": {str(d): int(rng.integers(0, 3)) for d in range(0, 50, 4)} for n in range(9)}
    names = ["nDCG@10", "AP", "RR@10", "R@20", "Judged@10", "Success@1"]
    theirs = ir_measures.calc_aggregate([ir_measures.parse_measure(n) for n in names], qrels, run)
    ours = evaluate(Run("r", run), qrels, names)
    assert {n: ours.mean(n) for n in names} == pytest.approx({str(m): v for m, v in theirs.items()})


@pytest.mark.parametrize("name", ["", "nonsense", "nDCG@x", "Success", "P", "AP RR", "f('os')"])
def test_unknown_measures_are_refused(name):
    with pytest.raises(hybrid.InputError, match="nDCG@10, R@100"):
        parse_measures([name])


def test_measures_are_a_list():
    with pytest.raises(hybrid.InputError, match=r"give a list: \['AP'\]"):
        parse_measures("AP")
    with pytest.raises(hybrid.InputError, match="no measure"):
        parse_measures([])


@pytest.mark.parametrize(
    ("run", "qrels", "what"),
    [
        ({"1": {"d": 1.0}}, {}, "the qrels are empty"),
        ({"1": {"d": 1.0}}, {1: {"d": 1}}, "query id 1 of the qrels is of type int"),
        ({"1": {"d": 1.0}}, {"1": {2: 1}}, "document id 2 of the qrels is of type int"),
        ({"1": {"d": 1.0}}, {"q1": {"d": 1}}, "look like '1', those of the qrels like 'q1'"),
    ],
)
def test_ids_that_cannot_belong_together(run, qrels, what):
    with pytest.raises(hybrid.InputError, match=what):
        evaluate(Run("r", run), qrels)
