"""Recipes: every pipeline survives the way through TOML and JSON, and every mistake is named."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hybrid
from hybrid import (
    BM25,
    Analyzer,
    Dense,
    FieldWeights,
    Passages,
    Pipeline,
    PipelineError,
    Recursive,
    Rerank,
    Sentences,
)
from hybrid.fusion import NORMALIZERS
from hybrid.pipeline import (
    format_recipe,
    from_dict,
    from_stored,
    parse_recipe,
    read_recipe,
    to_dict,
    write_recipe,
)
from hybrid.pipeline.pipeline import RESERVED
from hybrid.text.alphabet import SCRIPTS
from hybrid.text.normalize import ORTHOGRAPHIES
from hybrid.text.stemming import stemmer_names
from hybrid.text.stopwords import stopword_languages
from hybrid.text.tokens import TOKENIZERS

RECIPES = sorted((Path(__file__).resolve().parents[2] / "indexes" / "recipes").glob("*.toml"))

# --- the recipes of this repository ------------------------------------------------------------------


def test_the_recipes_are_found() -> None:
    assert {"default", "bm25", "rrf", "code", "cjk"} <= {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_of_the_repository_parse_and_round_trip(path: Path) -> None:
    pipeline = read_recipe(path)
    assert parse_recipe(format_recipe(pipeline)) == pipeline
    assert from_dict(json.loads(json.dumps(to_dict(pipeline)))) == pipeline


def test_every_recipe_has_a_name_of_its_own() -> None:
    names = [read_recipe(path).name for path in RECIPES]
    assert sorted(set(names)) == sorted(names)


def test_the_default_recipe_is_the_default_pipeline() -> None:
    (path,) = (path for path in RECIPES if path.stem == "default")
    assert read_recipe(path) == Pipeline()


# --- writing -----------------------------------------------------------------------------------------


def test_a_written_recipe_holds_every_value() -> None:
    pipeline = Pipeline(rerank=[Rerank("m", top=5)], max_depth=1000)
    assert (
        format_recipe(pipeline)
        == """\
name = "hybrid"
depth = 100
max_depth = 1000

[passages]
best = 2
aggregate = "mean"
words = 200
cut = "long"
context = 0
opening = true

[passages.chunker]
type = "recursive"
overlap = 0

[[branches]]
type = "bm25"
k1 = 1.2
b = 0.75
variant = "lucene"
analyzer = "english"
name = "bm25"

[[branches]]
type = "dense"
model = "all-MiniLM-L6-v2"
name = "dense"

[fusion]
type = "weighted"
alpha = 0.8
normalizer = "tm2c2"

[[rerank]]
type = "rerank"
model = "m"
top = 5
weight = 1.0
"""
    )


def test_tables_inside_a_branch() -> None:
    branches = [BM25(fields=FieldWeights(title=2.0)), BM25(analyzer=Analyzer("mine"), name="b")]
    text = format_recipe(Pipeline(branches, fusion=hybrid.RRF(weights={"bm25": 1, "b": 2})))
    assert "\n[[branches]]\ntype = " in text
    assert "\n[branches.fields]\ntitle = 2.0\ntext = 1.0\n\n[[branches]]\n" in text
    assert '\n[branches.analyzer]\nname = "mine"\n' in text
    assert text.endswith('[fusion]\ntype = "rrf"\nk = 60\n\n[fusion.weights]\nb = 2.0\nbm25 = 1.0\n')


def test_plain_values() -> None:
    analyzer = Analyzer("mine", stopwords=("a",), bigrams=("cjk",))
    branches = [BM25(analyzer=analyzer, fields={"title": 2}), Dense(dimension=3)]
    fusion = hybrid.RRF(weights={"dense": 2, "bm25": 1})
    assert to_dict(Pipeline(branches, fusion=fusion, name="x")) == {
        "name": "x",
        "branches": [
            {
                "type": "bm25",
                "k1": 1.2,
                "b": 0.75,
                "variant": "lucene",
                "analyzer": {
                    "name": "mine",
                    "tokenizer": "words",
                    "stopwords": ["a"],
                    "stemmer": "none",
                    "fold_accents": False,
                    "bigrams": ["cjk"],
                    "orthography": "default",
                },
                "fields": {"title": 2, "text": 1.0},
                "name": "bm25",
            },
            {"type": "dense", "dimension": 3, "name": "dense"},
        ],
        "fusion": {"type": "rrf", "k": 60, "weights": {"bm25": 1.0, "dense": 2.0}},
        "rerank": [],
        "depth": 100,
        "passages": {
            "chunker": {"type": "recursive", "overlap": 0},
            "best": 2,
            "aggregate": "mean",
            "words": 200,
            "cut": "long",
            "context": 0,
            "opening": True,
        },
    }


def test_documents_left_whole_are_written_as_such() -> None:
    whole = Pipeline(passages=None)
    assert "\npassages = false\n" in format_recipe(whole)
    assert parse_recipe(format_recipe(whole)) == whole != Pipeline()
    assert from_stored({key: value for key, value in to_dict(whole).items() if key != "passages"}) == whole


def test_a_branch_may_have_passages_of_its_own() -> None:
    pipeline = Pipeline([BM25(), Dense("m", passages=Passages(Sentences(3), best=2))])
    text = format_recipe(pipeline)
    assert "\n[branches.passages]\nbest = 2\n" in text
    assert '\n[branches.passages.chunker]\ntype = "sentences"\ncount = 3\n' in text
    assert parse_recipe(text) == pipeline


def test_a_normalizer_with_parameters_is_a_table() -> None:
    fusion = hybrid.CombSUM(hybrid.MinMax(depth=50))
    assert to_dict(Pipeline(fusion=fusion))["fusion"] == {
        "type": "combsum",
        "normalizer": {"type": "minmax", "depth": 50},
    }


def test_files(tmp_path: Path) -> None:
    pipeline = Pipeline([BM25(analyzer=Analyzer("mine", stopwords=("ß", "漢", 'a"\n')))])
    write_recipe(pipeline, tmp_path / "recipe.toml")
    assert read_recipe(tmp_path / "recipe.toml") == pipeline
    assert read_recipe(str(tmp_path / "recipe.toml")) == pipeline


def test_a_foreign_part_cannot_be_written() -> None:
    class Other(hybrid.RRF):
        """A fusion that recipes do not know."""

    with pytest.raises(
        PipelineError, match=r"a recipe cannot hold .*Other.*; it can hold RRF, Weighted, Comb"
    ):
        to_dict(Pipeline(fusion=Other()))

    class Searcher:
        """A branch that is not even a dataclass."""

        name, kind, encode_documents = "searcher", "dense", None

    with pytest.raises(PipelineError, match=r"hold .*Searcher.*; it can hold BM25, Sparse, Dense"):
        to_dict(Pipeline([Searcher()]))  # type: ignore[list-item]


# --- any pipeline ------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True).filter(lambda name: name not in RESERVED)
ANALYZERS = st.sampled_from(hybrid.analyzer_names()) | st.builds(
    Analyzer,
    name=st.text(min_size=1) | st.sampled_from(hybrid.analyzer_names()),
    tokenizer=st.sampled_from(TOKENIZERS),
    stopwords=st.sampled_from(("none", *stopword_languages())) | st.lists(st.text()).map(tuple),
    stemmer=st.sampled_from(("none", *stemmer_names())),
    fold_accents=st.booleans(),
    bigrams=st.lists(st.sampled_from(sorted(SCRIPTS)), unique=True).map(tuple),
    orthography=st.sampled_from(ORTHOGRAPHIES),
)
NUMBERS = st.floats(0, 100) | st.integers(0, 100)
POSITIVE = st.integers(1, 2**40)
FIELDS = st.none() | st.builds(FieldWeights, title=NUMBERS, text=st.floats(0.01, 10))
DELTAS = {"lucene": st.none(), "robertson": st.none(), "atire": st.none()}


@st.composite
def bm25(draw: st.DrawFn, name: str) -> BM25:
    variant = draw(st.sampled_from(("lucene", "robertson", "atire", "bm25l", "bm25+")))
    return BM25(
        k1=draw(NUMBERS),
        b=draw(st.floats(0, 1)),
        variant=variant,
        delta=draw(DELTAS.get(variant, st.none() | NUMBERS)),
        analyzer=draw(ANALYZERS),
        fields=draw(FIELDS),
        name=name,
    )


PASSAGES = st.none() | st.builds(
    Passages,
    chunker=st.builds(Recursive, st.none() | st.integers(9, 500), overlap=st.integers(0, 8))
    | st.builds(Sentences, st.integers(2, 9), st.just(1)),
    best=st.integers(1, 9),
    aggregate=st.sampled_from(("mean", "sum")),
    cut=st.sampled_from(("all", "long", "none")),
)


def dense(name: str) -> st.SearchStrategy[Dense]:
    models = st.builds(Dense, model=st.text(min_size=1), name=st.just(name), passages=PASSAGES)
    return models | st.builds(Dense, dimension=POSITIVE, name=st.just(name))


DEEP = st.sampled_from((hybrid.MinMax, hybrid.ZScore, hybrid.DBSF, hybrid.L2)).flatmap(
    lambda kind: st.builds(kind, depth=POSITIVE)
)
NORMALIZER_VALUES = st.sampled_from(sorted(NORMALIZERS)) | DEEP
WEIGHTS = st.floats(0, 1e6) | st.integers(0, 1000)


def fusions(names: list[str]) -> st.SearchStrategy[Any]:
    """Fusions of branches of these names; weights may name others besides."""
    weights = st.builds(
        lambda first, own, others: {**others, **own, names[0]: first},
        st.floats(0.01, 10),
        st.fixed_dictionaries(dict.fromkeys(names, WEIGHTS)),
        st.dictionaries(st.text(), WEIGHTS, max_size=2),
    )
    return st.one_of(
        st.builds(hybrid.RRF, k=st.floats(0.1, 1000) | POSITIVE, weights=st.none() | weights),
        st.builds(hybrid.Weighted, alpha=st.none() | st.floats(0, 1), normalizer=NORMALIZER_VALUES),
        st.builds(hybrid.Weighted, weights=weights, normalizer=NORMALIZER_VALUES),
        st.builds(hybrid.CombSUM, NORMALIZER_VALUES),
        st.builds(hybrid.CombMAX, NORMALIZER_VALUES),
        st.builds(hybrid.CombMNZ, st.sampled_from(("tm2c2", "minmax"))),
    )


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    models = draw(st.lists(st.text(min_size=1), max_size=2, unique=True))
    return Pipeline(
        branches=[draw(bm25(name) | dense(name)) for name in names],
        fusion=draw(fusions(names)),
        rerank=[draw(st.builds(Rerank, st.just(m), top=POSITIVE, weight=st.floats(0, 1))) for m in models],
        depth=draw(POSITIVE),
        max_depth=draw(st.none() | POSITIVE),
        name=draw(NAMES),
        passages=draw(PASSAGES),
    )


@given(pipelines())
@settings(max_examples=200, deadline=None)
def test_any_pipeline_round_trips(pipeline: Pipeline) -> None:
    text = format_recipe(pipeline)
    read = parse_recipe(text)
    assert read == pipeline
    assert hash(read) == hash(pipeline)
    assert format_recipe(read) == text
    assert parse_recipe(text.encode().decode()) == pipeline
    assert from_dict(json.loads(json.dumps(to_dict(pipeline)))) == pipeline
    assert eval(repr(pipeline), vars(hybrid).copy()) == pipeline


# --- mistakes ----------------------------------------------------------------------------------------

BRANCH = '[[branches]]\ntype = "bm25"\n'
FUSION = BRANCH + '[fusion]\ntype = "weighted"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # not TOML
        ("name =", ["the recipe is not TOML", "at end of document"]),
        (BRANCH + 'type = "dense"', ["the recipe is not TOML", "Cannot overwrite a value"]),
        ("depth = " + "9" * 5000, ["the recipe is not TOML"]),
        ("depth = " + "[" * 5000, ["the recipe is not TOML"]),
        # unknown fields
        ("dept = 5", ["the recipe has the unknown field 'dept'", "branches, fusion, rerank, depth"]),
        (BRANCH + "k = 1", ["a branch of type 'bm25' has the unknown field 'k'", "k1, b, variant"]),
        (BRANCH + "kind = 'sparse'", ["a branch of type 'bm25' has the unknown field 'kind'"]),
        ("[[branches]]\ntype = 'dense'\nk1 = 1", ["of type 'dense'", "'k1'", "model, dimension, name"]),
        (FUSION + "k = 60", ["fusion of type 'weighted' has the unknown field 'k'", "alpha, weights"]),
        (FUSION + "normalizer = {type = 'l2', k = 1}", ["normalizer of type 'l2'", "'k'", "are depth"]),
        (FUSION + "normalizer = {type = 'raw', k = 1}", ["normalizer of type 'raw'", "its fields are none"]),
        (BRANCH + "analyzer = {stem = 'x'}", ["analyzer in a branch of type 'bm25'", "'stem'", "stopwords"]),
        (BRANCH + "fields = {body = 2}", ["fields is {'body': 2}", "title and text"]),
        (
            "[[rerank]]\ntype = 'rerank'\nmodel = 'm'\nk = 3",
            ["a rerank stage of type 'rerank' has", "field 'k'", "model, top, weight"],
        ),
        # types: unknown, missing, of a wrong type
        ("[[branches]]\ntype = 'bm52'", ["the type of a branch is 'bm52'", "bm25, sparse, dense"]),
        ("[[branches]]\nk1 = 1", ["the type of a branch is None", "bm25, sparse, dense"]),
        ("[[branches]]\ntype = ['bm25']", ["the type of a branch is ['bm25']", "bm25, sparse, dense"]),
        ("[fusion]\ntype = 'sum'", ["the type of fusion is 'sum'", "rrf, weighted, combsum, combmnz"]),
        ("[fusion]\nk = 60", ["the type of fusion is None", "rrf, weighted"]),
        ("[fusion]\ntype = {rrf = 1}", ["the type of fusion is {'rrf': 1}", "rrf, weighted"]),
        (FUSION + "normalizer = {type = 'x'}", ["the type of normalizer is 'x'", "tm2c2, minmax, zscore"]),
        (FUSION + "normalizer = {}", ["the type of normalizer is None", "tm2c2, minmax, zscore"]),
        (FUSION + "normalizer = 'x'", ["normalizer is 'x'", "tm2c2, minmax, zscore, dbsf, l2, raw"]),
        # tables that are none
        ("branches = 'bm25'", ["branches is 'bm25'", "[[branches]] tables"]),
        ("branches = {type = 'bm25'}", ["branches is {'type': 'bm25'}", "[[branches]] tables"]),
        ("branches = ['bm25']", ["a branch is 'bm25'", "bm25, sparse, dense"]),
        ("fusion = 'rrf'", ["fusion is 'rrf'", "a table with a type: rrf, weighted"]),
        ("[[fusion]]\ntype = 'rrf'", ["fusion is [{'type': 'rrf'}]", "a table with a type"]),
        ("rerank = 'm'", ["rerank is 'm'", "[[rerank]] tables"]),
        ("rerank = ['m']", ["a rerank stage is 'm'", "rerank, maxsim"]),
        # what is missing, and what does not go together
        ("branches = []", ["at least one branch", "BM25() or Dense()"]),
        (BRANCH + BRANCH, ["two branches have the same name (bm25, bm25)", "another name="]),
        (BRANCH + "name = 'documents'", ["a branch's name is 'documents'", "are taken"]),
        ("[[rerank]]\ntype = 'rerank'\ntop = 5", ["a rerank stage of type 'rerank' has no model"]),
        ("[[rerank]]\nmodel = 'm'", ["the type of a rerank stage is None", "rerank, maxsim"]),
        (FUSION + "weights = {dense = 1}", ["no weight for branch 'bm25'", "'dense'"]),
        ("[[branches]]\ntype = 'dense'\nmodel = 'm'\ndimension = 3", ["the model 'm' and the dimension 3"]),
        # values
        ("name = 3", ["the pipeline's name is 3", "lower-case letters"]),
        ("depth = 1.5", ["depth is 1.5", "whole number of at least 1"]),
        ("max_depth = 2020-01-01", ["max_depth is datetime.date(2020, 1, 1)", "whole number"]),
        (BRANCH + "k1 = 'high'", ["k1 is 'high'", "a number from 0"]),
        (BRANCH + "b = nan", ["b is nan", "a number from 0 to 1"]),
        (BRANCH + "variant = 'okapi'", ["variant is 'okapi'", "lucene", "robertson", "atire", "bm25+"]),
        (BRANCH + "analyzer = 'klingon'", ["unknown analyzer 'klingon'", "accepted: arabic", "english"]),
        (BRANCH + "analyzer = ['english']", ["analyzer is ('english',)", "a preset's name such as"]),
        (BRANCH + "analyzer = {stemmer = 'x'}", ["unknown analyzer stemmer 'x'", "english"]),
        (BRANCH + "analyzer = {fold_accents = 1}", ["fold_accents", "1", "true or false"]),
        (BRANCH + "analyzer = {stopwords = [1]}", ["stopwords", "(1,)", "strings"]),
        (BRANCH + "fields = [2, 1]", ["fields is (2, 1)", "title and text"]),
        (BRANCH + "fields = {title = true}", ["'title' is True", "a number"]),
        (FUSION + "alpha = 2", ["alpha is 2", "from 0 to 1"]),
        (FUSION + "alpha = 'half'", ["alpha is 'half'", "from 0 to 1"]),
        (FUSION + "weights = [1]", ["weights is (1,)", "a mapping"]),
        (FUSION + "weights = {bm25 = inf}", ["'bm25' is inf", "number of at least 0"]),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_what_is_accepted(text: str, said: list[str]) -> None:
    with pytest.raises(PipelineError) as error:
        parse_recipe(text)
    assert [part for part in said if part not in str(error.value)] == [], str(error.value)


@pytest.mark.parametrize("table", [None, 3, "recipe", [], [("name", "x")]])
def test_a_recipe_is_a_table(table: Any) -> None:
    with pytest.raises(PipelineError, match=r"the recipe is .*; a table is needed"):
        from_dict(table)


@pytest.mark.parametrize("text", [None, b'name = "x"', 3])
def test_a_recipe_is_a_text(text: Any) -> None:
    with pytest.raises(PipelineError, match=r"the recipe is .*; a string is needed"):
        parse_recipe(text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    (tmp_path / "folder.toml").mkdir()
    for name in ("missing.toml", "latin.toml", "folder.toml", "null\0.toml"):
        with pytest.raises(PipelineError) as error:
            read_recipe(tmp_path / name)
        assert str(error.value).startswith(f"cannot read the recipe {tmp_path / name}: ")


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("dept = 5", "utf-8")
    with pytest.raises(PipelineError) as error:
        read_recipe(path)
    assert str(error.value).startswith(f"{path}: the recipe has the unknown field 'dept'")


# --- wrong values everywhere -------------------------------------------------------------------------

FULL = {
    "name": "full",
    "branches": [
        {
            "type": "bm25",
            "k1": 1.2,
            "b": 0.75,
            "variant": "bm25l",
            "delta": 0.5,
            "analyzer": {
                "name": "mine",
                "tokenizer": "words",
                "stopwords": ["a", "the"],
                "stemmer": "english",
                "fold_accents": True,
                "bigrams": ["cjk"],
                "orthography": "default",
            },
            "fields": {"title": 2.0, "text": 1.0},
            "name": "bm25",
        },
        {"type": "bm25", "analyzer": "english", "name": "second"},
        {"type": "dense", "model": "m", "name": "dense"},
        {"type": "dense", "dimension": 3, "name": "vectors"},
    ],
    "fusion": {
        "type": "weighted",
        "weights": {"bm25": 1.0, "second": 1.0, "dense": 2.0, "vectors": 0.5},
        "normalizer": {"type": "minmax", "depth": 10},
    },
    "rerank": [
        {"type": "rerank", "model": "r", "top": 10, "weight": 0.5},
        {"type": "maxsim", "model": "m", "top": 5, "weight": 1, "storage": "int8", "name": "late"},
    ],
    "depth": 100,
    "max_depth": 1000,
}
FUSION_TABLES: list[dict[str, Any]] = [
    {"type": "rrf", "k": 60, "weights": {"bm25": 1, "second": 1, "dense": 1, "vectors": 1}},
    {"type": "weighted", "alpha": 0.5, "normalizer": "tm2c2"},
    {"type": "combsum", "normalizer": {"type": "zscore", "depth": 10}},
    {"type": "combmnz", "normalizer": "minmax"},
    {"type": "combmax", "normalizer": {"type": "dbsf", "depth": 10}},
    {"type": "combsum", "normalizer": {"type": "l2", "depth": 10}},
]
JUNK: list[Any] = [
    None, True, False, 0, -1, 2, 10**400, 0.5, 1.5, -0.5, float("nan"), float("inf"), 1e308, "", "x",
    [], ["x"], [1], [[]], [{}], {}, {"x": 1}, {"type": "x"}, {"type": []}, {1: 2}, datetime.date(2020, 1, 1),
]  # fmt: skip


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every part of a nested value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """Return a copy with one part replaced."""
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = junk
    return value


@pytest.mark.parametrize("fusion", [None, *FUSION_TABLES], ids=str)
def test_a_wrong_value_anywhere_is_a_pipeline_error(fusion: dict[str, Any] | None) -> None:
    table: dict[str, Any] = FULL if fusion is None else FULL | {"fusion": fusion}
    from_dict(table)  # accepted as it stands
    accepted = refused = 0
    for path in paths(table):
        if fusion is not None and path[0] != "fusion":
            continue
        for junk in JUNK:
            try:
                pipeline = from_dict(replaced(table, path, junk))
            except PipelineError:
                refused += 1
            else:  # then it must be one that can be kept
                assert from_dict(to_dict(pipeline)) == pipeline
                accepted += 1
    assert refused > accepted
