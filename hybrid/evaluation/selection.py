"""Choose one of many settings by nested cross-validation, and say what that choice is worth.

The best of thousands looks better than it is. So nothing that is reported comes from queries that the
choice has seen: an outer loop keeps a part of the queries apart, chooses on the rest, and measures the
choice on that part. How complex a choice may be is itself chosen, by an inner loop of the same kind
(Varma and Simon 2006, "Bias in Error Estimation When Using Cross-Validation for Model Selection").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import InputError
from hybrid.types import Doubles

LEAST_QUERIES = 20
REPEATS = 5
"""How often the inner loop divides the queries anew: one division decides too much by chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What was chosen, and how it does on queries that it was not chosen on.

    ``family`` and ``setting``: positions; chosen on all queries. ``held_out``: float64 (queries,), the
    values of what was chosen without the query's fold. ``families``: float64 (families, queries), the
    same where each family's best is taken whatever the family. ``chosen``: for each outer fold, the
    family and the setting.
    """

    family: int
    setting: int
    held_out: Doubles
    families: Doubles
    chosen: tuple[tuple[int, int], ...]


def select(table: Doubles, families: Sequence[Sequence[int]], folds: int = 5, seed: int = 0) -> Selection:
    """Choose a setting.

    The one-standard-error rule: of the families, the simplest whose cross-validated mean is within one
    standard error (of the paired difference) of the best family's; in it the setting of the best mean
    (Breiman, Friedman, Olshen and Stone 1984, for trees).

    ``table``: float64 (settings, queries). ``families``: the settings of each, the simplest family
    first; where settings tie the first wins.

    Raises:
        InputError: there are too few queries to be divided, or fewer than two folds.
    """
    count = table.shape[1]
    if not isinstance(folds, int) or isinstance(folds, bool) or folds < 2:
        raise InputError(f"folds is {folds!r}; give a whole number of at least 2")
    if count < max(LEAST_QUERIES, folds**2):
        raise InputError(
            f"{count} queries have relevant documents; choosing with {folds} folds in {folds} needs at least "
            f"{max(LEAST_QUERIES, folds**2)}: judge more queries, or compare two settings with hybrid eval"
        )
    outer = _folds(count, folds, seed)
    held_out, by_family = np.empty(count), np.empty((len(families), count))
    chosen = []
    for fold in range(folds):
        inside, outside = np.flatnonzero(outer != fold), np.flatnonzero(outer == fold)
        means = table[:, inside].mean(axis=1)
        best = [_best(means, members) for members in families]
        by_family[:, outside] = table[best][:, outside]
        family = _family(table[:, inside], families, folds, seed + 1 + fold)
        held_out[outside] = table[best[family], outside]
        chosen.append((family, best[family]))
    family = _family(table, families, folds, seed)
    setting = _best(table.mean(axis=1), families[family])
    return Selection(family, setting, held_out, by_family, tuple(chosen))


def _family(table: Doubles, families: Sequence[Sequence[int]], folds: int, seed: int) -> int:
    """Return the simplest family that cross-validation cannot tell from the best one."""
    repeats = (cross_validated(table, families, folds, seed + 1000 * n) for n in range(REPEATS))
    values: Doubles = sum(repeats, np.zeros((len(families), table.shape[1]))) / REPEATS
    best = int(values.mean(axis=1).argmax())
    for family in range(best):
        behind = values[best] - values[family]
        if behind.mean() <= behind.std(ddof=1) / len(behind) ** 0.5:
            return family
    return best


def cross_validated(table: Doubles, families: Sequence[Sequence[int]], folds: int, seed: int) -> Doubles:
    """Return each family's values where its best setting is chosen without the query's fold.

    float64 (families, queries).
    """
    fold_of = _folds(table.shape[1], folds, seed)
    sums = np.stack([table[:, fold_of == fold].sum(axis=1) for fold in range(folds)])
    total, values = sums.sum(axis=0), np.empty((len(families), table.shape[1]))
    for fold in range(folds):
        outside = np.flatnonzero(fold_of == fold)
        best = [_best(total - sums[fold], members) for members in families]
        values[:, outside] = table[best][:, outside]
    return values


def _best(means: Doubles, members: Sequence[int]) -> int:
    """Return the member of the best mean; the first among those that differ by rounding only."""
    among = means[list(members)]
    return int(members[int(np.flatnonzero(among >= among.max() - 1e-12 * max(1.0, abs(among.max())))[0])])


def _folds(count: int, folds: int, seed: int) -> NDArray[np.int64]:
    """Return each query's fold, as equal in size as can be."""
    return np.random.default_rng(seed).permutation(count) % folds
