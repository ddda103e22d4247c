"""What every scorer must do (`hybrid.types.Scorer`): one suite, which every kind of branch passes."""

from __future__ import annotations

import random

import numpy as np
import pytest

import hybrid
from tests.contract.reference import RankBM25, top_of_each

DIMENSION = 6
WORDS = [f"w{n}" for n in range(25)]
KINDS = {
    "bm25": hybrid.BM25(analyzer="simple", name="branch"),
    "bm25 in fields": hybrid.BM25(analyzer="simple", fields={"title": 2.5}, name="branch"),
    "bm25+": hybrid.BM25(analyzer="simple", variant="bm25+", name="branch"),
    "bm25, feedback": hybrid.BM25(
        analyzer="simple", name="branch", feedback=hybrid.RM3(documents=3, terms=4, common=0.9)
    ),
    "rank-bm25": hybrid.BM25(analyzer="simple", variant="bm25+", name="branch"),
    "sparse": hybrid.Sparse(name="branch"),
    "sparse, float8": hybrid.Sparse(name="branch", storage="float8"),
    "lucene bm25": hybrid.LuceneBM25(analyzer="whitespace", name="branch"),
    "lucene impact": hybrid.LuceneImpact(name="branch"),
    "dense": hybrid.Dense(dimension=DIMENSION, name="branch"),
    "dense, flat": hybrid.Dense(dimension=DIMENSION, name="branch", index=hybrid.Flat()),
    "dense, scan": hybrid.Dense(dimension=DIMENSION, name="branch", index=hybrid.Scan()),
    "dense, tiered": hybrid.Dense(dimension=DIMENSION, name="branch", index=hybrid.Tiered(prefix=2)),
    "dense, float16": hybrid.Dense(dimension=DIMENSION, name="branch", storage="float16"),
    "dense, int8": hybrid.Dense(dimension=DIMENSION, name="branch", storage="int8"),
    "dense, truncated": hybrid.Dense(dimension=DIMENSION, name="branch", truncate=4),
    "multivector": hybrid.Multivector(dimension=DIMENSION, name="branch"),
    "multivector, float32": hybrid.Multivector(dimension=DIMENSION, name="branch", storage="float32"),
    "multivector, by torch": hybrid.Multivector(dimension=DIMENSION, name="branch", device="cpu"),
    "multivector, int8": hybrid.Multivector(dimension=DIMENSION, name="branch", storage="int8"),
    "multivector, residual4": hybrid.Multivector(dimension=DIMENSION, name="branch", storage="residual4"),
    "multivector, residual2, projected, pooled": hybrid.Multivector(
        dimension=DIMENSION, name="branch", storage="residual2", project=4, pool=2, clusters=9
    ),
    "multivector, projected": hybrid.Multivector(
        dimension=DIMENSION, name="branch", storage="int8", project=5
    ),
    "dense, hnsw": hybrid.Dense(dimension=DIMENSION, name="branch", index=hybrid.HNSW()),
}
CUT = hybrid.Recursive(3)
PASSAGES = {
    "bm25 over passages": hybrid.Passages(CUT),
    "bm25 over passages, mean": hybrid.Passages(CUT, best=2),
    "bm25 over passages, sum": hybrid.Passages(CUT, best=2, aggregate="sum"),
}
KINDS |= dict.fromkeys(PASSAGES, hybrid.BM25(analyzer="simple", name="branch"))


def weights_of(text):
    """Learned weights that a text could have: more often, more weight."""
    words = text.split()
    return {word: 0.5 + 0.75 * words.count(word) for word in words}


def vectors_of(branch, text, vector):
    if not branch.takes_vectors:
        return {}
    if branch.representation == "tokens":
        turns = [len(word) + ord(word[-1]) for word in text.split()]
        return {"branch": [vector, *(np.roll(vector, turn) for turn in turns)]}
    return {"branch": weights_of(text) if branch.kind == "sparse" else vector}


def documents(rng, n, branch):
    for number in range(n):
        text = " ".join(rng.choices(WORDS, weights=[1 / (w + 1) for w in range(25)], k=rng.randint(0, 8)))
        vector = [rng.choice([-1.0, 0.0, 0.5]) for _ in range(DIMENSION)]
        metadata = {"part": rng.randrange(4)}
        id = f"{rng.randrange(1000):03}-{number}"
        title = rng.choice(WORDS)
        yield hybrid.Document(id, text, title, metadata, vectors_of(branch, f"{title} {text}", vector))


NOT_COMPILED = {"lucene bm25", "lucene impact", "rank-bm25", "dense, flat", "dense, float16", "dense, hnsw"}
WAYS = [
    pytest.param((kind, compiled), id=kind + (", compiled" if compiled else ""))
    for kind in KINDS
    for compiled in ([False] if kind in NOT_COMPILED else [False, True])
]


@pytest.fixture(params=WAYS)
def index(request, tmp_path, monkeypatch):
    """Three segments with ties and deleted documents."""
    kind, compiled = request.param
    for module in ("sparse.scorer", "sparse.batch", "dense.scan"):
        monkeypatch.setattr(f"hybrid.index.{module}.compiling_pays", lambda expected: compiled)
    if kind.startswith("lucene"):
        request.getfixturevalue("java")
    if kind == "rank-bm25":
        monkeypatch.setattr("hybrid.branches.bm25.bm25_scorer", RankBM25)
        monkeypatch.setattr("hybrid.branches.bm25.top_of_each", top_of_each)
    monkeypatch.setattr("hybrid.index.dense.writing.SCAN_FROM", 0)  # or so few vectors would have no codes
    branch, rng = KINDS[kind], random.Random(7)
    found = [*documents(rng, 150, branch)]
    with hybrid.create(
        tmp_path / "index", found[:60], hybrid.Pipeline([branch], passages=PASSAGES.get(kind))
    ) as index:
        index.add(found[60:100])
        index.add(found[100:])
        index.delete([d.id for d in found[::7]])
        yield index


@pytest.fixture(params=[None, {"part": {"$lt": 2}}, {"part": 99}], ids=["all", "some", "none"])
def asked(request, index):
    """A snapshot, a mask, and the scorers of a few queries."""
    snapshot, (branch,) = index._store.snapshot, index.pipeline.searched
    mask, rng = snapshot.mask(request.param), random.Random(3)
    queries = []
    for text in ("w0", "w1 w2 w2 w9", "", "unknown"):
        vector = [rng.uniform(-1, 1) for _ in range(DIMENSION)] if text else [0.0] * DIMENSION
        queries.append(hybrid.Query(text, vectors_of(branch, text, vector)))
    index.asked = queries
    encoded = branch.encode_queries(queries, index._encoders)
    return snapshot, mask, branch, [branch.scorer(snapshot, query, mask) for query in encoded]


def everything(snapshot):
    return np.arange(snapshot.size)


def test_the_order_is_by_score_and_then_id(asked):
    snapshot, _, _, scorers = asked
    for scorer in scorers:
        whole = scorer.top(snapshot.size)
        keys = list(zip(-whole.scores, snapshot.ids(whole.docnums), strict=True))
        assert keys == sorted(keys)
        assert whole.scores.dtype == np.float32
        assert whole.docnums.dtype == np.int64


def test_top_is_a_prefix_of_everything(asked):
    snapshot, _, _, scorers = asked
    for scorer in scorers:
        whole = scorer.top(snapshot.size)
        for k in (1, 2, 10, len(whole), len(whole) + 1):
            part = scorer.top(k)
            assert part.docnums.tolist() == whole.docnums[:k].tolist()
            assert part.scores.tobytes() == whole.scores[:k].tobytes()
        assert len(scorer.top(0)) == 0


def test_many_at_once_are_each(asked, index):
    snapshot, mask, branch, scorers = asked
    queries = branch.encode_queries(index.asked, index._encoders)
    for k in (1, 3, len(snapshot.docnums())):
        for found, scorer in zip(branch.rankings(snapshot, queries, mask, k), scorers, strict=True):
            expected = scorer.top(k)
            assert found.docnums.tolist() == expected.docnums.tolist()
            assert found.scores.tobytes() == expected.scores.tobytes()
    assert branch.rankings(snapshot, [], mask, 3) == []


def test_only_eligible_documents_are_ranked(asked):
    snapshot, mask, branch, scorers = asked
    eligible = {n for n in range(snapshot.size) if mask.lets_through(snapshot, n)}
    assert eligible <= set(snapshot.docnums().tolist())
    for scorer in scorers:
        assert scorer.eligible == mask.count == len(eligible)
        ranked = set(scorer.top(snapshot.size).docnums.tolist())
        assert ranked <= eligible
        if branch.kind == "dense":
            assert ranked == eligible
        else:
            scores = scorer.scores(everything(snapshot))
            assert ranked == {n for n in eligible if scores[n] > 0}


def test_scores_are_those_of_the_ranking_to_the_bit(asked):
    snapshot, _, _, scorers = asked
    for scorer in scorers:
        whole = scorer.top(snapshot.size)
        assert scorer.scores(whole.docnums).tobytes() == whole.scores.tobytes()
        backwards = scorer.scores(whole.docnums[::-1])
        assert backwards.tobytes() == whole.scores[::-1].tobytes()
        assert scorer.scores(whole.docnums[:1]).tobytes() == whole.scores[:1].tobytes()


def test_ranks_are_the_places_in_the_ranking(asked):
    snapshot, _, _, scorers = asked
    for scorer in scorers:
        whole = scorer.top(snapshot.size)
        ranks = np.zeros(snapshot.size, np.int64)
        ranks[whole.docnums] = np.arange(1, len(whole) + 1)
        assert scorer.ranks(everything(snapshot)).tolist() == ranks.tolist()
        assert scorer.ranks(whole.docnums[5:6]).tolist() == ranks[whole.docnums[5:6]].tolist()


def test_the_minimum_and_the_bound(asked):
    snapshot, mask, _, scorers = asked
    eligible = np.array([n for n in range(snapshot.size) if mask.lets_through(snapshot, n)], np.int64)
    for scorer in scorers:
        scores = scorer.scores(eligible)
        assert scorer.minimum() == (float(scores.min()) if len(scores) else 0.0)
        assert scorer.lower_bound <= scorer.minimum()
        assert scorer.exact


def test_matches_add_up(asked):
    _, _, branch, scorers = asked
    for scorer in scorers:
        for docnum in scorer.top(20).docnums.tolist():
            matches = scorer.matches(docnum)
            if branch.representation == "dense":
                assert matches == []
                continue
            score = float(scorer.scores(np.array([docnum]))[0])
            assert sum(match.score for match in matches) == pytest.approx(score, rel=1e-6)
            assert [match.score for match in matches] == sorted((m.score for m in matches), reverse=True)


def test_merging_segments_changes_no_score(index):
    (branch,) = index.pipeline.searched
    query = hybrid.Query("w0 w3", vectors_of(branch, "w0 w3", [0.3] * DIMENSION))
    before = index.search(query, 50).hits
    assert index.optimize()
    assert len(index._store.snapshot.segments) == 1
    assert index.search(query, 50).hits == before


@pytest.mark.parametrize("variant", ["bm25+", "bm25l", "robertson"])
def test_bm25_is_what_rank_bm25_says(tmp_path, monkeypatch, variant):
    """The whole branch, over segments, deletes and filters, against formulas and texts alone."""
    branch = hybrid.BM25(0.9, 0.6, variant, analyzer="simple")
    found = [*documents(random.Random(11), 200, branch)]
    with hybrid.create(tmp_path / "index", found[:90], hybrid.Pipeline([branch])) as index:
        index.add(found[90:])
        index.delete([d.id for d in found[::5]])
        snapshot, encoders = index._store.snapshot, index._encoders.together(())
        for where in (None, {"part": {"$lt": 2}}):
            mask = snapshot.mask(where)
            for terms in (["w3"], ["w7", "w12", "w7", "w20"], ["w24", "w23", "w1", "unknown"]):
                (query,) = branch.encode_queries([hybrid.Query(" ".join(terms))], encoders)
                ours = branch.scorer(snapshot, query, mask)
                reference = RankBM25(snapshot, "bm25", terms, branch.weighting(), None, mask)
                everything = np.arange(snapshot.size)[mask_of(snapshot, mask)]
                scores = reference.scores(everything)
                np.testing.assert_allclose(ours.scores(everything), scores, rtol=1e-6, atol=1e-7)
                assert scores.max() > 0
                top, expected = ours.top(20), reference.top(20)
                assert len(top) == len(expected) > 5
                np.testing.assert_allclose(top.scores, expected.scores, rtol=1e-6)


def mask_of(snapshot, mask):
    return np.array([mask.lets_through(snapshot, n) for n in range(snapshot.size)])
