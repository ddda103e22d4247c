"""BM25: one function per formula, and the value that says which of them to use.

A BM25 score is a sum over the query's terms of idf × saturation. Kamphuis, de Vries, Boytsov and
Lin (2020), "Which BM25 Do You Mean? A Large-Scale Reproducibility Study of Scoring Variants",
tell the variants apart; the names are theirs. The norm is always the document's length relative
to the collection, see `length_norm`.

BM25L and BM25+ add ``delta`` only to terms that occur in the document, as in the papers. (The
packages rank-bm25 and bm25s also credit every document with a constant for each query term that it
lacks.) No idf is negative, so no score is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from hybrid.errors import PipelineError

_HIGHEST = 1e6
"""No parameter may be above this: more makes no sense, and infinities would make scores NaN."""


def idf_lucene(documents: int, frequency: int) -> float:
    """Return log(1 + (N - df + ½) / (df + ½)): Lucene's, always above 0 (Kamphuis et al. 2020).

    >>> round(idf_lucene(3, 3), 6)  # log(8 / 7)
    0.133531
    """
    return math.log1p((documents - frequency + 0.5) / (frequency + 0.5))


def idf_robertson(documents: int, frequency: int) -> float:
    """Return log((N - df + ½) / (df + ½)), or 0 where that is negative (Robertson et al. 1994).

    The floor is needed because a term of more than half of the documents would count against them.
    """
    return math.log(max(1.0, (documents - frequency + 0.5) / (frequency + 0.5)))


def idf_atire(documents: int, frequency: int) -> float:
    """Return log(N / df) (Trotman, Jia and Crane 2012, "Towards an Efficient … Search Engine")."""
    return math.log(documents / frequency)


def idf_bm25l(documents: int, frequency: int) -> float:
    """Return log((N + 1) / (df + ½)) (Lv and Zhai 2011, "When Documents Are Very Long, BM25 Fails!")."""
    return math.log((documents + 1) / (frequency + 0.5))


def idf_bm25plus(documents: int, frequency: int) -> float:
    """Return log((N + 1) / df) (Lv and Zhai 2011, "Lower-Bounding Term Frequency Normalization")."""
    return math.log((documents + 1) / frequency)


class Saturation(NamedTuple):
    """What a term that occurs tf times counts for: factor · (tf + p · norm) / (tf + q · norm) + constant."""

    p: float
    q: float
    factor: float
    constant: float


def saturation(k1: float, _delta: float) -> Saturation:
    """Return tf / (tf + k1 · norm): Lucene's and Robertson's, without the factor (k1 + 1)."""
    return Saturation(0.0, k1, 1.0, 0.0)


def saturation_atire(k1: float, _delta: float) -> Saturation:
    """Return (k1 + 1) · tf / (tf + k1 · norm) (Trotman, Jia and Crane 2012)."""
    return Saturation(0.0, k1, k1 + 1, 0.0)


def saturation_bm25l(k1: float, delta: float) -> Saturation:
    """Return (k1 + 1) · (c + δ) / (k1 + c + δ) with c = tf / norm (Lv and Zhai 2011, BM25L)."""
    return Saturation(delta, k1 + delta, k1 + 1, 0.0)


def saturation_bm25plus(k1: float, delta: float) -> Saturation:
    """Return (k1 + 1) · tf / (tf + k1 · norm) + δ (Lv and Zhai 2011, BM25+)."""
    return Saturation(0.0, k1, k1 + 1, delta)


def length_norm(average: float, b: float) -> tuple[float, float]:
    """Return n and m, where the norm of a document of length dl, 1 - b + b · dl / avgdl, is n + m · dl.

    If all documents are empty, the norm is 1 - b.

    >>> length_norm(2.0, 0.75)
    (0.25, 0.375)
    """
    return 1 - b, b / average if average > 0 else 0.0


Idf: TypeAlias = Callable[[int, int], float]

_FORMULAS: dict[str, tuple[Idf, Callable[[float, float], Saturation], float | None]] = {
    "lucene": (idf_lucene, saturation, None),
    "robertson": (idf_robertson, saturation, None),
    "atire": (idf_atire, saturation_atire, None),
    "bm25l": (idf_bm25l, saturation_bm25l, 0.5),
    "bm25+": (idf_bm25plus, saturation_bm25plus, 1.0),
}

VARIANTS = tuple(_FORMULAS)
"""The accepted variants."""


@dataclass(frozen=True, slots=True)
class Weighting:
    """Which BM25, and its parameters.

    ``k1``: how slowly repeated terms saturate, 0 or more. ``b``: how much the length matters, 0 to
    1. ``delta``: what bm25l and bm25+ add for a term that occurs at all, 0 or more; by default the
    papers' 0.5 and 1.0; the other variants have none.

    Raises:
        PipelineError: a value is not accepted.

    >>> Weighting("bm25+")
    Weighting(variant='bm25+', k1=1.2, b=0.75, delta=1.0)
    """

    variant: str = "lucene"
    k1: float = 1.2
    b: float = 0.75
    delta: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.variant, str) or self.variant not in _FORMULAS:
            raise PipelineError(
                f"variant is {self.variant!r}; the BM25 variants are {', '.join(map(repr, VARIANTS))}"
            )
        object.__setattr__(self, "k1", _checked("k1", self.k1, _HIGHEST))
        object.__setattr__(self, "b", _checked("b", self.b, 1))
        default = _FORMULAS[self.variant][2]
        if self.delta is None:
            object.__setattr__(self, "delta", default)
        elif default is None:
            raise PipelineError(
                f"delta is {self.delta!r}, and the variant {self.variant!r} has no delta; "
                "leave it out, or choose 'bm25l' or 'bm25+'"
            )
        else:
            object.__setattr__(self, "delta", _checked("delta", self.delta, _HIGHEST))

    def idf(self, documents: int, frequency: int) -> float:
        """Return the weight of a term that ``frequency`` of ``documents`` documents hold, both above 0."""
        return _FORMULAS[self.variant][0](documents, frequency)

    def saturation(self) -> Saturation:
        """Return what a term's occurrences in a document count for."""
        return _FORMULAS[self.variant][1](self.k1, self.delta or 0.0)


def _checked(name: str, value: object, highest: float) -> float:
    """Return a parameter as float, or raise."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= highest:  # type: ignore[operator] # NaN fails the comparison too
        raise PipelineError(f"{name} is {value!r}; give a number from 0 to {highest:g}")
    return float(value)  # type: ignore[arg-type]
