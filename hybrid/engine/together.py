"""Searches that came at about the same time: encoded in one pass, then run side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hybrid.engine.deadline import Deadline
from hybrid.engine.index import HybridIndex
from hybrid.engine.pages import Asked, current
from hybrid.engine.queries import Known, encode_all
from hybrid.engine.result import Result
from hybrid.fusion import Fusion
from hybrid.threads import parallel
from hybrid.types import Query


@dataclass(frozen=True, slots=True)
class Ask:
    """One search, as `HybridIndex.search` takes it; its deadline runs from when it was made.

    ``context``: the context variables of whoever asks (tracers find the request there).
    """

    query: str | Query
    k: int = 10
    where: Mapping[str, Any] | None = None
    branches: tuple[str, ...] | None = None
    fusion: Fusion | None = None
    strict: bool = False
    deadline: Deadline = field(default_factory=lambda: Deadline(None))
    cursor: str | None = None
    context: Context = field(default_factory=copy_context, compare=False, repr=False)


Done = Callable[[int, Result | Exception], None]


def search_together(index: HybridIndex, asks: Sequence[Ask], done: Done) -> None:
    """Run searches over one snapshot (those with a cursor over their own).

    ``done(n, outcome)`` tells of each as soon as it has ended.

    An outcome is what `HybridIndex.search` returns or raises for that search alone: what is wrong with one
    does not touch the others. ``done`` is called once for each, from several threads.
    """
    ready: dict[int, tuple[int, Asked]] = {}
    for n, ask in enumerate(asks):
        try:
            ready[n] = index._asked(ask.query, ask.k, ask.where, ask.branches, ask.fusion)
        except Exception as error:
            done(n, error)
    pinned = current(index._store)
    encoded = _encoded(index, asks, {n: asked for n, (_, asked) in ready.items()})

    def search(n: int) -> Result:
        ask, (k, asked), known = asks[n], ready[n], encoded.get(n)
        page = partial(index._page, strict=ask.strict, deadline=ask.deadline, encoded=known)
        return page(asked, k, pinned, ask.cursor)

    def run(n: int) -> None:
        try:
            outcome: Result | Exception = asks[n].context.run(search, n)
        except Exception as error:
            outcome = error
        done(n, outcome)

    parallel(run, list(ready))


def _encoded(index: HybridIndex, asks: Sequence[Ask], ready: Mapping[int, Asked]) -> dict[int, Known]:
    """Encode the queries of those that ask the same branches at once.

    What fails, or takes more than half of the time that the first of them has left, is left to each search.
    """
    groups: dict[tuple[str, ...] | None, list[int]] = {}
    for n in ready:
        groups.setdefault(asks[n].branches, []).append(n)
    found: dict[int, Known] = {}
    for members in groups.values():
        if len(members) == 1:
            continue
        read = index._read_by(ready[members[0]].pipeline)
        queries = [ready[n].query for n in members]
        half = min((asks[n].deadline for n in members), key=lambda deadline: deadline.left).half()
        try:
            together = index._encoders.together(read)
            rows = half.within(partial(encode_all, read, queries, together))
        except Exception:  # what is wrong shows again in the search that it belongs to
            continue
        found |= dict(zip(members, rows, strict=True))
    return found
