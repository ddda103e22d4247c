"""Rescoring while neighbours of the best so far join: graph-based adaptive reranking.

MacAvaney, Tonellotto and Macdonald: "Adaptive Re-Ranking with a Corpus Graph", CIKM 2022, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.types import Docnums, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """What was rescored, in the order in which it was.

    ``docnums``: int64, shape (n,). ``scores``: float32, shape (n,). ``sources``: of those that came in as a
    neighbour, the rescored document that brought them.
    """

    docnums: Docnums
    scores: Floats
    notes: tuple[str, ...]
    sources: dict[int, int]


class Frontier:
    """Neighbours that wait: the best document's first, of one document the nearest first, then by id."""

    def __init__(self, ids: Callable[[NDArray[np.int64]], Sequence[Any]]) -> None:
        self._ids = ids
        self._waiting: dict[int, tuple[float, int, int]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, source: int, score: float, neighbours: Docnums, known: Collection[int]) -> None:
        """Let a document's neighbours wait, unless they are known; what waits keeps its best place."""
        for place, docnum in enumerate(neighbours.tolist()):
            rank = (-score, place, source)
            if docnum not in known and rank[:2] < self._waiting.get(docnum, (np.inf, 0, 0))[:2]:
                self._waiting[docnum] = rank

    def take(self, n: int) -> dict[int, int]:
        """Return the next ``n`` at most, each with the document that brought it."""
        waiting = list(self._waiting)
        keys = dict(zip(waiting, self._ids(np.array(waiting, np.int64)), strict=True)) if waiting else {}
        chosen = sorted(waiting, key=lambda docnum: (*self._waiting[docnum][:2], keys[docnum]))[:n]
        return {docnum: self._waiting.pop(docnum)[2] for docnum in chosen}

    def drop(self, docnums: Iterable[int]) -> None:
        """Let documents wait no more."""
        for docnum in docnums:
            self._waiting.pop(docnum, None)


def adapt(
    ranked: Docnums,
    judge: Callable[[Docnums], tuple[Floats, tuple[str, ...]]],
    neighbours: Callable[[Docnums], list[Docnums]],
    budget: int,
    batch: int,
    ids: Callable[[NDArray[np.int64]], Sequence[Any]],
) -> Adapted:
    """Rescore ``budget`` documents: batches of the list, and of neighbours of the best so far, in turn.

    ``ranked``: the list. ``neighbours`` gives the nearest of each document. ``ids`` is that of
    `hybrid.ranking.best`.
    """
    listed, frontier = ranked.tolist(), Frontier(ids)
    in_list = frozenset(listed)
    scored: dict[int, float] = {}
    notes: list[str] = []
    sources: dict[int, int] = {}
    at_neighbours = False
    while len(scored) < budget:
        room = min(batch, budget - len(scored))
        pending = [docnum for docnum in listed if docnum not in scored]
        brought = frontier.take(room) if at_neighbours or not pending else {}
        chosen = list(brought) or pending[:room]
        if not chosen:
            break
        docnums = np.array(chosen, np.int64)
        scores, said = judge(docnums)
        notes += said
        scored |= dict(zip(chosen, scores.tolist(), strict=True))
        sources |= {docnum: source for docnum, source in brought.items() if docnum not in in_list}
        frontier.drop(chosen)
        if len(scored) < budget:
            for docnum, near in zip(chosen, neighbours(docnums), strict=True):
                frontier.offer(docnum, scored[docnum], near, scored.keys())
        at_neighbours = not at_neighbours
    return Adapted(
        np.array(list(scored), np.int64), np.array(list(scored.values()), np.float32), tuple(notes), sources
    )
