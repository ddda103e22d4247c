"""Which segments to merge after a change, so that there are never many.

Segments stand on tiers by how many live documents they have: tier 0 holds those of fewer than ``floor``,
tier 1 those of fewer than 32 · floor, and each tier after it of up to ``factor`` times as many. As soon as a
tier holds ``factor`` segments they become one; on tier 1 two do, as another segment there slows a search
down more than its documents. So n documents added one by one lie in at most factor + (factor - 1) · (1 +
log_factor(n / (32 · floor))) segments. Above tier 1 each is written once a tier (the log-structured merge of
O'Neil et al. 1996, with the tiers of Lucene's and Cassandra's policies); below it more often, because there a
file costs more than what is in it. A segment that is mostly deleted documents is written anew by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hybrid.errors import InputError
from hybrid.index.passages import rows_in
from hybrid.index.snapshot import SegmentView
from hybrid.kernels.blocks import MOST_DOCUMENTS

_SMALL = 32
"""Segments of up to so many times the floor are merged two by two."""

_WORTH = 256
"""So few deleted documents are not worth a merge of their own."""


@dataclass(frozen=True, slots=True)
class MergePolicy:
    """When an index merges its segments by itself, after an add, an update or a delete.

    ``factor``: how many segments of like size become one. Fewer means faster searches between merges, and
    more writing. ``floor``: segments of fewer documents count as of like size. ``largest``: segments are not
    merged into ones of more than about so many bytes, which bounds how long a change may take; `optimize`
    merges all. ``dead``: the share of deleted documents above which a segment is written anew.

    Raises:
        InputError: the factor is below 2, the size below 1, or the share is not between 0 and 1.
    """

    factor: int = 6
    floor: int = 512
    largest: int = 256 << 20
    dead: float = 0.5

    def __post_init__(self) -> None:
        for name, least in (("factor", 2), ("floor", 1), ("largest", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"{name} is {value!r}; give a whole number of at least {least}")
        if not isinstance(self.dead, int | float) or not 0 < self.dead <= 1:
            raise InputError(f"dead is {self.dead!r}; give a share above 0 and at most 1")

    def choose(self, views: Sequence[SegmentView]) -> list[SegmentView]:
        """Return the segments that are to become one next; none if all is well.

        Repeat with what the merge leaves until nothing is returned.
        """
        small = [view for view in views if _bytes(view) <= self.largest]
        tiers: dict[int, list[SegmentView]] = {}
        for view in small:
            tiers.setdefault(self._tier(view.live_count), []).append(view)
        chosen: list[SegmentView] = []
        for tier in sorted(tiers):
            made = self._tier(sum(view.live_count for view in chosen))  # counts where it will stand
            most = 2 if tier == 1 else self.factor
            if len(tiers[tier]) + (bool(chosen) and made >= tier) >= most:
                chosen += tiers[tier]
        fitting = [*_fitting(chosen, self.largest)]
        if len(fitting) > 1:
            return fitting
        return next(([view] for view in small if self._mostly_dead(view)), [])

    def _mostly_dead(self, view: SegmentView) -> bool:
        dead = view.size - view.live_count
        return dead >= _WORTH and dead > self.dead * view.size

    def _tier(self, documents: int) -> int:
        if documents < self.floor:
            return 0
        over = documents / (self.floor * _SMALL)
        return 1 if over < 1 else 2 + int(math.log(over, self.factor) + 1e-9)


def _bytes(view: SegmentView) -> int:
    """Return about how many bytes a segment's live documents take."""
    return view.segment.size * view.live_count // max(view.size, 1)


def _fitting(views: Sequence[SegmentView], largest: int) -> Iterator[SegmentView]:
    """Yield segments, smallest first, as long as what they become is not too large."""
    total = rows = 0
    for view in sorted(views, key=lambda view: (view.live_count, view.base)):
        total += _bytes(view)
        rows += rows_in(view.segment, view.size)
        if total > largest or rows > MOST_DOCUMENTS:
            return
        yield view
