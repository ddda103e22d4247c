"""Telling observers of searches and changes, if there are any."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Protocol, TypeVar

from hybrid.engine.result import Result
from hybrid.index import Snapshot, Store
from hybrid.observing import Changed, Searched
from hybrid.observing.events import observed, tell


class Timed(Protocol):
    """What a search knows of itself: its snapshot, and its stages' names, beginnings and ends in seconds.

    ``before``: the seconds of stages that were over when it began, because it shared them with others.
    """

    snapshot: Snapshot
    spans: list[tuple[str, float, float]]
    before: float


S = TypeVar("S", bound=Timed)


def told(run: Callable[[S, int], Result]) -> Callable[[S, int], Result]:
    """Return the method that runs a search so that observers are told of it."""

    @wraps(run)
    def telling(search: S, k: int) -> Result:
        if not observed():
            return run(search, k)
        begun = time.perf_counter() - search.before
        try:
            result = run(search, k)
        except Exception as error:
            tell(_searched(search, None, begun, error))
            raise
        tell(_searched(search, result, begun, None))
        return result

    return telling


@contextmanager
def telling_of_change(store: Store) -> Iterator[None]:
    """Tell observers of the change that is made in the block."""
    begun, failed = time.perf_counter(), None
    try:
        yield
    except Exception as error:
        failed = error
        raise
    finally:
        if observed():
            snapshot = store.snapshot
            tell(
                Changed(
                    index=str(store.path),
                    begun=begun,
                    ended=time.perf_counter(),
                    generation=snapshot.generation,
                    segments=len(snapshot.segments),
                    documents=snapshot.live,
                    deleted=snapshot.size - snapshot.live,
                    error=failed,
                )
            )


def _searched(search: Timed, result: Result | None, begun: float, error: Exception | None) -> Searched:
    snapshot = search.snapshot
    return Searched(
        index=str(snapshot.segments[0].segment.path.parents[1]) if snapshot.segments else "",
        generation=snapshot.generation,
        segments=len(snapshot.segments),
        documents=snapshot.live,
        hits=0 if result is None else len(result),
        exact=result is not None and result.exact,
        degraded={} if result is None else result.notes,
        spans=[*search.spans, ("total", begun, time.perf_counter())],
        error=error,
    )
