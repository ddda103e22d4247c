"""What happened, for whoever asked to be told; and the package's logs, silent unless somebody listens.

Each package has its logger (``hybrid.engine``, ``hybrid.encoders``, ``hybrid.rerankers``, ``hybrid.corpus``);
what a record is about stands in its attributes (``index``, ``branch``, ``documents``, …), for formatters that
write JSON.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

logging.getLogger("hybrid").addHandler(logging.NullHandler())
logger = logging.getLogger("hybrid.observing")


@dataclass(frozen=True, slots=True)
class Searched:
    """One search.

    ``spans``: name, beginning and end of each stage, in seconds of `time.perf_counter`; the last one is
    "total". Searches that were encoded together have the span of that pass each, and its time in their
    total, but not the time that they then waited for each other. ``degraded``: what is missing from the
    answer, and why. ``error``: why there was no answer.
    """

    index: str
    generation: int
    segments: int
    documents: int
    hits: int
    exact: bool
    degraded: Mapping[str, Sequence[str]]
    spans: Sequence[tuple[str, float, float]]
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """One change, committed or not; a merge that followed it is part of it.

    ``begun``, ``ended``: seconds of `time.perf_counter`. ``generation``, ``segments``, ``documents``,
    ``deleted``: figures of the index afterwards.
    """

    index: str
    begun: float
    ended: float
    generation: int
    segments: int
    documents: int
    deleted: int
    error: BaseException | None = None


class Observer(Protocol):
    """Who wants to be told: after the work, in the thread that did it; must be thread-safe and quick."""

    def searched(self, event: Searched) -> None:
        """Take note of a search."""
        ...

    def changed(self, event: Changed) -> None:
        """Take note of a change."""
        ...


class _Observers:
    """All observers of the process; ``none`` is what a search asks first."""

    def __init__(self) -> None:
        self.all: tuple[Observer, ...] = ()


_observers = _Observers()


def observe(observer: Observer) -> Callable[[], None]:
    """Tell an observer of all searches and changes of this process from now on; return what ends that."""
    _observers.all = (*_observers.all, observer)

    def end() -> None:
        _observers.all = tuple(other for other in _observers.all if other is not observer)

    return end


def observed() -> bool:
    """Return whether anybody wants to be told."""
    return bool(_observers.all)


def tell(event: Searched | Changed) -> None:
    """Tell every observer; one that fails is logged, and nothing else suffers from it."""
    for observer in _observers.all:
        try:
            if isinstance(event, Searched):
                observer.searched(event)
            else:
                observer.changed(event)
        except Exception as error:
            logger.warning("%r failed as an observer: %s", observer, error, exc_info=error)
