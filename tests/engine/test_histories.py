"""After any history of changes, results are those of an index made of the live documents at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hybrid
from hybrid.index import ages

WORDS = ["ant", "bee", "cat", "dog", "elk"]
texts = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)
numbers = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
weights = st.dictionaries(st.sampled_from(WORDS), st.sampled_from([0.5, 1.0, 2.0]), max_size=3)
vectors = st.fixed_dictionaries(
    {"dense": numbers, "sparse": weights, "multivector": st.lists(numbers, min_size=1, max_size=3)}
)
contents = st.tuples(texts, vectors, st.one_of(st.none(), st.integers(1, 12)))
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
PASSAGES = hybrid.Pipeline(
    branches=[hybrid.BM25(analyzer="simple")], passages=hybrid.Passages(hybrid.Recursive(6)), depth=2
)


class Time:
    """A clock that is set by hand."""

    now = 0

    def time(self) -> float:
        return self.now


def play(
    index: hybrid.HybridIndex, history: Sequence[Any], clock: Time, bring: bool
) -> dict[str, hybrid.Document]:
    """Change an index, and return the documents it should hold in the end."""
    held: dict[str, hybrid.Document] = {}
    for step, *rest in history:
        if step == "put":
            batch = dict(_documents(rest[0], clock.now, bring))
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


def _documents(batch: Sequence[Any], now: int, bring: bool) -> Iterator[tuple[str, hybrid.Document]]:
    for number, (text, brought, lasts) in batch:
        expires = None if lasts is None else now + lasts
        yield (
            f"d{number:02}",
            hybrid.Document(
                f"d{number:02}", text, "", {"n": number}, brought if bring else {}, expires=expires
            ),
        )


def check(
    history: Sequence[Any], policy: Any, pipeline: hybrid.Pipeline, query: hybrid.Query, bring: bool
) -> None:
    clock = Time()
    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as folder:
        patched.setattr(ages, "time", clock)
        with hybrid.create(Path(folder) / "changed", [], pipeline, merging=policy) as index:
            live = play(index, history, clock, bring)
            with hybrid.create(Path(folder) / "fresh", live.values(), pipeline) as fresh:
                expected = fresh.search(query, 20)
                stored = [document.id for document in fresh.documents()]
            with hybrid.open(index.path) as reader:
                for opened in (index, reader):
                    assert [document.id for document in opened.documents()] == stored
                    assert opened.search(query, 20).hits == expected.hits
                    assert opened.search(query, 3).hits == expected.hits[:3]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes, policies, texts, vectors)
def test_every_branch(history, policy, text, given_vectors):
    check(history, policy, EVERY_BRANCH, hybrid.Query(text, given_vectors), True)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes, policies, texts)
def test_passages(history, policy, text):
    check(history, policy, PASSAGES, hybrid.Query(text), False)
