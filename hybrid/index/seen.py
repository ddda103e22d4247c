"""Which ids were given before, in a few bytes an id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


class SeenIds:
    """The 64-bit hashes of ids, and the positions at which they were given: 16 bytes an id.

    Different ids may have the same hash, so what is found has to be checked against the ids
    themselves. Hashes differ from process to process; nothing that is kept depends on them.
    """

    def __init__(self) -> None:
        self.count = 0
        self._runs: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def suspects(self, ids: Sequence[bytes]) -> Iterator[tuple[int, int]]:
        """Yield (row, position) for each row of ``ids`` whose hash was given before at a position."""
        hashes = _hashes(ids)
        for known, positions in self._runs:
            places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            for row in np.flatnonzero(known[places] == hashes).tolist():
                place = int(places[row])
                while place < len(known) and known[place] == hashes[row]:
                    yield row, int(positions[place])
                    place += 1

    def add(self, ids: Sequence[bytes]) -> None:
        """Remember ids, which have the positions from ``count`` on."""
        if not len(ids):
            return
        hashes = _hashes(ids)
        order = np.argsort(hashes, kind="stable")
        self._runs.append((hashes[order], order + self.count))
        self.count += len(ids)
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= 2 * len(self._runs[-1][0]):
            last, before = self._runs.pop(), self._runs.pop()
            hashes, positions = (np.concatenate(pair) for pair in zip(before, last, strict=True))
            order = np.argsort(hashes, kind="stable")
            self._runs.append((hashes[order], positions[order]))


def _hashes(ids: Sequence[bytes]) -> NDArray[np.int64]:
    return np.fromiter(map(hash, ids), np.int64, len(ids))
