"""The certified top k equals brute force over the whole collection, whatever the history."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hybrid
from tests.engine import reference

WORDS = ["ant", "bee", "cat", "dog", "elk"]
DIMENSION = 3

vectors = st.lists(st.integers(-2, 2), min_size=DIMENSION, max_size=DIMENSION)
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
documents = st.builds(
    lambda text, year, vector: (text, {"year": year}, vector), texts, st.integers(2020, 2023), vectors
)
histories = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(documents, min_size=1, max_size=6)),
        st.tuples(st.just("delete"), st.integers(0, 30)),
        st.tuples(st.just("update"), st.integers(0, 30), documents),
        st.tuples(st.just("optimize")),
    ),
    min_size=1,
    max_size=7,
)
weights = st.sampled_from([0.0, 0.2, 0.5, 1.0])
normalizers = st.sampled_from(
    [
        hybrid.TM2C2(),
        hybrid.MinMax(),
        hybrid.MinMax(depth=2),
        hybrid.ZScore(depth=3),
        hybrid.DBSF(depth=3),
        hybrid.L2(depth=3),
        hybrid.Raw(),
    ]
)
fusions = st.one_of(
    st.builds(
        lambda k, w: hybrid.RRF(k=k, weights={"bm25": w, "dense": 1.0}), st.sampled_from([1, 60]), weights
    ),
    st.builds(lambda a, n: hybrid.Weighted(alpha=a, normalizer=n), weights, normalizers),
    st.builds(lambda n: hybrid.CombSUM(normalizer=n), normalizers),
    st.builds(lambda n: hybrid.CombMAX(normalizer=n), normalizers),
    st.builds(lambda n: hybrid.CombMNZ(normalizer=n), st.sampled_from([hybrid.TM2C2(), hybrid.MinMax()])),
)
filters = st.sampled_from([None, {"year": 2021}, {"year": {"$gte": 2022}}, {"year": 1999}])


def pipeline(fusion: hybrid.Fusion, depth: int) -> hybrid.Pipeline:
    return hybrid.Pipeline(
        branches=[hybrid.BM25(analyzer="simple"), hybrid.Dense(model=None, dimension=DIMENSION)],
        fusion=fusion,
        depth=depth,
    )


def play(folder: Path, history: Sequence[Any], chosen: hybrid.Pipeline) -> tuple[hybrid.HybridIndex, dict]:
    """Make an index by a history of changes, and the documents it should hold."""
    index = hybrid.create(folder, pipeline=chosen)
    live: dict[str, hybrid.Document] = {}
    count = 0
    for step, *rest in history:
        if step == "add":
            batch = []
            for text, metadata, vector in rest[0]:
                batch.append(
                    hybrid.Document(f"d{count * 7 % 31:02}-{count}", text, "", metadata, {"dense": vector})
                )
                count += 1
            index.add(batch)
            live |= {d.id: d for d in batch}
        elif step == "delete" and live:
            id = sorted(live)[rest[0] % len(live)]
            index.delete([id])
            del live[id]
        elif step == "update" and live:
            id = sorted(live)[rest[0] % len(live)]
            text, metadata, vector = rest[1]
            live[id] = hybrid.Document(id, text, "", metadata, {"dense": vector})
            index.update([live[id]])
        elif step == "optimize":
            index.optimize()
    return index, live


def eligible(live: dict[str, hybrid.Document], where: Any) -> set[str]:
    """Apply the few filters of this test by hand."""
    match = {
        None: lambda year: True,
        2021: lambda year: year == 2021,
        1999: lambda year: year == 1999,
    }.get(where if where is None else (where["year"] if isinstance(where["year"], int) else "gte"))
    if match is None:
        return {id for id, d in live.items() if d.metadata["year"] >= 2022}
    return {id for id, d in live.items() if match(d.metadata["year"])}


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories, fusions, filters, texts, vectors, st.integers(1, 8), st.integers(1, 3))
def test_certified_equals_everything(history, fusion, where, text, vector, k, depth):
    """Shallow lists deepened until certified give bit for bit what lists of everything give."""
    with tempfile.TemporaryDirectory() as folder:
        index, live = play(Path(folder) / "index", history, pipeline(fusion, depth))
        query = hybrid.Query(text, {"dense": vector})
        with index:
            result = index.search(query, k, where)
            everything = hybrid.open(index.path, pipeline=pipeline(fusion, 1000)).search(query, k, where)
        assert result.exact
        assert everything.exact
        assert [(h.id, h.score, h.scores) for h in result] == [(h.id, h.score, h.scores) for h in everything]
        assert len(result) == min(k, len(eligible(live, where)))


PLAIN = {
    hybrid.TM2C2(): reference.tm2c2,
    hybrid.MinMax(): reference.min_max(None),
    hybrid.MinMax(depth=2): reference.min_max(2),
    hybrid.ZScore(depth=3): reference.z_score(3),
    hybrid.DBSF(depth=3): reference.dbsf(3),
    hybrid.L2(depth=3): reference.l2(3),
    hybrid.Raw(): reference.raw,
}


def expected_scores(fusion: hybrid.Fusion, branches: list[reference.Scores]) -> dict[str, float]:
    """Return the fused score of every document that some branch ranks, by the plain reference."""
    match fusion:
        case hybrid.RRF(k, weighted):
            return reference.rrf(branches, k, [weighted["bm25"], weighted["dense"]])
        case hybrid.Weighted(alpha, _, normalizer):
            return reference.weighted(branches, [1 - alpha, alpha], PLAIN[normalizer])
        case hybrid.CombSUM(normalizer):
            return reference.combine(branches, PLAIN[normalizer], sum)
        case hybrid.CombMAX(normalizer):
            return reference.combine(branches, PLAIN[normalizer], max)
        case hybrid.CombMNZ(normalizer):
            return reference.combine(branches, PLAIN[normalizer], reference.mnz)
    raise AssertionError(fusion)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories, fusions, filters, texts, vectors, st.integers(1, 8))
def test_equals_the_plain_reference(history, fusion, where, text, vector, k):
    """Ids and scores equal an implementation of the formulas by loops over all live documents."""
    with tempfile.TemporaryDirectory() as folder:
        index, live = play(Path(folder) / "index", history, pipeline(fusion, 1))
        with index:
            result = index.search(hybrid.Query(text, {"dense": vector}), k, where)
    allowed = eligible(live, where)
    branches = [
        reference.bm25(list(live.values()), allowed, text),
        reference.dense(list(live.values()), allowed, vector),
    ]
    expected = expected_scores(fusion, branches)
    best = sorted(expected.values(), reverse=True)[:k]
    np.testing.assert_allclose([hit.score for hit in result], best, rtol=1e-5, atol=1e-6)
    for hit in result:
        assert hit.score == pytest.approx(expected[hit.id], rel=1e-5, abs=1e-6)
    order = [(-hit.score, hit.id) for hit in result]
    assert order == sorted(order)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), fusions, st.integers(1, 3))
def test_the_best_may_stand_deep_in_every_list(seed, fusion, k):
    """Lists as short as the hits asked for rarely hold the answer; many scores tie at their ends."""
    rng = random.Random(seed)
    documents = [
        hybrid.Document(
            f"{n:02}",
            " ".join(rng.choices(WORDS, k=rng.randint(1, 5))),
            vectors={"dense": [rng.randint(-2, 2) for _ in range(DIMENSION)]},
        )
        for n in rng.sample(range(100), rng.randint(20, 60))
    ]
    text = " ".join(rng.choices(WORDS, k=3))
    query = hybrid.Query(text, {"dense": [rng.randint(-2, 2) for _ in range(DIMENSION)]})
    with (
        tempfile.TemporaryDirectory() as folder,
        hybrid.create(Path(folder) / "index", documents, pipeline(fusion, 1)) as index,
        hybrid.open(index.path, pipeline=pipeline(fusion, 1000)) as reader,
    ):
        result, everything = index.search(query, k), reader.search(query, k)
    assert result.exact
    assert result.hits == everything.hits
    allowed = {document.id for document in documents}
    branches = [
        reference.bm25(documents, allowed, text),
        reference.dense(documents, allowed, query.vectors["dense"]),
    ]
    best = sorted(expected_scores(fusion, branches).values(), reverse=True)[:k]
    np.testing.assert_allclose([hit.score for hit in result], best, rtol=1e-5, atol=1e-6)


def test_the_tie_break_is_the_id(tmp_path):
    """Equal documents in different segments come in the order of their ids."""
    chosen = pipeline(hybrid.RRF(), 1)
    with hybrid.create(tmp_path / "index", pipeline=chosen) as index:
        for id in ["c", "a", "d", "b"]:
            index.add([hybrid.Document(id, "ant", vectors={"dense": [1, 0, 0]})])
        result = index.search(hybrid.Query("ant", {"dense": [1, 0, 0]}), k=3)
        assert [hit.id for hit in result] == ["a", "b", "c"]
