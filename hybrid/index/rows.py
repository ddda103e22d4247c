"""The seam between what an index stores and how it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybrid.index.segment import Segment, SegmentWriter


class HeldRows(Protocol):
    """Columns over n documents, in memory: one part of what goes into a segment, before it is written."""

    def __len__(self) -> int:
        """Return the number of documents."""
        ...

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows at these positions, in this order."""
        ...

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write everything as arrays named ``f"{prefix}/<name>"``."""
        ...

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order; ``parts`` holds at least one."""
        ...


class Rows(HeldRows, Protocol):
    """Rows that can be read back and merged.

    Documents' own fields and each branch's representation are rows. Because they can be selected,
    reordered and concatenated, one merge serves them all. Merging must lose nothing: for any rows,
    ``read`` after ``write`` gives equal rows, and ``take`` and ``concat`` keep each row's content.
    """

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the rows that were written under ``prefix``; may share the segment's memory."""
        ...

    @classmethod
    def merge(
        cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Write some of the rows of several segments, in a new order, as ``write`` would.

        ``order``: which rows, as positions in the concatenation of the parts; rows of one part keep
        their order. Memory may grow by a few numbers a document, not by what the rows hold.
        """
        ...


class Merging(Protocol):
    """What merges rows in place of their type, where they are rows of something else."""

    def merge(
        self, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Do what `Rows.merge` does."""
        ...


RowType: TypeAlias = type[Rows] | Merging
"""What merges the rows of a part of segments."""
