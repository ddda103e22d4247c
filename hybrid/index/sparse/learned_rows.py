"""Learned weights of documents, and which of the texts were longer than the model's window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid.index.segment import Segment, SegmentWriter
from hybrid.index.sparse.rows import SparseRows
from hybrid.types import Bools


@dataclass(frozen=True, slots=True, eq=False)
class LearnedRows:
    """The weights of n documents as rows; ``truncated``: bool, shape (n,), True where a text was cut."""

    rows: SparseRows
    truncated: Bools

    def __len__(self) -> int:
        return len(self.truncated)

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows at these positions, in this order."""
        return type(self)(self.rows.take(order), self.truncated[order])

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order."""
        rows = SparseRows.concat([part.rows for part in parts])
        return cls(rows, np.concatenate([part.truncated for part in parts]))

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write the weights as postings, and the flags."""
        self.rows.write(out, prefix)
        out.add(f"{prefix}/truncated", self.truncated)

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the rows of a segment."""
        rows = SparseRows.read(segment, prefix)
        return cls(rows, truncated_flags(segment, prefix, len(rows)))

    @classmethod
    def merge(
        cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Write rows of segments, given as positions in their concatenation, in bounded memory."""
        SparseRows.merge(parts, prefix, order, out)
        flags = [truncated_flags(part, prefix, part[f"{prefix}/lengths"].shape[1]) for part in parts]
        out.add(f"{prefix}/truncated", np.concatenate(flags)[order])


def truncated_flags(segment: Segment, prefix: str, documents: int) -> Bools:
    """Return which documents of a segment were cut: none if it was written before this was kept."""
    name = f"{prefix}/truncated"
    return segment[name] if name in segment else np.zeros(documents, np.bool_)
