"""Normalisers: maps from a branch's raw scores to comparable ones.

Each is increasing in the score and takes its parameters from the whole collection (the maximum,
the minimum) or from the branch's best n documents, where n (``depth``) is part of the value. Neither
moves with the number of hits asked for or with how deep the engine happened to look, so the
normalised score of a document is one number per query, and the certificate holds.

Each is also affine, which keeps the distances between scores: none cuts scores off at 0 or 1, so
documents below a list still differ and come out below its last one.

A list without any spread (no document, one document, equal scores) says nothing: where the scale
would be 0, every score becomes 0. That holds for the documents outside the list too, so it is as
monotone as the rest. (Qdrant gives 0.5 there, the same for every document in its list.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from hybrid.errors import PipelineError
from hybrid.fusion.columns import Summary
from hybrid.types import Doubles

_TOP = 100


class Normalizer(Protocol):
    """A frozen value that maps raw scores to comparable ones."""

    @property
    def needs_minimum(self) -> bool:
        """Whether it reads ``Summary.minimum``."""
        ...

    @property
    def depth(self) -> int | None:
        """How many of the branch's best scores it reads; None or 0 if it does not."""
        ...

    @property
    def non_negative(self) -> bool:
        """Whether no document can come out below 0."""
        ...

    def normalize(self, raw: Doubles, summary: Summary) -> Doubles:
        """Map raw scores, float64 (n,), to normalised ones."""
        ...


@dataclass(frozen=True, slots=True)
class TM2C2:
    """(s - least possible) / (highest - least possible): Bruch, Gai and Ingber 2023.

    The least possible score is the branch's theoretical minimum, the highest the observed maximum.
    """

    needs_minimum: ClassVar[bool] = False
    depth: ClassVar[int] = 0
    non_negative: ClassVar[bool] = True

    def normalize(self, raw: Doubles, summary: Summary) -> Doubles:
        """Map the theoretical minimum to 0 and the observed maximum to 1."""
        return _scaled(raw, summary.lower_bound, summary.maximum - summary.lower_bound)


@dataclass(frozen=True, slots=True)
class MinMax:
    """(s - min) / (max - min), over all eligible documents, or over the branch's best ``depth``.

    With a ``depth``, documents below the list come out below 0. In a collection of one document
    minimum and maximum are equal, so it gets 0.
    """

    depth: int | None = None

    def __post_init__(self) -> None:
        if self.depth is not None:
            object.__setattr__(self, "depth", _whole(self.depth))

    @property
    def needs_minimum(self) -> bool:
        """Whether it reads the minimum over all documents."""
        return self.depth is None

    @property
    def non_negative(self) -> bool:
        """Whether no document can come out below 0."""
        return self.depth is None

    def normalize(self, raw: Doubles, summary: Summary) -> Doubles:
        """Map the minimum to 0 and the maximum to 1."""
        if self.depth is None:
            low = summary.minimum if summary.minimum is not None else 0.0
        else:
            low = float(summary.top[: self.depth].min(initial=summary.maximum))
        return _scaled(raw, low, summary.maximum - low)


@dataclass(frozen=True, slots=True)
class ZScore:
    """(s - mean) / standard deviation, both of the branch's best ``depth``.

    The deviation is the population's (division by n): the list is described as it is, and is not a
    sample of something larger. The list then has mean 0 and variance 1.
    """

    depth: int = _TOP

    needs_minimum: ClassVar[bool] = False
    non_negative: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", _whole(self.depth))

    def normalize(self, raw: Doubles, summary: Summary) -> Doubles:
        """Map the mean of the list to 0 and one deviation above it to 1."""
        mean, deviation = _moments(summary.top[: self.depth], ddof=0)
        return _scaled(raw, mean, deviation)


@dataclass(frozen=True, slots=True)
class DBSF:
    """Distribution-based: mean - 3 deviations becomes 0, mean + 3 deviations 1 (Mazzeschi 2023).

    Mean and deviation are those of the branch's best ``depth``. The deviation is the sample's
    (division by n - 1) and scores outside are not cut off, so that it agrees with Qdrant, which
    made the method known. ``CombSUM(normalizer=DBSF())`` is Qdrant's ``dbsf``.
    """

    depth: int = _TOP

    needs_minimum: ClassVar[bool] = False
    non_negative: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", _whole(self.depth))

    def normalize(self, raw: Doubles, summary: Summary) -> Doubles:
        """Map three deviations around the mean of the list to [0, 1]."""
        mean, deviation = _moments(summary.top[: self.depth], ddof=1)
        return _scaled(raw, mean - 3 * deviation, 6 * deviation)


@dataclass(frozen=True, slots=True)
class L2:
    """s / Euclidean norm of the branch's best ``depth`` scores."""

    depth: int = _TOP

    needs_minimum: ClassVar[bool] = False
    non_negative: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", _whole(self.depth))

    def normalize(self, raw: Doubles, summary: Summary) -> Doubles:
        """Divide by the length of the list as a vector."""
        return _scaled(raw, 0.0, float(np.sqrt(np.square(summary.top[: self.depth]).sum())))


@dataclass(frozen=True, slots=True)
class Raw:
    """The raw scores: only for branches whose scores are comparable as they are."""

    needs_minimum: ClassVar[bool] = False
    depth: ClassVar[int] = 0
    non_negative: ClassVar[bool] = False

    def normalize(self, raw: Doubles, summary: Summary) -> Doubles:
        """Return the scores unchanged."""
        return raw.astype(np.float64)


NORMALIZERS: dict[str, type[TM2C2 | MinMax | ZScore | DBSF | L2 | Raw]] = {
    "tm2c2": TM2C2,
    "minmax": MinMax,
    "zscore": ZScore,
    "dbsf": DBSF,
    "l2": L2,
    "raw": Raw,
}


def as_normalizer(value: Normalizer | str) -> Normalizer:
    """Return a normaliser, made from its name where a name is given.

    Raises:
        PipelineError: there is no such normaliser.
    """
    if isinstance(value, str) and value in NORMALIZERS:
        return NORMALIZERS[value]()
    if isinstance(value, str | type) or not callable(getattr(value, "normalize", None)):
        raise PipelineError(
            f"normalizer is {value!r}; it is one of {', '.join(NORMALIZERS)}, or a value such as MinMax()"
        )
    return value


def _scaled(raw: Doubles, shift: float, scale: float) -> Doubles:
    """Return ``(raw - shift) / scale``, or zeros where there is no spread."""
    if not scale > 0:
        return np.zeros(len(raw))
    return (raw - shift) / scale


def _moments(top: Doubles, ddof: int) -> tuple[float, float]:
    """Return mean and standard deviation; no deviation where the scores are alike or too few."""
    if len(top) <= ddof or top[0] == top[-1]:
        return (float(top[0]) if len(top) else 0.0), 0.0
    return float(top.mean()), float(top.std(ddof=ddof))


def _whole(depth: object) -> int:
    if not isinstance(depth, int | np.integer) or isinstance(depth, bool) or depth < 1:
        raise PipelineError(f"depth is {depth!r}; give a whole number of at least 1")
    return int(depth)
