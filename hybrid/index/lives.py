"""Which commit wrote each document, and until when it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import DocumentError
from hybrid.index.messages import shown
from hybrid.index.segment import Segment, SegmentWriter

NEVER = int(np.iinfo(np.int64).max)
"""The expiry of documents that stay."""

_LATEST = 253_402_300_799  # the last second of the year 9999, the last that datetime knows


@dataclass(frozen=True, slots=True, eq=False)
class Lives:
    """The version and the expiry of n documents.

    ``versions``: int64, the generation whose commit wrote the document; 0 if a release wrote it that did
    not keep versions. ``expires``: int64, seconds since 1970 in UTC, `NEVER` for documents that stay.
    Columns that hold one value are written as that one value, and no expiry is not written at all.
    """

    versions: NDArray[np.int64]
    expires: NDArray[np.int64]

    @classmethod
    def of(cls, expires: Sequence[datetime | float | None]) -> Self:
        """Return columns of documents that no commit has written yet."""
        seconds = [NEVER if time is None else seconds_of(time) for time in expires]
        return cls(np.zeros(len(seconds), np.int64), np.array(seconds, np.int64))

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows at these positions, in this order."""
        return type(self)(self.versions[order], self.expires[order])

    def written_by(self, generation: int) -> Self:
        """Return the same expiries, and this version for all."""
        return type(self)(np.full(len(self.versions), generation, np.int64), self.expires)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order."""
        return cls(
            np.concatenate([part.versions for part in parts]),
            np.concatenate([part.expires for part in parts]),
        )

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Write ``f"{prefix}/versions"``, and ``f"{prefix}/expires"`` if any document expires."""
        same = len(self.versions) > 0 and bool((self.versions == self.versions[0]).all())
        out.add(f"{prefix}/versions", self.versions[:1] if same else self.versions)
        if (self.expires != NEVER).any():
            out.add(f"{prefix}/expires", self.expires)

    @classmethod
    def read(cls, segment: Segment, prefix: str, count: int) -> Self:
        """Return the columns of a segment of ``count`` documents, also where they were not written."""
        versions = _column(segment, f"{prefix}/versions", 0, count)
        return cls(versions, _column(segment, f"{prefix}/expires", NEVER, count))

    def expiry(self, position: int) -> datetime | None:
        """Return when a document expires."""
        seconds = int(self.expires[position])
        return None if seconds == NEVER else datetime.fromtimestamp(seconds, UTC)


def _column(segment: Segment, name: str, otherwise: int, count: int) -> NDArray[np.int64]:
    """Return a column that may be written as one value, or not at all."""
    if name in segment:
        return np.broadcast_to(segment[name], count)
    return np.broadcast_to(np.int64(otherwise), count)


def seconds_of(time: datetime | float) -> int:
    """Return a time that `check_expiry` accepts as whole seconds since 1970, rounded down.

    >>> seconds_of(datetime(1970, 1, 2, tzinfo=UTC)), seconds_of(9.5)
    (86400, 9)
    """
    return int((time.timestamp() if isinstance(time, datetime) else time) // 1)


def check_expiry(time: object, name: str) -> None:
    """Raise ``DocumentError`` unless a document can expire at this time."""
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise DocumentError(
                f"{name}: expires is {time!r}, without a time zone; write datetime.now(UTC) + timedelta(…)"
            )
    elif isinstance(time, bool) or not isinstance(time, int | float) or not 0 <= time <= _LATEST:
        raise DocumentError(
            f"{name}: expires is {shown(time)}; give a datetime with a time zone, or seconds since 1970"
        )
