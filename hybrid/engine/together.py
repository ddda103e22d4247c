"""Searches that came at about the same time: encoded in one pass, then run side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hybrid.engine.checks import checked_query
from hybrid.engine.deadline import Deadline
from hybrid.engine.index import HybridIndex
from hybrid.engine.queries import encode_all
from hybrid.engine.result import Result
from hybrid.fusion import Fusion
from hybrid.pipeline import Pipeline
from hybrid.threads import parallel
from hybrid.types import Query


@dataclass(frozen=True, slots=True)
class Ask:
    """One search, as `HybridIndex.search` takes it; its deadline runs from when it was made."""

    query: str | Query
    k: int = 10
    where: Mapping[str, Any] | None = None
    branches: tuple[str, ...] | None = None
    fusion: Fusion | None = None
    strict: bool = False
    deadline: Deadline = field(default_factory=lambda: Deadline(None))


Done = Callable[[int, Result | Exception], None]


def search_together(index: HybridIndex, asks: Sequence[Ask], done: Done) -> None:
    """Run searches over one snapshot; ``done(n, outcome)`` tells of each as soon as it has ended.

    An outcome is what `HybridIndex.search` returns or raises for that search alone: what is wrong with one
    does not touch the others. ``done`` is called once for each, from several threads.
    """
    ready: dict[int, tuple[Query, Pipeline]] = {}
    for n, ask in enumerate(asks):
        try:
            index._allowed([ask.query], ask.k, ask.where)
            ready[n] = checked_query(ask.query, index.pipeline), index._variant(ask.branches, ask.fusion)
        except Exception as error:
            done(n, error)
    snapshot = index._store.snapshot
    encoded = _encoded(index, asks, ready)

    def run(n: int) -> None:
        query, pipeline = ready[n]
        ask = asks[n]
        try:
            search = index._search(
                query, pipeline, ask.where, ask.strict, snapshot, encoded.get(n), ask.deadline
            )
            outcome: Result | Exception = search.run(ask.k)
        except Exception as error:
            outcome = error
        done(n, outcome)

    parallel(run, list(ready))


def _encoded(
    index: HybridIndex, asks: Sequence[Ask], ready: Mapping[int, tuple[Query, Pipeline]]
) -> dict[int, dict[str, Any]]:
    """Encode the queries of those that ask the same branches at once.

    What fails, or takes more than half of the time that the first of them has left, is left to each search.
    """
    groups: dict[tuple[str, ...] | None, list[int]] = {}
    for n in ready:
        groups.setdefault(asks[n].branches, []).append(n)
    found: dict[int, dict[str, Any]] = {}
    for members in groups.values():
        if len(members) == 1:
            continue
        read = index._read_by(ready[members[0]][1])
        queries = [ready[n][0] for n in members]
        half = min((asks[n].deadline for n in members), key=lambda deadline: deadline.left).half()
        try:
            together = index._encoders.together(read)
            rows = half.within(partial(encode_all, read, queries, together, False))
        except Exception:  # what is wrong shows again in the search that it belongs to
            continue
        for at, n in enumerate(members):
            found[n] = {name: vectors[at] for name, vectors in rows.items()}
    return found
