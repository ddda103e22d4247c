"""Weights of branches, as a part of a frozen value."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hybrid.errors import PipelineError
from hybrid.types import BranchKind


class Weights(Mapping[str, float]):
    """A mapping from branch names to weights that can neither be changed nor hold nonsense."""

    __slots__ = ("_items",)

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Check and keep the weights.

        Raises:
            PipelineError: a weight is negative or no number, or none is positive.
        """
        if not isinstance(weights, Mapping):
            raise PipelineError(f"weights is {weights!r}; give a mapping from branch names to numbers")
        for name in weights:
            if not isinstance(name, str):
                raise PipelineError(f"weights has the key {name!r}; keys are names of branches")
        checked = {
            name: float(number(f"the weight of branch {name!r}", weight, low=0.0))
            for name, weight in weights.items()
        }
        if not any(checked.values()):
            raise PipelineError(f"weights is {checked!r}; at least one must be above 0")
        self._items = tuple(sorted(checked.items()))

    def of(self, branches: Sequence[tuple[str, BranchKind]]) -> tuple[float, ...]:
        """Return the weight of each branch; the weights may name more branches than these.

        Where all of these have weight 0 (the others failed, or were not asked), they share 1.
        """
        missing = [name for name, _ in branches if name not in self]
        if missing:
            raise PipelineError(
                f"weights has no weight for branch {', '.join(map(repr, missing))}; it has "
                f"{', '.join(map(repr, self))}: give every branch one (0 leaves it out)"
            )
        weights = tuple(self[name] for name, _ in branches)
        return weights if any(weights) else tuple(1.0 / len(branches) for _ in branches)

    def __getitem__(self, name: str) -> float:
        for known, weight in self._items:
            if known == name:
                return weight
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        return repr(dict(self._items))


def number(what: str, value: object, *, low: float, high: float = math.inf, above: bool = False) -> float:
    """Return a finite number from ``low`` (exclusive if ``above``) to ``high``, as Python's own type.

    Raises:
        PipelineError: it is something else.
    """
    plain = _plain(value)
    if (plain > low if above else plain >= low) and plain <= min(high, sys.float_info.max):
        return plain
    limits = (
        f"{'above' if above else 'of at least'} {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
    )
    raise PipelineError(f"{what} is {value!r}; give a finite number {limits}")


def _plain(value: object) -> float:
    """Return a number as an int or a float, and NaN for anything else."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, float | np.floating) else math.nan
