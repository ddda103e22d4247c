"""Fusions and normalisers as values: how they print, compare, hash, and refuse nonsense."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import hybrid.fusion
from hybrid.errors import PipelineError
from hybrid.fusion import (
    DBSF,
    FUSIONS,
    L2,
    NORMALIZERS,
    RRF,
    TM2C2,
    CombMAX,
    CombMNZ,
    CombSUM,
    MinMax,
    Raw,
    Weighted,
    ZScore,
)

SPELT = {
    "RRF(k=60)": RRF(),
    "RRF(k=0.5)": RRF(k=np.float64(0.5)),
    "RRF(k=7)": RRF(k=np.int64(7)),
    "RRF(k=60, weights={'a': 2.0, 'b': 0.5})": RRF(weights={"b": np.float32(0.5), "a": 2}),
    "Weighted(alpha=0.8, normalizer=TM2C2())": Weighted(),
    "Weighted(alpha=1.0, normalizer=MinMax(depth=5))": Weighted(alpha=1, normalizer=MinMax(np.int32(5))),
    "Weighted(weights={'a': 1.0}, normalizer=Raw())": Weighted(weights={"a": 1}, normalizer="raw"),
    "CombSUM(normalizer=MinMax(depth=None))": CombSUM(),
    "CombMNZ(normalizer=TM2C2())": CombMNZ("tm2c2"),
    "CombMAX(normalizer=ZScore(depth=100))": CombMAX("zscore"),
    "DBSF(depth=100)": DBSF(),
    "L2(depth=3)": L2(depth=3),
}


@pytest.mark.parametrize(("spelling", "value"), SPELT.items())
def test_a_value_prints_the_python_that_makes_it(spelling, value):
    assert repr(value) == spelling
    made = eval(spelling, vars(hybrid.fusion))
    assert made == value
    assert hash(made) == hash(value)


@pytest.mark.parametrize("value", SPELT.values(), ids=repr)
def test_a_value_can_be_copied_but_not_changed(value):
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == dataclasses.replace(value) == value
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, 1)


def test_all_of_them_differ():
    values = [*SPELT.values(), *(kind() for kind in NORMALIZERS.values()), RRF(k=61), Weighted(alpha=0.7)]
    assert len({*map(repr, values)}) == len(set(values))
    assert CombSUM(TM2C2()) != CombMAX(TM2C2())


def test_weights_are_a_mapping_that_cannot_be_changed():
    given = {"b": 1, "a": 2}
    fusion = RRF(weights=given)
    given["c"] = 9
    assert dict(fusion.weights) == {"a": 2.0, "b": 1.0}
    assert list(fusion.weights) == ["a", "b"]
    assert len(fusion.weights) == 2
    assert fusion.weights["b"] == 1.0
    assert fusion == RRF(weights={"a": 2.0, "b": 1.0}) != RRF(weights={"a": 2})
    assert hash(fusion) == hash(RRF(weights={"a": 2.0, "b": 1.0}))
    with pytest.raises(KeyError):
        fusion.weights["c"]
    with pytest.raises(TypeError):
        fusion.weights["a"] = 3


@pytest.mark.parametrize("make", [RRF, Weighted])
@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({"a": -1}, "weight of branch 'a' is -1; give a finite number of at least 0"),
        ({"a": float("nan")}, "weight of branch 'a' is nan"),
        ({"b": 1, "a": float("inf")}, "weight of branch 'a' is inf"),
        ({"a": 10**400}, "weight of branch 'a' is 1000"),
        ({"a": True}, "weight of branch 'a' is True"),
        ({"a": "1"}, "weight of branch 'a' is '1'"),
        ({"a": 0, "b": 0.0}, "at least one must be above 0"),
        ({}, "at least one must be above 0"),
        ({1: 1}, "weights has the key 1; keys are names of branches"),
        ([("a", 1)], "give a mapping from branch names to numbers"),
        ("a", "give a mapping from branch names to numbers"),
    ],
)
def test_weights_that_are_refused(make, weights, says):
    with pytest.raises(PipelineError, match=says):
        make(weights=weights)


@pytest.mark.parametrize("make", [MinMax, ZScore, DBSF, L2])
@pytest.mark.parametrize("depth", [0, -1, 2.0, True, "3", float("nan")])
def test_depth_must_be_a_whole_number(make, depth):
    with pytest.raises(PipelineError, match=r"depth is .*; give a whole number of at least 1"):
        make(depth=depth)


@pytest.mark.parametrize("make", [CombSUM, CombMAX, CombMNZ, lambda n: Weighted(normalizer=n)])
@pytest.mark.parametrize("normalizer", ["max", "MinMax", "", None, 3, ["raw"], MinMax])
def test_a_normalizer_must_be_one(make, normalizer):
    with pytest.raises(PipelineError, match=r"one of tm2c2, minmax, zscore, dbsf, l2, raw, or a value such"):
        make(normalizer)


def test_the_names_of_recipes():
    assert {
        "rrf": RRF,
        "weighted": Weighted,
        "combsum": CombSUM,
        "combmnz": CombMNZ,
        "combmax": CombMAX,
    } == FUSIONS
    assert {name: kind() for name, kind in NORMALIZERS.items()} == {
        "tm2c2": TM2C2(),
        "minmax": MinMax(),
        "zscore": ZScore(depth=100),
        "dbsf": DBSF(depth=100),
        "l2": L2(depth=100),
        "raw": Raw(),
    }
    assert [Weighted(normalizer=name).normalizer for name in NORMALIZERS] == [
        k() for k in NORMALIZERS.values()
    ]
