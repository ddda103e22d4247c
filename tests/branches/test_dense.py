"""The dense branch: its settings, what is stored of them, recipes, and truncation."""

from __future__ import annotations

import json

import numpy as np
import pytest

import hybrid
from hybrid import HNSW, IVF, PQ, SQ8, Binary, Dense, Flat, Pipeline, PipelineError, RaBitQ, Scan, Tiered
from hybrid.branches.dense import shortened
from hybrid.index.dense import Form
from hybrid.pipeline import from_dict, to_dict

INDEXES = [
    "auto",
    Flat(),
    Scan(),
    Tiered(prefix=32),
    HNSW(m=8, ef_construction=50, ef_search=60),
    IVF(),
    IVF(lists=9, probes=3, codes="pq", rescore=2),
    SQ8(rescore=2),
    PQ(),
    PQ(bytes=8),
    RaBitQ(),
    Binary(rescore=7),
]


@pytest.mark.parametrize("index", INDEXES, ids=repr)
def test_recipes_and_forms_round_trip(index) -> None:
    branch = Dense(dimension=64, index=index, storage="int8", truncate=16)
    pipeline = Pipeline([branch])
    assert hybrid.parse_recipe(hybrid.format_recipe(pipeline)) == pipeline
    assert from_dict(json.loads(json.dumps(to_dict(pipeline)))) == pipeline
    form = Form(branch.index, "float16")
    assert Form.decode(form.encode()) == form
    assert eval(repr(branch), vars(hybrid)) == branch


def test_how_an_index_is_spelt() -> None:
    def text(index):
        return hybrid.format_recipe(Pipeline([Dense(dimension=4, index=index)]))

    assert 'index = "scan"\n' in text(Scan())
    assert '[branches.index]\ntype = "tiered"\nprefix = 64\n' in text(Tiered())
    assert "index" not in text("auto")
    recipe = '[[branches]]\ntype = "dense"\ndimension = 4\nindex = "hnsw"\n'
    assert hybrid.parse_recipe(recipe).branches == (Dense(dimension=4, index=HNSW()),)


def test_what_is_stored_is_what_must_be_rebuilt() -> None:
    plain = {"model": None, "dimension": 9}
    for exact in ("auto", Flat(), Scan(), Tiered()):
        assert Dense(dimension=9, index=exact).stored() == plain
    assert Dense(dimension=9, index=HNSW(ef_search=7)).stored() == Dense(dimension=9, index="hnsw").stored()
    assert Dense(dimension=9, index=HNSW(m=7)).stored() != Dense(dimension=9, index=HNSW()).stored()
    assert Dense(dimension=9, index=IVF(probes=3)).stored()["index"] == {
        "type": "ivf",
        "lists": None,
        "codes": "flat",
    }
    assert Dense(dimension=9, storage="int8", truncate=2).stored() == {
        **plain,
        "storage": "int8",
        "truncate": 2,
    }


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Dense(index="best"), ["'best'", "HNSW()", "auto"]),
        (lambda: Dense(index=HNSW), ["HNSW", "auto"]),
        (lambda: Dense(storage="int4"), ["'int4'", "float16"]),
        (lambda: Dense(dimension=4, truncate=5), ["5", "4"]),
        (lambda: Dense(truncate=0), ["0", "at least 1"]),
        (lambda: Dense(truncate=True), ["True"]),
        (lambda: HNSW(m=0), ["m of HNSW", "0"]),
        (lambda: HNSW(ef_search=None), ["ef_search", "None"]),
        (lambda: IVF(codes="zip"), ["'zip'", "rabitq"]),
        (lambda: Tiered(prefix=1.5), ["prefix", "1.5"]),
        (lambda: Binary(rescore="x"), ["rescore", "'x'"]),
    ],
)
def test_what_is_not_accepted(make, words) -> None:
    with pytest.raises(PipelineError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


def documents(vectors):
    return [hybrid.Document(f"{n}", vectors={"dense": v}) for n, v in enumerate(vectors)]


def test_truncated_vectors_are_scaled_to_length_one(tmp_path) -> None:
    vectors = [[3, 4, 100], [0, -2, 7], [0, 0, 5]]
    pipeline = Pipeline([Dense(dimension=3, truncate=2)])
    with hybrid.create(tmp_path / "i", documents(vectors), pipeline) as index:
        hits = index.search(hybrid.Query("", {"dense": [0, 10, -50]}), 3).hits
        assert [(hit.id, round(hit.scores["dense"], 6)) for hit in hits] == [
            ("0", 0.8),
            ("2", 0.0),
            ("1", -1.0),
        ]
        with pytest.raises(hybrid.InputError, match=r"\(3,\)"):
            index.search(hybrid.Query("", {"dense": [0, 10]}), 3)


def test_shortening_again_changes_nothing() -> None:
    once = shortened(np.random.default_rng(0).standard_normal((2000, 9)).astype(np.float32), 5)
    np.testing.assert_allclose(np.linalg.norm(once.astype(np.float64), axis=1), 1, rtol=1e-6)
    assert shortened(once, 5).tobytes() == once.tobytes()


@pytest.mark.parametrize("settings", [{"truncate": 3}, {"storage": "float16"}, {"storage": "int8"}])
def test_a_document_read_back_can_be_added_again(tmp_path, settings) -> None:
    """Changing a text keeps the vector: what is given back gives the same scores."""
    vectors = np.random.default_rng(1).standard_normal((20, 5)).round(1).tolist()
    query = hybrid.Query("", {"dense": [1, -1, 0.5, 0, 0]})
    with hybrid.create(
        tmp_path / "i", documents(vectors), Pipeline([Dense(dimension=5, **settings)])
    ) as index:
        before = [(hit.id, hit.scores["dense"]) for hit in index.search(query, 20).hits]
        snapshot, (branch,) = index._store.snapshot, index.pipeline.branches
        back = [branch.brought(snapshot, n)["dense"] for n in range(20)]
        ids = snapshot.ids(range(20))
        index.update([hybrid.Document(i, vectors={"dense": v}) for i, v in zip(ids, back, strict=True)])
        after = [(hit.id, hit.scores["dense"]) for hit in index.search(query, 20).hits]
    assert [id for id, _ in after] == [id for id, _ in before]
    np.testing.assert_allclose([s for _, s in after], [s for _, s in before], rtol=1e-6)


def test_an_index_opens_with_other_search_settings_only(tmp_path) -> None:
    with hybrid.create(tmp_path / "i", documents([[1, 2]]), Pipeline([Dense(dimension=2, index=HNSW())])):
        pass
    with hybrid.open(
        tmp_path / "i", pipeline=Pipeline([Dense(dimension=2, index=HNSW(ef_search=9))])
    ) as index:
        assert index.search(hybrid.Query("", {"dense": [1, 1]}), 1).exact
    for settings in ({"index": "auto"}, {"index": HNSW(m=5)}, {"index": HNSW(), "storage": "int8"}):
        with pytest.raises(hybrid.FingerprintError, match="built differently"):
            hybrid.open(tmp_path / "i", pipeline=Pipeline([Dense(dimension=2, **settings)]))
