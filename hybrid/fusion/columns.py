"""What a fusion reads and returns: columns of scores over candidate documents.

Every fusion is **monotone**: raising a document's score (and so improving its rank) in any branch
never lowers its fused score. The engine relies on it: it fuses ONE made-up document that has, per
branch, the best score and rank that an unseen document could have, and no unseen document can then
score higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hybrid.types import BranchKind, Doubles, Floats

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What is known of one branch's scores over ALL eligible documents of a query.

    ``lower_bound``: the theoretical minimum (BM25: 0, cosine: -1). ``maximum``: the highest score,
    0 if no document is eligible. ``minimum``: the lowest, filled only if the fusion asks for it
    (``needs_minimum``). ``top``: float64, the best ``Fusion.depth`` scores, descending, where
    documents that a sparse branch does not match count with 0; shorter only if fewer documents
    are eligible.
    """

    lower_bound: float
    maximum: float
    minimum: float | None
    top: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One branch's scores of n candidate documents.

    ``raw``: float64 (n,), true scores. ``ranks``: int64 (n,), true ranks from 1, and 0 where the
    branch does not rank the document; filled only if the fusion asks (``needs_ranks``).
    """

    name: str
    kind: BranchKind
    raw: Doubles
    ranks: NDArray[np.int64]
    summary: Summary


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """The outcome: per branch and document, and per document.

    ``normalized`` and ``contributions``: float64 (branches, n). ``scores``: float32 (n,); summed
    in branch order in float64 and rounded once.
    """

    normalized: Doubles
    contributions: Doubles
    scores: Floats


@runtime_checkable
class Fusion(Protocol):
    """A way to combine branches' scores into one; a frozen value.

    It must be monotone, also after the sum is rounded to float32, and must map a document by itself:
    what it gives one does not depend on the others in the columns. The certificate needs both.
    """

    @property
    def needs_ranks(self) -> bool:
        """Whether `fuse` reads ``Column.ranks``."""
        ...

    @property
    def needs_minimum(self) -> bool:
        """Whether `fuse` reads ``Summary.minimum``."""
        ...

    @property
    def depth(self) -> int:
        """How long ``Summary.top`` must be; 0 if it is not read."""
        ...

    def weights_for(self, branches: Sequence[tuple[str, BranchKind]]) -> tuple[float, ...]:
        """Return the weight of each branch.

        Raises:
            PipelineError: the weights do not fit these branches.
        """
        ...

    def fuse(self, columns: Sequence[Column]) -> Fused:
        """Combine the columns, which hold the same documents in the same order."""
        ...


def branches_of(columns: Sequence[Column]) -> list[tuple[str, BranchKind]]:
    """Return the name and kind of each column's branch."""
    return [(column.name, column.kind) for column in columns]


def total(contributions: Doubles) -> Floats:
    """Add contributions in branch order in float64, whatever their number, and round once (`rounded`)."""
    scores: Doubles = contributions[0].copy()
    for row in contributions[1:]:
        scores += row
    return rounded(scores)


def rounded(scores: Doubles) -> Floats:
    """Round to float32; what lies beyond its range becomes its largest or smallest finite number.

    That is monotone too. An infinite score would not do: the engine's bound is -inf where there is
    no unseen document at all.
    """
    return np.clip(scores, -_LARGEST, _LARGEST).astype(np.float32)
