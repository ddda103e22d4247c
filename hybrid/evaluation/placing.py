"""Measures as functions of the places of the relevant documents, for thousands of rankings at once.

ir-measures computes what is reported (`hybrid.evaluation.measures`); these compute the same values
where a table of settings by queries is needed in seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import InputError
from hybrid.types import Doubles

ABSENT = np.iinfo(np.int32).max
"""The place of a document that is not in a ranking."""

KINDS = ("nDCG", "R", "P", "AP", "RR", "Success")
_SPELLING = re.compile(rf"({'|'.join(KINDS)})(?:@([1-9][0-9]{{0,5}}))?")


@dataclass(frozen=True, slots=True)
class PlaceMeasure:
    """One of nDCG, R, P, AP, RR and Success, with a ``cutoff`` (None: the whole ranking)."""

    kind: str
    cutoff: int | None

    @classmethod
    def parse(cls, name: str) -> PlaceMeasure:
        """Return the measure that is spelt like nDCG@10.

        Raises:
            InputError: it is none of these, or lacks the cutoff it needs.
        """
        found = _SPELLING.fullmatch(name) if isinstance(name, str) else None
        if found is None or (found[2] is None and found[1] in ("R", "P", "Success")):
            raise InputError(
                f"the measure to tune is {name!r}; it is one of nDCG@k, R@k, P@k, AP, AP@k, "
                "RR, RR@k and Success@k"
            )
        return cls(found[1], None if found[2] is None else int(found[2]))

    def __str__(self) -> str:
        return self.kind if self.cutoff is None else f"{self.kind}@{self.cutoff}"

    def values(self, places: NDArray[np.int32], grades: NDArray[np.int64], ideal: list[int]) -> Doubles:
        """Return the measure of many rankings of one query.

        ``places``: int32 (rankings, relevant candidates), from 1, `ABSENT` where a ranking lacks the
        document. ``grades``: int64 (relevant candidates,), each at least 1. ``ideal``: the grades of all
        relevant documents, candidates or not. float64 (rankings,); 0 where nothing is relevant.
        """
        if not ideal or not len(grades):
            return np.zeros(len(places))
        within = places <= (ABSENT - 1 if self.cutoff is None else self.cutoff)
        if self.kind == "nDCG":
            best = np.array(sorted(ideal, reverse=True)[: self.cutoff])
            most = float((best / np.log2(2.0 + np.arange(len(best)))).sum())
            values = np.where(within, grades / np.log2(1.0 + places), 0.0).sum(axis=1) / most
        elif self.kind == "AP":
            precision = np.arange(1, places.shape[1] + 1) / np.sort(places, axis=1)
            values = np.where(np.sort(~within, axis=1), 0.0, precision).sum(axis=1) / len(ideal)
        elif self.kind == "RR":
            values = np.where(within, 1.0 / places, 0.0).max(axis=1)
        elif self.kind == "Success":
            values = within.any(axis=1)
        else:
            values = within.sum(axis=1) / float(len(ideal) if self.kind == "R" else self.cutoff or 1)
        return np.asarray(values, np.float64)


def places_alone(
    scores: Doubles, ranked: NDArray[np.bool_], relevant: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return the places of some documents in one branch's own ranking: int32 (1, relevant).

    ``scores``: float64 (documents,), in ascending order of the ids, which break ties. ``ranked``: which
    documents the branch ranks at all; the others have the place `ABSENT`.
    """
    order = np.lexsort((np.arange(len(scores)), -scores))
    order = order[ranked[order]]
    places = np.full(len(scores), ABSENT, np.int32)
    places[order] = np.arange(1, len(order) + 1)
    return places[relevant][None]
