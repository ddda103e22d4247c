"""A pipeline is a value: it prints itself, compares, and refuses what makes no sense."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

import hybrid
from hybrid import (
    BM25,
    RRF,
    Analyzer,
    CombMNZ,
    Dense,
    FieldWeights,
    Pipeline,
    PipelineError,
    Rerank,
    Weighted,
)
from hybrid.engine.rewriting import NAME as REWRITE
from hybrid.index.documents import PREFIX
from hybrid.index.passages import PREFIX as PASSAGES
from hybrid.pipeline.pipeline import RESERVED

PIPELINES = {
    "default": Pipeline(),
    "lexical": Pipeline([BM25(k1=0.9, b=0.4)], name="lexical"),
    "variants": Pipeline([BM25(variant="bm25+", delta=0.5, name="a"), BM25(analyzer="cjk", name="b")]),
    "analyzer": Pipeline([BM25(analyzer=Analyzer("mine", stopwords=("a", "the"), bigrams=("cjk",)))]),
    "fields": Pipeline([BM25(fields=FieldWeights(title=2.0))], fusion=CombMNZ("tm2c2")),
    "vectors": Pipeline([BM25(), Dense(dimension=3)], fusion=RRF(k=10, weights={"bm25": 2, "dense": 0.5})),
    "model": Pipeline([Dense("bge-m3", name="m3")], fusion=Weighted(weights={"m3": 1.0}, normalizer="l2")),
    "deep": Pipeline(depth=7, max_depth=70, rerank=[Rerank("a", top=20, weight=0.5), Rerank("b")]),
}


# --- printing ----------------------------------------------------------------------------------------


def test_the_default_prints_its_branches_and_its_fusion() -> None:
    assert repr(Pipeline()) == (
        "Pipeline(branches=[BM25(analyzer='english'), Dense(model='all-MiniLM-L6-v2')], "
        "fusion=Weighted(alpha=0.8, normalizer=TM2C2()))"
    )


def test_what_differs_from_the_defaults_is_printed() -> None:
    assert repr(Pipeline([BM25(b=0.4, fields={"title": 2})], fusion=RRF(), depth=7, name="x")) == (
        "Pipeline(branches=[BM25(b=0.4, analyzer='english', fields=FieldWeights(title=2, text=1.0))], "
        "fusion=RRF(k=60), depth=7, name='x')"
    )
    assert repr(Dense(dimension=3)) == "Dense(dimension=3)"
    mine = Analyzer("english", stemmer="german")  # a preset's name, and yet not the preset
    assert repr(BM25(analyzer=mine)) == "BM25(analyzer=Analyzer(name='english', stemmer='german'))"


@pytest.mark.parametrize("name", PIPELINES)
def test_repr_is_short_and_evaluates_back(name: str) -> None:
    pipeline = PIPELINES[name]
    assert len(repr(pipeline)) < 300
    assert eval(repr(pipeline), vars(hybrid).copy()) == pipeline


# --- comparing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PIPELINES)
def test_equal_pipelines_are_equal_and_hash_alike(name: str) -> None:
    pipeline = PIPELINES[name]
    twin = dataclasses.replace(pipeline, branches=[dataclasses.replace(b) for b in pipeline.branches])
    assert twin is not pipeline
    assert twin == pipeline
    assert hash(twin) == hash(pipeline)


def test_different_pipelines_differ() -> None:
    assert len(set(PIPELINES.values())) == len(PIPELINES)
    assert PIPELINES["default"] != Pipeline(branches=[Dense(), BM25()])


@pytest.mark.parametrize(
    "change",
    [
        {"branches": [BM25(), Dense("other")]},
        {"branches": [BM25(k1=1.3), Dense()]},
        {"branches": [BM25(analyzer="simple"), Dense()]},
        {"branches": [BM25(), Dense(name="other")]},
        {"fusion": Weighted(alpha=0.7)},
        {"fusion": Weighted(normalizer="minmax")},
        {"rerank": [Rerank("m")]},
        {"depth": 101},
        {"max_depth": 100},
        {"name": "other"},
    ],
    ids=repr,
)
def test_every_field_counts(change: dict[str, Any]) -> None:
    assert Pipeline(**change) != Pipeline()


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Pipeline().depth = 5  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        Pipeline().dept = 5  # type: ignore[attr-defined]


# --- coercions ---------------------------------------------------------------------------------------


def test_lists_become_tuples() -> None:
    pipeline = Pipeline([BM25()], rerank=[Rerank("m")])
    assert pipeline.branches == (BM25(),)
    assert pipeline.rerank == (Rerank("m"),)


def test_names_become_what_they_name() -> None:
    assert BM25().analyzer is hybrid.analyzer("english")
    assert BM25(analyzer="cjk") == BM25(analyzer=hybrid.analyzer("cjk"))
    assert BM25(fields={"title": 2}).fields == FieldWeights(title=2.0, text=1.0)
    assert Weighted(normalizer="minmax") == Weighted(normalizer=hybrid.MinMax())
    assert Weighted().alpha == 0.8


def test_a_dense_branch_has_the_bundled_model_another_one_or_none() -> None:
    assert Dense().model == "all-MiniLM-L6-v2"
    assert Dense(model=None) == Dense()
    assert Dense("bge-m3").model == "bge-m3"
    external = Dense(dimension=3)
    assert (external.model, external.dimension) == (None, 3)
    assert external == Dense(model=None, dimension=3)


# --- fewer branches ----------------------------------------------------------------------------------


def test_only_keeps_the_order_of_the_pipeline_and_all_else() -> None:
    pipeline = dataclasses.replace(PIPELINES["deep"], branches=[BM25(), Dense(), Dense("m", name="m")])
    assert pipeline.only(("m", "bm25")) == dataclasses.replace(
        pipeline, branches=[BM25(), Dense("m", name="m")]
    )


def test_only_keeps_weights_of_branches_that_are_left_out() -> None:
    assert PIPELINES["vectors"].only(("dense",)).fusion == PIPELINES["vectors"].fusion


def test_only_refuses_unknown_names_and_nothing_at_all() -> None:
    with pytest.raises(PipelineError, match="no branch 'sparse'; the branches are bm25, dense"):
        Pipeline().only(("bm25", "sparse"))
    with pytest.raises(PipelineError, match="at least one branch"):
        Pipeline().only(())


# --- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"branches": []}, "at least one branch, such as BM25() or Dense()"),
        ({"branches": None}, "branches is None; give a list, such as [BM25() or Dense()]"),
        ({"branches": BM25()}, "branches is BM25(analyzer='english'); give a list"),
        ({"branches": "bm25"}, "branches is 'bm25'; give a list"),
        ({"branches": ["bm25"]}, "branches holds 'bm25'; give BM25() or Dense()"),
        ({"branches": [BM25]}, "branches holds <class 'hybrid.branches.bm25.BM25'>; give BM25()"),
        ({"branches": {BM25()}}, "branches is {BM25(analyzer='english')}; give a list"),
        ({"branches": [BM25(), BM25()]}, "two branches have the same name (bm25, bm25); give one of them"),
        ({"branches": [BM25(name="Text")]}, "a branch's name is 'Text'; use lower-case letters"),
        ({"branches": [BM25(name="")]}, "a branch's name is ''"),
        ({"branches": [BM25(name="a/b")]}, "a branch's name is 'a/b'"),
        ({"branches": [BM25(name="a\n")]}, "a branch's name is 'a\\n'"),
        ({"branches": [BM25(name="a" * 65)]}, "a branch's name is 'aaa"),
        ({"branches": [Dense(name=3)]}, "a branch's name is 3"),  # type: ignore[arg-type]
        ({"fusion": "rrf"}, "fusion is 'rrf'; give a fusion such as Weighted() or RRF()"),
        ({"fusion": None}, "fusion is None"),
        ({"fusion": RRF}, "fusion is <class 'hybrid.fusion.rrf.RRF'>"),
        ({"fusion": RRF(weights={"bm25": 1})}, "no weight for branch 'dense'; it has 'bm25'"),
        ({"rerank": None}, "rerank is None; give a list, such as [Rerank('model') or MaxSim('model')]"),
        (
            {"rerank": Rerank("m")},
            "rerank is Rerank(model='m', top=100, weight=1.0, expand=None); give a list",
        ),
        ({"rerank": ["m"]}, "rerank holds 'm'; give Rerank('model')"),
        ({"rerank": [Rerank("m"), Rerank("m", top=5)]}, "two rerank stages have the same name"),
        ({"depth": 0}, "depth is 0; give a whole number of at least 1"),
        ({"depth": 1.5}, "depth is 1.5"),
        ({"depth": True}, "depth is True"),
        ({"depth": None}, "depth is None"),
        ({"depth": "100"}, "depth is '100'"),
        ({"max_depth": 0}, "max_depth is 0; give a whole number of at least 1"),
        ({"name": "My pipeline"}, "the pipeline's name is 'My pipeline'; use lower-case letters, digits, -"),
        ({"name": None}, "the pipeline's name is None"),
        ({"name": "1st"}, "the pipeline's name is '1st'"),
    ],
)
def test_pipelines_that_make_no_sense(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(PipelineError) as error:
        Pipeline(**arguments)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("part", "arguments", "said"),
    [
        (BM25, {"analyzer": None}, "analyzer is None; give a preset's name such as 'english'"),
        (BM25, {"analyzer": "klingon"}, "unknown analyzer 'klingon'; accepted: arabic, armenian,"),
        (BM25, {"fields": 2}, "fields is 2; give a weight for title and text"),
        (BM25, {"fields": (2, 1)}, "fields is (2, 1); give a weight for title and text"),
        (BM25, {"fields": {"body": 2}}, "fields is {'body': 2}; the fields are title and text"),
        (BM25, {"fields": {"title": "2"}}, "the weight of field 'title' is '2'; give a number"),
        (BM25, {"variant": "bm42"}, "variant is 'bm42'; the BM25 variants are 'lucene', 'robertson',"),
        (BM25, {"variant": ["lucene"]}, "variant is ['lucene']"),
        (BM25, {"k1": "1"}, "k1 is '1'; give a number from 0"),
        (BM25, {"b": 1.1}, "b is 1.1; give a number from 0 to 1"),
        (BM25, {"delta": 0.5}, "delta is 0.5, and the variant 'lucene' has no delta"),
        (FieldWeights, {"title": -1}, "the weight of field 'title' is -1; give a number"),
        (FieldWeights, {"text": float("nan")}, "the weight of field 'text' is nan"),
        (FieldWeights, {"text": 10**400}, "the weight of field 'text' is 1000"),
        (FieldWeights, {"title": 0, "text": 0}, "both fields have weight 0; give at least one of them more"),
        (Dense, {"model": "m", "dimension": 3}, "Dense has the model 'm' and the dimension 3; the"),
        (Dense, {"model": ""}, "model is ''; give a model's name"),
        (Dense, {"model": 3}, "model is 3; give a model's name"),
        (Dense, {"dimension": 0}, "dimension is 0; give a whole number of at least 1"),
        (Dense, {"dimension": 2.0}, "dimension is 2.0; give a whole number of at least 1"),
        (Rerank, {"model": ""}, "the model of a rerank stage is ''; give a reranker's name"),
        (Rerank, {"model": "m", "top": 0}, "top is 0; give a whole number of at least 1"),
        (Rerank, {"model": "m", "weight": 1.5}, "weight is 1.5; give a number from 0 to 1"),
        (RRF, {"k": 0}, "k is 0; give a finite number above 0"),
        (RRF, {"k": 10**400}, "k is 1000"),
        (RRF, {"weights": {"bm25": -1}}, "the weight of branch 'bm25' is -1; give a finite number"),
        (RRF, {"weights": {}}, "weights is {}; at least one must be above 0"),
        (RRF, {"weights": [1, 2]}, "weights is [1, 2]; give a mapping from branch names to numbers"),
        (Weighted, {"alpha": 1.1}, "alpha is 1.1; give a finite number from 0 to 1"),
        (Weighted, {"alpha": float("nan")}, "alpha is nan; give a finite number from 0 to 1"),
        (Weighted, {"alpha": 0.5, "weights": {"a": 1}}, "Weighted has alpha 0.5 and weights {'a': 1}"),
        (Weighted, {"normalizer": "softmax"}, "normalizer is 'softmax'; it is one of tm2c2, minmax, zscore,"),
        (CombMNZ, {"normalizer": "raw"}, "CombMNZ cannot use Raw(), which gives scores below 0"),
        (hybrid.ZScore, {"depth": 0}, "depth is 0; give a whole number of at least 1"),
    ],
)  # fmt: skip
def test_parts_that_make_no_sense(part: type[Any], arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(PipelineError) as error:
        part(**arguments)
    assert said in str(error.value)


@pytest.mark.parametrize("name", RESERVED)
def test_branches_cannot_take_names_that_mean_something_else(name: str) -> None:
    with pytest.raises(PipelineError) as error:
        Pipeline([BM25(name=name)])
    assert str(error.value) == (
        f"a branch's name is '{name}'; documents, passages, filter, rewrite, fuse, fused, total are taken, "
        "use any other name"
    )


def test_what_segments_scores_and_timings_are_called_is_reserved(tmp_path: Path) -> None:
    branches = [BM25(analyzer="simple", name="words"), Dense(dimension=2, name="vectors")]
    vectors = {"vectors": [1.0, 2.0]}
    document = hybrid.Document("1", "one", vectors=vectors)
    with hybrid.create(tmp_path / "index", [document], Pipeline(branches)) as index:
        result = index.search(hybrid.Query("one", vectors=vectors))
    own = {"words", "words.encode", "vectors", "vectors.encode"}
    assert {PREFIX, PASSAGES, REWRITE} | {*result.timings, *result[0].scores} - own == set(RESERVED)
