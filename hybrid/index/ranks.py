"""True ranks across segments: how many documents stand above a given one, by score and then id."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid.index.snapshot import Snapshot
from hybrid.types import Docnums, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """How one segment's ranked documents stand to some scores, the *levels*.

    ``above`` and ``equal``: int64, shape (levels,), how many documents score above, or exactly,
    each level. ``tied`` gives the ordinals of the latter, ascending, for the level at a position.
    """

    above: NDArray[np.int64]
    equal: NDArray[np.int64]
    tied: Callable[[int], NDArray[np.int64]]


def true_ranks(
    snapshot: Snapshot, docnums: Docnums, scores: Floats, standing: Callable[[int, Floats], Standing]
) -> NDArray[np.int64]:
    """Return the ranks, from 1, of ranked documents: int64, shape (docnums,).

    ``scores``: their true scores. ``standing`` is asked once per segment (by position), with the
    distinct scores in ascending order.
    """
    levels, level = np.unique(scores, return_inverse=True)
    standings = [standing(number, levels) for number in range(len(snapshot.segments))]
    ranks = np.ones(len(docnums), np.int64)
    for each in standings:
        ranks += each.above[level]
    equal = np.sum([each.equal for each in standings], axis=0)
    for position in np.flatnonzero(equal > 1).tolist():
        members = np.flatnonzero(level == position)
        for number, each in enumerate(standings):
            if each.equal[position]:
                before = insertion_points(snapshot, number, docnums[members])
                ranks[members] += np.searchsorted(each.tied(position), before)
    return ranks


def insertion_points(snapshot: Snapshot, number: int, docnums: Docnums) -> NDArray[np.int64]:
    """Return, for each document, how many ids of a segment come before its own: int64, (docnums,)."""
    view = snapshot.segments[number]
    points = docnums - view.base
    outside = np.flatnonzero((points < 0) | (points >= view.size))
    for row, id in zip(outside.tolist(), snapshot.ids(docnums[outside]), strict=True):
        points[row] = bisect_left(view.documents.ids, id.encode())
    return points
