"""Measures from places against ir-measures, and the compiled places against sorting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hybrid
from hybrid.evaluation import Run, evaluate
from hybrid.evaluation.placing import ABSENT, PlaceMeasure, places_alone
from hybrid.kernels.places import places

NAMES = ("nDCG@10", "nDCG", "R@5", "P@3", "AP", "AP@7", "RR", "Success@2")


@pytest.mark.parametrize("name", NAMES)
def test_equal_to_ir_measures(name):
    rng = np.random.default_rng(3)
    measure = PlaceMeasure.parse(name)
    assert str(measure) == name
    for _ in range(60):
        n = int(rng.integers(1, 30))
        ids = [f"{i:02d}" for i in range(n)]
        qrels = {f"{i:02d}": int(rng.integers(-1, 4)) for i in range(n + 5) if rng.random() < 0.4} | {"zz": 1}
        scores = rng.integers(0, 8, n).astype(float)
        expected = evaluate(
            Run("r", {"q": dict(zip(ids, scores.tolist(), strict=True))}), {"q": qrels}, [name]
        )
        relevant = np.array([i for i, id in enumerate(ids) if qrels.get(id, 0) > 0], np.int64)
        grades = np.array([qrels[ids[i]] for i in relevant], np.int64)
        found = places_alone(scores, np.ones(n, bool), relevant)
        ideal = [grade for grade in qrels.values() if grade > 0]
        assert measure.values(found, grades, ideal)[0] == pytest.approx(expected.mean(name), abs=1e-12)


@settings(deadline=None)  # the first call loads compiled code
@given(
    st.integers(1, 4), st.integers(1, 12), st.integers(1, 5), st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_places_are_those_of_sorted_sums(branches, documents, rankings, seed):
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, 4, (branches, documents)) / 4.0
    weights = rng.integers(0, 3, (rankings, branches)) / 2.0
    wanted = np.flatnonzero(rng.random(documents) < 0.5)
    found = places(columns, weights, wanted)
    for ranking in range(rankings):
        sums = np.zeros(documents)
        for branch in range(branches):
            sums += weights[ranking, branch] * columns[branch]
        order = sorted(range(documents), key=lambda d: (-np.float32(sums[d]), d))
        assert found[ranking].tolist() == [order.index(d) + 1 for d in wanted]


def test_a_branch_alone_lacks_what_it_does_not_rank():
    scores = np.array([0.0, 2.0, 0.0, 2.0])
    found = places_alone(scores, scores > 0, np.array([0, 1, 3]))
    assert found.tolist() == [[ABSENT, 1, 2]]
    grades = np.array([1, 1, 2])
    assert PlaceMeasure.parse("RR").values(found, grades, [1, 1, 2]).tolist() == [1.0]
    assert PlaceMeasure.parse("AP").values(found, grades, [1, 1, 2]) == pytest.approx([2 / 3])
    assert PlaceMeasure.parse("R@9").values(found, grades, [1, 1, 2]) == pytest.approx([2 / 3])
    assert PlaceMeasure.parse("nDCG").values(found[:, :1], grades[:1], [1]).tolist() == [0.0]


@pytest.mark.parametrize("name", ["nDCG@0", "P", "R", "Success", "foo@3", "ndcg@10", "nDCG@", "AP@-1", 7])
def test_other_measures_are_refused(name):
    with pytest.raises(hybrid.InputError, match="nDCG@k, R@k"):
        PlaceMeasure.parse(name)
