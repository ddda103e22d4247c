"""After any history of changes, results are those of an index made of the live documents at once.

To the bit, for whatever is exact, as a whole and branch by branch. What is learned from documents (codecs of
token vectors) is the same where the same documents came first. An approximate index finds the same documents
where it looks everywhere, and elsewhere some of them, with the same scores.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import hybrid
from hybrid.index import ages
from tests.engine.test_passages import Joint

WORDS = ["ant", "bee", "cat", "dog", "elk"]
texts = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)
numbers = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
weights = st.dictionaries(st.sampled_from(WORDS), st.sampled_from([0.5, 1.0, 2.0]), max_size=3)
tokens = st.lists(numbers, min_size=1, max_size=3)
brought = st.fixed_dictionaries({"dense": numbers, "sparse": weights, "multivector": tokens})
contents = st.tuples(texts, brought, st.one_of(st.none(), st.integers(1, 12)))
changes = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.tuples(st.integers(0, 14), contents), min_size=1, max_size=4)),
        st.tuples(st.just("delete"), st.integers(0, 14)),
        st.tuples(st.just("where"), st.integers(0, 14)),
        st.tuples(st.just("wait"), st.integers(1, 5)),
        st.tuples(st.just("optimize")),
    ),
    min_size=1,
    max_size=14,
)
policies = st.sampled_from([None, hybrid.MergePolicy(factor=2), hybrid.MergePolicy(factor=3)])

EVERY_BRANCH = hybrid.Pipeline(
    branches=[
        hybrid.BM25(analyzer="simple"),
        hybrid.Sparse(),
        hybrid.Dense(model=None, dimension=3),
        hybrid.Multivector(dimension=3),
    ],
    depth=2,
)
OTHER_WAYS = hybrid.Pipeline(
    branches=[
        hybrid.BM25(analyzer="simple", fields={"title": 2.5}, name="fields"),
        hybrid.BM25(analyzer="simple", variant="bm25+", name="plus"),
        hybrid.Sparse(name="sparse-float8", storage="float8"),
        hybrid.Dense(dimension=3, name="dense-scan", index=hybrid.Scan()),
        hybrid.Dense(dimension=3, name="dense-tiered", index=hybrid.Tiered(prefix=2)),
        hybrid.Dense(dimension=3, name="dense-float16", storage="float16", index=hybrid.Flat()),
        hybrid.Dense(dimension=3, name="dense-int8", storage="int8"),
        hybrid.Dense(dimension=3, name="dense-truncated", truncate=2),
        hybrid.Multivector(dimension=3, name="multivector-float32", storage="float32"),
        hybrid.Multivector(dimension=3, name="multivector-int8", storage="int8"),
        hybrid.Multivector(dimension=3, name="multivector-pooled", pool=2),
    ],
    depth=2,
)
LEARNED = hybrid.Pipeline(
    branches=[
        hybrid.Multivector(dimension=3, name="multivector-residual", storage="residual4", clusters=3),
        hybrid.Multivector(
            dimension=3, name="multivector-projected", storage="residual2", project=2, clusters=2
        ),
        hybrid.Multivector(dimension=3, name="multivector-plaid", search="plaid", clusters=3, probes=3),
    ],
    depth=2,
)
LUCENE = hybrid.Pipeline(
    branches=[hybrid.LuceneBM25(analyzer="whitespace"), hybrid.LuceneImpact(name="sparse-impact")], depth=2
)
PASSAGES = hybrid.Pipeline(
    branches=[
        hybrid.BM25(analyzer="simple"),
        hybrid.BM25(analyzer="simple", name="fine", passages=hybrid.Passages(hybrid.Recursive(2), best=2)),
        hybrid.Dense("m"),
        hybrid.Dense("m", name="opened", passages=hybrid.Passages(hybrid.Recursive(3), best=2, opening=True)),
        hybrid.Sparse("m"),
        hybrid.Multivector("m"),
    ],
    passages=hybrid.Passages(hybrid.Recursive(6)),
    depth=2,
)
EVERYWHERE = {
    "hnsw": hybrid.HNSW(ef_search=1000),
    "ivf": hybrid.IVF(lists=4, probes=4),
    "ivf-sq8": hybrid.IVF(lists=4, probes=4, codes="sq8"),
    "sq8": hybrid.SQ8(rescore=10),
}
SOMEWHERE = {
    "ivf-probed": hybrid.IVF(lists=8, probes=1),
    "pq": hybrid.PQ(bytes=4, rescore=2),
    "rabitq": hybrid.RaBitQ(rescore=2),
    "binary": hybrid.Binary(rescore=2),
}
APPROXIMATE = hybrid.Pipeline(
    branches=[
        hybrid.Dense(dimension=8, name=name, index=index)
        for name, index in {**EVERYWHERE, **SOMEWHERE, "flat": hybrid.Flat()}.items()
    ]
)
FIRST = [
    hybrid.Document(
        f"first{n}", vectors={b.name: [[n - 2, n % 3, 1], [1, -n, n % 2]] for b in LEARNED.branches}
    )
    for n in range(5)
]
"""What codecs are learned from."""


class Time:
    """A clock that is set by hand."""

    now = 0

    def time(self) -> float:
        return self.now


def ready_made(pipeline: hybrid.Pipeline, given: dict[str, Any]) -> dict[str, Any]:
    """Return vectors for every branch of a pipeline that needs them, by its name up to the hyphen."""
    wanted = [b.name for b in pipeline.branches if b.takes_vectors and b.model is None]
    return {name: given[name.split("-")[0]] for name in wanted}


def play(index: hybrid.HybridIndex, history: Sequence[Any], clock: Time) -> dict[str, hybrid.Document]:
    """Change an index, and return the documents it should hold in the end."""
    held: dict[str, hybrid.Document] = {}
    for step, *rest in history:
        if step == "put":
            batch = dict(_documents(rest[0], clock.now, index.pipeline))
            index.update(batch.values())
            held |= batch
        elif step == "delete":
            index.delete([f"d{rest[0]:02}"], missing="ignore")
            held.pop(f"d{rest[0]:02}", None)
        elif step == "where":
            index.delete(where={"n": {"$lt": rest[0] // 3}})
            held = {id: d for id, d in held.items() if d.metadata["n"] >= rest[0] // 3}
        elif step == "wait":
            clock.now += rest[0]
        else:
            index.optimize()
    return {id: d for id, d in held.items() if d.expires is None or d.expires > clock.now}


def _documents(
    batch: Sequence[Any], now: int, pipeline: hybrid.Pipeline
) -> Iterator[tuple[str, hybrid.Document]]:
    for number, (text, ready, lasts) in batch:
        id, title = f"d{number:02}", text[:3]
        expires = None if lasts is None else now + lasts
        made = ready_made(pipeline, ready)
        yield id, hybrid.Document(id, text, title, {"n": number}, made, expires=expires)


def check(
    history: Sequence[Any],
    policy: Any,
    pipeline: hybrid.Pipeline,
    asked: tuple[str, dict[str, Any]],
    first: Sequence[hybrid.Document] = (),
) -> None:
    """Carry out a history, and compare; ``first``: documents that both indexes begin with."""
    clock, models = Time(), {"m": Joint()}
    text, given = asked
    query = hybrid.Query(text, ready_made(pipeline, given))
    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as folder:
        patched.setattr(ages, "time", clock)
        patched.setattr("hybrid.index.dense.writing.SCAN_FROM", 0)
        root = Path(folder)
        with hybrid.create(root / "changed", first, pipeline, merging=policy, encoders=models) as index:
            live = play(index, history, clock).values()
            with hybrid.create(root / "fresh", first or live, pipeline, encoders=models) as fresh:
                if first:
                    fresh.add(live)
                with hybrid.open(index.path, encoders=models) as reader:
                    for opened in (index, reader):
                        compare(opened, fresh, query)


def compare(index: hybrid.HybridIndex, fresh: hybrid.HybridIndex, query: hybrid.Query) -> None:
    assert [document.id for document in index.documents()] == [document.id for document in fresh.documents()]
    for k in (3, 20):
        assert index.search(query, k).hits == fresh.search(query, k).hits
    for branch in index.pipeline.branches:
        assert listed(index, query, branch.name) == listed(fresh, query, branch.name)


def listed(
    index: hybrid.HybridIndex, query: hybrid.Query, branch: str, k: int = 20
) -> list[tuple[str, float]]:
    """Return one branch's best documents and their scores."""
    found = index.retrieve(query, k, branch=branch)
    return list(zip(found.ids, found.scores.tolist(), strict=True))


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


questions = st.tuples(texts, brought)


@examples(60)
@given(changes, policies, questions)
def test_every_branch(history, policy, asked):
    check(history, policy, EVERY_BRANCH, asked)


NOTHING: Any = ("", {"dense": [0, 0, 0], "sparse": {}, "multivector": [[0, 0, 0]]}, None)
ONE_TERM: Any = ("", {**NOTHING[1], "sparse": {"ant": 0.5}}, None)


@examples(15)
@given(changes, policies, questions)
@example(
    [("put", [(0, NOTHING), (2, ONE_TERM)]), ("put", [(1, NOTHING)])],
    hybrid.MergePolicy(factor=2),
    ONE_TERM[:2],
)
def test_every_way_to_keep_and_to_search(history, policy, asked):
    check(history, policy, OTHER_WAYS, asked)


@examples(10)
@given(changes, policies, questions)
def test_what_was_learned_from_the_same_documents(history, policy, asked):
    check(history, policy, LEARNED, asked, FIRST)


@examples(10)
@given(changes, policies, questions)
def test_lucene(java, history, policy, asked):
    check(history, policy, LUCENE, asked)


@examples(30)
@given(changes, policies, questions)
def test_passages(history, policy, asked):
    check(history, policy, PASSAGES, asked)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("policy", [None, hybrid.MergePolicy(factor=2)], ids=["unmerged", "merged"])
def test_approximate_indexes(tmp_path, monkeypatch, policy, seed):
    """Segments of some hundred vectors, each with its own index, after updates and deletes."""
    monkeypatch.setattr("hybrid.index.dense.writing.APPROXIMATE_FROM", 256)
    chosen = np.random.default_rng(seed)

    def made(count: int) -> list[hybrid.Document]:
        vectors = chosen.normal(size=(count, 8)).astype(np.float32)
        ids = chosen.choice(900, count, replace=False)
        return [
            hybrid.Document(f"{id:03}", vectors={b.name: vector for b in APPROXIMATE.branches})
            for id, vector in zip(ids, vectors, strict=True)
        ]

    live: dict[str, hybrid.Document] = {}
    asked = chosen.normal(size=(10, 8)).astype(np.float32)
    with hybrid.create(tmp_path / "changed", [], APPROXIMATE, merging=policy) as index:
        for count in (400, 300, 90, 300):
            batch = made(count)
            index.update(batch)
            live |= {d.id: d for d in batch}
            gone = chosen.choice(sorted(live), 40, replace=False).tolist()
            index.delete(gone)
            live = {id: d for id, d in live.items() if id not in gone}
        for _ in range(2):
            for vector in asked:
                found = compare_lists(index, live, vector)
                assert all(found[name] == found["flat"][:5] for name in EVERYWHERE)
            index.optimize()


def compare_lists(
    index: hybrid.HybridIndex, live: dict[str, hybrid.Document], vector: np.ndarray
) -> dict[str, list[tuple[str, float]]]:
    """Return each branch's best 5, and all of "flat"; they are live, with their true scores, in order."""
    query = hybrid.Query("", {branch.name: vector for branch in APPROXIMATE.branches})
    found = {name: listed(index, query, name, 5) for name in (*EVERYWHERE, *SOMEWHERE)}
    found["flat"] = listed(index, query, "flat", len(live) + 9)
    true = dict(found["flat"])
    assert true.keys() == live.keys()
    for name, best in found.items():
        assert best == sorted(best, key=lambda each: (-each[1], each[0])), name
        assert all(true.get(id) == score for id, score in best), name
    assert all(len(found[name]) == 5 for name in SOMEWHERE)
    return found
