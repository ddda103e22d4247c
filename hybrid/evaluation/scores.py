"""Completed scores of judged queries, and tables of settings by queries computed from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid.branches import Branch
from hybrid.engine import Completed, HybridIndex, complete
from hybrid.errors import InputError
from hybrid.evaluation.measures import Qrels
from hybrid.evaluation.placing import PlaceMeasure, places_alone
from hybrid.evaluation.settings import Setting
from hybrid.fusion import RRF, Column, Weighted
from hybrid.fusion.normalizers import Normalizer, as_normalizer
from hybrid.threads import parallel
from hybrid.types import BranchKind, Doubles, Query


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What every branch says of every candidate of every judged query.

    ``branches``: one for each column. ``queries``: ids. ``completed``: one for each query. ``grades``:
    each query's judgements.
    """

    branches: tuple[Branch, ...]
    queries: tuple[str, ...]
    completed: tuple[Completed, ...]
    grades: tuple[Mapping[str, int], ...]

    @classmethod
    def of(
        cls,
        index: HybridIndex,
        queries: Sequence[tuple[str, str | Query]],
        qrels: Qrels,
        branches: Sequence[Branch] | None = None,
        depth: int = 200,
    ) -> Scores:
        """Search once for every query that has a relevant document; the others cannot tell settings apart.

        Raises:
            InputError: no query is judged, or an id of a query is not a string.
        """
        asked = [
            (qid, text) for qid, text in queries if any(grade > 0 for grade in qrels.get(qid, {}).values())
        ]
        if not asked:
            known, judged = next(iter(queries), (None, ""))[0], next(iter(qrels), None)
            raise InputError(
                f"no query has a relevant document in the qrels: ids look like {known!r}, those of the qrels "
                f"like {judged!r}; give the qrels of these queries"
            )
        chosen = tuple(index.pipeline.branches if branches is None else branches)
        completed = complete(index, [text for _, text in asked], chosen, depth)
        ids = tuple(qid for qid, _ in asked)
        return cls(chosen, ids, tuple(completed), tuple(qrels[qid] for qid in ids))

    def measure(self, settings: Sequence[Setting], measure: str | PlaceMeasure) -> Doubles:
        """Return float64 (settings, queries): each setting's measure on each query.

        The values are those of the engine's own results, as long as the candidates hold its best
        documents (see `Completed.bounds`).
        """
        wanted = PlaceMeasure.parse(measure) if isinstance(measure, str) else measure
        groups = _groups(settings, [(branch.name, branch.kind) for branch in self.branches])
        columns = parallel(lambda n: self._values(n, groups, len(settings), wanted), range(len(self.queries)))
        return np.stack(columns, axis=1)

    def _values(self, n: int, groups: Sequence[_Group], count: int, measure: PlaceMeasure) -> Doubles:
        completed, judged = self.completed[n], self.grades[n]
        values = np.zeros(count)
        found = np.array([judged.get(id, 0) for id in completed.ids], np.int64)
        relevant = np.flatnonzero(found > 0)
        ideal = [grade for grade in judged.values() if grade > 0]
        comparable = _Comparable(completed.columns)
        for group in groups:
            places = comparable.places(group, relevant)
            values[group.at] = measure.values(places, found[relevant], ideal)
        return values


_Way = Normalizer | float | None
"""What makes columns comparable: a normaliser, RRF's k, or nothing for one column alone."""


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Settings that differ only in their weights: where they stand, and float64 (settings, columns)."""

    columns: tuple[int, ...]
    way: _Way
    at: NDArray[np.int64]
    weights: Doubles


def _groups(settings: Sequence[Setting], branches: Sequence[tuple[str, BranchKind]]) -> list[_Group]:
    members: dict[tuple[tuple[int, ...], _Way], list[int]] = defaultdict(list)
    for at, setting in enumerate(settings):
        members[setting.columns, _way(setting)].append(at)
    groups = []
    for (columns, way), positions in members.items():
        chosen = [branches[n] for n in columns]
        fusions = [settings[n].fusion for n in positions]
        weights = [(1.0,) if fusion is None else fusion.weights_for(chosen) for fusion in fusions]
        groups.append(_Group(columns, way, np.array(positions), np.array(weights, np.float64)))
    return groups


def _way(setting: Setting) -> _Way:
    fusion = setting.fusion
    if fusion is None:
        return None
    if isinstance(fusion, Weighted):
        return as_normalizer(fusion.normalizer)
    if isinstance(fusion, RRF):
        return float(fusion.k)
    raise InputError(f"the fusion {fusion!r} cannot be tuned; Weighted and RRF can")


class _Comparable:
    """One query's columns, made comparable in every way that is asked for, once each."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._made: dict[tuple[int, _Way], Doubles] = {}

    def places(self, group: _Group, relevant: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the places of the relevant candidates, as the engine's fusion ranks them, to the bit.

        int32 (settings of the group, relevant).
        """
        if group.way is None:
            alone = self._columns[group.columns[0]]
            return np.repeat(places_alone(alone.raw, alone.ranks > 0, relevant), len(group.at), axis=0)
        from hybrid.kernels.places import places

        columns = np.stack([self._column(n, group.way) for n in group.columns])
        found: NDArray[np.int32] = places(columns, group.weights, relevant)
        return found

    def _column(self, n: int, way: Normalizer | float) -> Doubles:
        if (n, way) not in self._made:
            column = self._columns[n]
            if isinstance(way, float):
                self._made[n, way] = RRF(k=way).fuse([column]).normalized[0]
            else:
                self._made[n, way] = way.normalize(column.raw, column.summary)
        return self._made[n, way]
