"""What is kept of token vectors: projections, residuals, pooling; what becomes of it; PLAID's candidates."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid
from hybrid.batches import TokenBatch
from hybrid.errors import EncoderError
from hybrid.index import clone_folder
from hybrid.index.multivector import TokenForm, TokenRows, fit
from hybrid.index.multivector.codec import Codec, nearest, same
from hybrid.index.multivector.pooling import clusters, pooled
from hybrid.index.multivector.training import cluster, clusters_for, principal, steps
from hybrid.text.chunking.units import Words

DIMENSION = 12


def made(count, seed=0, least=1, most=14):
    """Documents whose tokens lie around some directions, as those of models do."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((20, DIMENSION)) * np.linspace(2, 0.3, DIMENSION)
    found = []
    for n in range(count):
        size = int(rng.integers(least, most))
        tokens = centres[rng.integers(0, 20, size)] + 0.3 * rng.standard_normal((size, DIMENSION))
        vectors = (tokens / np.linalg.norm(tokens, axis=1, keepdims=True)).astype(np.float32)
        found.append(hybrid.Document(f"{seed}-{n:04}", "word", vectors={"t": vectors}, metadata={"n": n}))
    return found


FORMS = {
    "residual4": {"storage": "residual4", "clusters": 16},
    "residual2": {"storage": "residual2"},
    "projected residual4": {"storage": "residual4", "project": 7, "clusters": 8},
    "projected int8": {"storage": "int8", "project": 6},
    "projected float32": {"storage": "float32", "project": 12},
    "pooled float16": {"storage": "float16", "pool": 2},
    "pooled residual2": {"storage": "residual2", "pool": 3},
    "int8 for plaid": {"storage": "int8", "search": "plaid", "clusters": 16},
}


def by_brute_force(index, query, where=lambda document: True):
    """Every document's score from its vectors as they are read back, in float64."""
    return {
        document.id: (query.astype(float) @ document.vectors["t"].astype(float).T).max(1).sum()
        for document in index.documents()
        if where(document)
    }


def scored(index, query, k=500, where=None):
    return dict(
        zip(*_lists(index.retrieve(hybrid.Query("", vectors={"t": query}), k=k, where=where)), strict=True)
    )


def _lists(found):
    return found.ids, found.scores.tolist()


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_scores_are_those_of_what_is_kept_through_every_change(tmp_path, options):
    pipeline = hybrid.Pipeline([hybrid.Multivector(dimension=DIMENSION, name="t", **options)])
    query = np.random.default_rng(5).standard_normal((4, DIMENSION)).astype(np.float32)

    def check(index):
        found = scored(index, query)
        assert found == pytest.approx(by_brute_force(index, query), rel=1e-5, abs=1e-5)
        assert list(found.values()) == sorted(found.values(), reverse=True)
        return found

    with hybrid.create(tmp_path / "index", made(60), pipeline) as index:
        first = check(index)
        index.add(made(30, seed=1))
        both = check(index)
        assert {id: both[id] for id in first} == first  # the codec did not change
        index.delete([f"0-{n:04}" for n in range(0, 60, 3)])
        index.update(made(5, seed=1))
        changed = check(index)
        assert len(changed) == 70
        index.optimize()
        assert check(index) == changed
        stats = index.stats().branches["t"]
    with hybrid.open(tmp_path / "index") as index:
        assert check(index) == changed
        index._store.snapshot.verify()
        assert index.stats().branches["t"] == stats
    if "project" in options:
        assert 0.5 < stats["projection_kept"] <= 1 + 1e-9
        assert stats["dimension"] == options["project"]
    if options["storage"].startswith("residual"):
        packed = stats["dimension"] * int(options["storage"][-1]) / 8
        assert stats["bytes_per_token"] == pytest.approx(np.ceil(packed) + 4)
        assert stats["clusters"] == options.get("clusters", stats["clusters"]) > 1


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_a_folder_that_was_moved_or_cloned_says_the_same(tmp_path, options):
    pipeline = hybrid.Pipeline([hybrid.Multivector(dimension=DIMENSION, name="t", **options)])
    query = np.random.default_rng(6).standard_normal((4, DIMENSION)).astype(np.float32)
    with hybrid.create(tmp_path / "index", made(40), pipeline) as index:
        index.delete(["0-0003"])
        index.add(made(6, seed=1))
        expected, vectors = scored(index, query), {d.id: d.vectors["t"] for d in index.documents()}
    clone_folder(tmp_path / "index", tmp_path / "cloned")
    (tmp_path / "index").rename(tmp_path / "moved")
    for name in ("moved", "cloned"):
        with hybrid.open(tmp_path / name, mode="w") as index:
            assert scored(index, query) == expected
            found = {d.id: d.vectors["t"] for d in index.documents()}
            assert found.keys() == vectors.keys()
            for id, rows in found.items():
                np.testing.assert_array_equal(rows, vectors[id])
            index.optimize()
            assert scored(index, query) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"storage": "residual4", "clusters": 16},
        {"storage": "float32", "project": 12},
        {"storage": "float16", "pool": 2},
    ],
    ids=["residuals", "projected", "pooled"],
)
def test_what_is_read_back_can_be_added_again(tmp_path, options):
    branch = hybrid.Multivector(dimension=DIMENSION, name="t", **{**options, "pool": None})
    pipeline = hybrid.Pipeline([branch])
    first = hybrid.Pipeline([hybrid.Multivector(dimension=DIMENSION, name="t", **options)])
    with hybrid.create(tmp_path / "a", made(50), first) as index:
        again = [*index.documents()]
        with hybrid.create(tmp_path / "b", again, pipeline) as copy:
            assert {d.id for d in copy.documents()} == {d.id for d in again}
            for document in again:
                error = copy.get(document.id).vectors["t"] - document.vectors["t"]
                assert np.abs(error).max() < 0.15


@pytest.mark.parametrize("storage", ["int8", "residual2"])
def test_the_segment_does_not_depend_on_the_budget_or_on_threads(tmp_path, monkeypatch, storage):
    branch = hybrid.Multivector(dimension=DIMENSION, name="t", storage=storage, project=8)
    monkeypatch.setattr("hybrid.index.multivector.training.TRAINING", 1000)
    monkeypatch.setattr("hybrid.engine.fitting.TRAINING", 1000)
    documents, files = made(300), []
    for name, groups, share, threads in (("a", 8192, 8, "1"), ("b", 7, 1 << 20, "2")):
        monkeypatch.setenv("HYBRID_THREADS", threads)
        monkeypatch.setattr("hybrid.engine.building.GROUP_DOCUMENTS", groups)
        monkeypatch.setattr(
            "hybrid.engine.building.ROWS_SHARE", share
        )  # the second: written as often as can be
        hybrid.create(tmp_path / name, documents, hybrid.Pipeline([branch])).close()
        (segment,) = (tmp_path / name / "segments").iterdir()
        files.append(segment.read_bytes())
    assert files[0] == files[1]


def test_a_codec_that_is_not_the_index_s_is_refused_and_forms_are_part_of_the_index(tmp_path):
    one, other = (
        fit(np.float32(np.random.default_rng(n).standard_normal((40, 4))), TokenForm("residual4"))
        for n in (1, 2)
    )
    assert same([one, one]) is one
    assert same([None, None]) is None
    for pair in ([one, other], [one, None]):
        with pytest.raises(EncoderError, match="2 different codecs"):
            same(pair)
    branch = hybrid.Multivector(dimension=DIMENSION, name="t", storage="residual4", pool=2)
    hybrid.create(tmp_path / "index", made(20), hybrid.Pipeline([branch])).close()
    wrong = hybrid.Pipeline(
        [hybrid.Multivector(dimension=DIMENSION, name="t", storage="residual4", project=3)]
    )
    with pytest.raises(hybrid.FingerprintError, match=r"t\.pool: the index has 2.*\n.*t\.project"):
        hybrid.open(tmp_path / "index", pipeline=wrong)
    pipeline = hybrid.Pipeline(
        [hybrid.BM25()],
        rerank=[hybrid.MaxSim("m", project=9, pool=2, storage="residual2", clusters=5)],
        passages=None,
    )
    assert hybrid.parse_recipe(hybrid.format_recipe(pipeline)) == pipeline
    assert pipeline.stores[1].form == TokenForm("residual2", 9, 2, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"project": 0}, "project is 0"),
        ({"pool": 1}, "pool is 1; give a whole number from 2"),
        ({"clusters": True, "storage": "residual2"}, "clusters is True"),
        ({"clusters": 9}, "nothing uses them"),
        ({"search": "fast"}, "'exact' or 'plaid'"),
        ({"probes": 0}, "probes is 0"),
        ({"candidates": 1.5}, r"candidates is 1\.5"),
    ],
)
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(hybrid.PipelineError, match=message):
        hybrid.Multivector(dimension=4, **options)


def test_more_components_than_numbers_are_refused_and_nothing_is_left(tmp_path):
    branch = hybrid.Multivector(dimension=DIMENSION, name="t", project=13)
    with pytest.raises(EncoderError, match="12 numbers cannot be projected to 13"):
        hybrid.create(tmp_path / "index", made(3), hybrid.Pipeline([branch]))
    assert not (tmp_path / "index").exists()


def test_principal_components_by_hand():
    # all the length of (3, 4) directions lies on one axis; a fifth of the rest on the other
    vectors = np.float32([[3, 4], [6, 8], [-0.8, 0.6]])
    rows, share = principal(vectors, 1)
    np.testing.assert_allclose(rows, [[0.6, 0.8]], atol=1e-6)
    assert share == pytest.approx(125 / 126)
    codec = fit(vectors, TokenForm("float32", project=1))
    np.testing.assert_allclose(codec.project(vectors), [[5], [10], [0]], atol=1e-6)
    np.testing.assert_allclose(codec.shortened(np.float32([[0, 5], [4, -3]])), [[5], [0]], atol=1e-6)
    np.testing.assert_allclose(codec.restored(codec.project(vectors))[1], [6, 8], atol=1e-5)


def test_centroids_are_those_of_another_k_means_begun_alike():
    from scipy.cluster.vq import kmeans2

    vectors = np.concatenate([document.vectors["t"] for document in made(200)])
    drawn = np.random.default_rng(20_220_731).permutation(len(vectors))[:30]
    expected, _ = kmeans2(
        vectors.astype(float), vectors[np.sort(drawn)].astype(float), iter=6, minit="matrix"
    )
    found = cluster(vectors, 30)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    distances = ((vectors[:, None].astype(float) - found[None]) ** 2).sum(-1)
    assert nearest(vectors, found).tolist() == distances.argmin(axis=1).tolist()
    twice = np.concatenate([found, found])
    assert nearest(vectors, twice).tolist() == nearest(vectors, found).tolist()  # of equals the first
    assert [clusters_for(n) for n in (1, 40, 10_000, 1 << 20)] == [1, 10, 1024, 16384]


def test_steps_lower_the_error_of_quantiles_and_fall_on_levels():
    rest = np.random.default_rng(2).standard_normal((4000, 3)).astype(np.float32) * np.float32([0.1, 1, 5])
    cutoffs, levels = steps(rest, 2)
    assert cutoffs.shape == (3, 3)
    # Lloyd and Max for a normal distribution and 4 levels: ±0.4528 and ±1.510 (Max 1960, table I)
    np.testing.assert_allclose(
        levels / [[0.1], [1], [5]], np.tile([-1.510, -0.4528, 0.4528, 1.510], (3, 1)), atol=0.12
    )


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("dimension", [1, 5, 8])
def test_residuals_are_the_nearest_levels(bits, dimension):
    rng = np.random.default_rng(dimension)
    vectors = rng.standard_normal((90, dimension)).astype(np.float32)
    form = TokenForm("residual4" if bits == 4 else "residual2", clusters=7)
    codec = fit(vectors, form)
    kept = codec.encode(vectors, form)
    assert kept.values.shape == (90, -(-dimension * bits // 8))
    centres = codec.centres[kept.codes]
    options = np.abs((vectors - centres)[:, :, None] - codec.levels[None])
    expected = centres + codec.levels[np.arange(dimension)[None], options.argmin(axis=2)]
    found = codec.unpacked(kept.values[80:], kept.codes[80:])
    np.testing.assert_allclose(found, expected[80:], atol=1e-6)
    whole = expected * kept.scales.astype(np.float32)[:, None]
    np.testing.assert_allclose(  # lengths are kept
        np.linalg.norm(whole, axis=1), np.linalg.norm(vectors, axis=1), rtol=2e-3
    )


def test_pooling_by_hand():
    east, north = [1.0, 0.0], [0.0, 1.0]
    first = np.float32([north, east, [0.8, 0.6], [-0.1, 0.99499]])
    batch = TokenBatch(
        np.array([0, 4, 5]), np.concatenate([first, [[3.0, 4.0]]]).astype(np.float32), np.array([False, True])
    )
    found = pooled(batch, 2)
    assert found.indptr.tolist() == [0, 2, 3]
    assert found.truncated.tolist() == [False, True]
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), [1, 1, 5], rtol=1e-5)
    half = np.arctan2(0.6, 0.8) / 2  # the mean of two directions halves the angle
    np.testing.assert_allclose(found.vectors[1], [np.cos(half), np.sin(half)], atol=1e-6)
    np.testing.assert_allclose(found.vectors[2], [3, 4])
    assert clusters(np.eye(3), 1).tolist() == [0, 0, 0]
    assert pooled(batch, 2).vectors.tobytes() == found.vectors.tobytes()
    zeros = TokenBatch(np.array([0, 2]), np.zeros((2, 3), np.float32), np.array([False]))
    assert pooled(zeros, 2).vectors.tolist() == [[0, 0, 0]]


def test_rows_that_wait_for_a_codec_are_not_written(tmp_path):
    batch = TokenBatch(np.array([0, 1]), np.ones((1, 4), np.float32), np.zeros(1, np.bool_))
    rows = TokenRows.of(batch, TokenForm("residual2"))
    with pytest.raises(ValueError, match="wait for their codec"):
        rows.write(None, "t")
    batch = TokenBatch(batch.indptr, np.full((1, 4), 1e6, np.float32), batch.truncated)
    rows = TokenRows.of(batch, TokenForm("float16", project=2))
    codec = fit(rows.kept.values, rows.form)
    with pytest.raises(EncoderError, match="float16 ends"):
        rows.settled(codec)


def test_passages_are_kept_by_a_codec_too(tmp_path):
    class Letters:
        token_dimension = 4
        units = Words(3)

        def fingerprint(self):
            return {"model": "letters"}

        def encode_documents(self, texts, progress=None):
            rows = [[np.cos(ord(letter) * np.arange(1, 5)) for letter in text or " "] for text in texts]
            indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
            return TokenBatch(indptr, np.float32(np.concatenate(rows)), np.zeros(len(texts), np.bool_))

        encode_queries = encode_documents

    branch = hybrid.Multivector("letters", name="t", storage="residual4", clusters=5)
    pipeline = hybrid.Pipeline([branch], passages=hybrid.Passages())
    texts = [f"some words {n} that are cut. here they go on, {n} of them" for n in range(8)]
    documents = [hybrid.Document(str(n), text) for n, text in enumerate(texts)]
    with hybrid.create(tmp_path / "i", documents, pipeline, encoders={"letters": Letters()}) as index:
        before = index.retrieve("words 3", k=8)
        index.add([hybrid.Document("x", "other words")])
        index.delete(["x"])
        index.optimize()
        after = index.retrieve("words 3", k=8)
        assert (before.ids, before.scores.tolist()) == (after.ids, after.scores.tolist())
        assert index.stats().branches["t"]["clusters"] == 5


@pytest.fixture
def many(tmp_path, monkeypatch):
    """Two segments, searched by candidates although they are small."""
    monkeypatch.setattr("hybrid.index.multivector.plaid.PLAID_FROM", 20)
    branch = hybrid.Multivector(
        dimension=DIMENSION,
        name="t",
        storage="residual4",
        clusters=64,
        search="plaid",
        probes=2,
        candidates=40,
    )
    with hybrid.create(tmp_path / "index", made(400), hybrid.Pipeline([branch])) as index:
        index.add(made(200, seed=1))
        index.delete([f"0-{n:04}" for n in range(0, 400, 7)])
        yield index


def test_plaid_scores_what_it_proposes_exactly_and_finds_most(many):
    exact = many.pipeline.branches[0].__class__(
        dimension=DIMENSION, name="t", storage="residual4", clusters=64
    )
    rng, found_all = np.random.default_rng(8), []
    with hybrid.open(many.path, pipeline=hybrid.Pipeline([exact])) as compared:
        for _ in range(12):
            query = rng.standard_normal((5, DIMENSION)).astype(np.float32)
            found, true = scored(many, query, 10), scored(compared, query, 600)
            assert len(found) == 10
            assert found.items() <= true.items()
            found_all.append(len(found.keys() & set([*true][:10])))
            assert not many.search(hybrid.Query("", vectors={"t": query})).exact
    assert sum(found_all) > 0.8 * 120


@pytest.mark.parametrize("most", [0, 1, 12, 45, 150])
def test_plaid_is_not_starved_by_a_filter(many, most):
    query = np.random.default_rng(1).standard_normal((3, DIMENSION)).astype(np.float32)
    found = scored(many, query, 30, {"n": {"$lt": most}})
    true = by_brute_force(many, query, lambda document: document.metadata["n"] < most)
    assert len(found) == min(30, len(true))
    assert found == pytest.approx({id: true[id] for id in found}, rel=1e-5)
    if len(true) <= 40:
        assert set(found) == set(sorted(true, key=lambda id: -true[id])[:30])


def test_plaid_probes_more_where_clusters_are_small(tmp_path, monkeypatch):
    """One document in each cluster: what two probes hold is not enough for what is asked."""
    monkeypatch.setattr("hybrid.index.multivector.plaid.PLAID_FROM", 1)
    branch = hybrid.Multivector(
        dimension=64, name="t", storage="int8", clusters=16, search="plaid", probes=1, candidates=1
    )
    documents = [hybrid.Document(f"{n:02}", vectors={"t": np.eye(64)[n : n + 1]}) for n in range(64)]
    with hybrid.create(tmp_path / "index", documents, hybrid.Pipeline([branch])) as index:
        query = np.linspace(1, 0, 64, dtype=np.float32)[None]
        assert len(scored(index, query, 60)) == 60
        assert [*scored(index, np.eye(64, dtype=np.float32)[5:6], 1)] == ["05"]


def test_the_codec_survives_only_as_long_as_documents_do(tmp_path):
    branch = hybrid.Multivector(dimension=DIMENSION, name="t", storage="residual2", clusters=4)
    with hybrid.create(tmp_path / "index", [], hybrid.Pipeline([branch])) as index:
        index.add(made(20))
        first = _codec(index)
        index.add(made(1, seed=3))
        assert _codec(index).fingerprint == first.fingerprint
        index.delete([document.id for document in index.documents()])
        index.add(made(20, seed=4))
        assert _codec(index).fingerprint != first.fingerprint


def _codec(index):
    return Codec.read(index._store.snapshot.segments[-1].segment, "t")
