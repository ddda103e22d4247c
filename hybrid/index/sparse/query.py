"""A query against one segment: what both ways of answering it work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hybrid.index.sparse.postings import Place, Postings, readonly
from hybrid.index.sparse.statistics import TermStatistics
from hybrid.types import Bools, Doubles, Floats

Found = tuple[NDArray[np.int64], Floats]
"""Ordinals of documents, and their scores."""

EVERYTHING = readonly(np.empty(0, np.bool_))


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """How values become scores; see `hybrid.kernels.windows`.

    ``ceilings``: what a value is worth at most at each level, for each segment, float64 (256,).
    """

    form: Doubles
    fields: Doubles
    ceilings: Sequence[Doubles]


@dataclass(frozen=True, slots=True, eq=False)
class WeightedTerm:
    """A term of the query: what its saturation is multiplied by, and what is added to that."""

    term: str
    statistics: TermStatistics
    factor: float
    constant: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class SegmentQuery:
    """The terms of a query that one segment has, in the order in which they are added up.

    ``places``: where they stand. ``factors``, ``constants``: float64.
    ``mask``: bool, one per document, empty for all.
    """

    postings: Postings
    terms: Sequence[WeightedTerm]
    places: Sequence[Place]
    factors: Doubles
    constants: Doubles
    ceilings: Doubles
    fields: Doubles
    form: Doubles
    mask: Bools

    @classmethod
    def of(
        cls,
        postings: Postings,
        number: int,
        terms: Sequence[WeightedTerm],
        formula: Formula,
        mask: Bools | None,
    ) -> SegmentQuery:
        """Return a query's part for the segment at a position."""
        here, places = [], []
        for term in terms:
            place = term.statistics.places[number]
            if place is not None:
                here.append(term)
                places.append(place)
        return cls(
            postings,
            here,
            places,
            np.array([term.factor for term in here], np.float64),
            np.array([term.constant for term in here], np.float64),
            formula.ceilings[number],
            formula.fields,
            formula.form,
            EVERYTHING if mask is None else readonly(mask),
        )

    @property
    def tops(self) -> Doubles:
        """What a ceiling of 1 is worth, for each term."""
        if not self.postings.learned:
            return self.factors
        return self.factors * self.postings.peaks[[place.term for place in self.places]]

    def postings_read(self) -> int:
        """Return how many postings the terms have."""
        return sum(place.last - place.first for place in self.places)


class Answers(Protocol):
    """A way of answering a segment's query. All ways give the same bits."""

    def best(self, k: int, floor: Doubles) -> list[Found]:
        """Return the best ``k`` eligible documents that score above 0, in one list or several.

        ``floor``: float64, shape (1,): documents that score less need not be found. It is raised
        to what k documents are found to reach.
        """
        ...

    def reaching(self, needed: float) -> Found:
        """Return the eligible documents that score above 0 and at least ``needed``, by ordinal."""
        ...

    def contributions(self, ordinals: NDArray[np.int64]) -> tuple[Floats, Doubles]:
        """Return documents' scores, and what each term adds: float64 (n, terms), -1 where it is not."""
        ...
