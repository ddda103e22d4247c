"""A column of byte strings: one blob and the offsets into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid.index.segment import Segment, SegmentWriter

PIECE = 1 << 23
"""How many bytes are merged at a time (a string is never cut)."""

_PIECE_STRINGS = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Strings:
    """n byte strings end to end.

    ``data``: uint8, all bytes. ``offsets``: int64, shape (n + 1,); string i is
    ``data[offsets[i] : offsets[i + 1]]``.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, values: Sequence[bytes]) -> Self:
        """Return a column of these values.

        >>> [*Strings.of([b"one", b"", b"two"])]
        [b'one', b'', b'two']
        """
        offsets = np.zeros(len(values) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=offsets[1:])
        return cls(np.frombuffer(b"".join(values), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, position: int) -> bytes:
        """Return the string at a position from 0."""
        if not 0 <= position < len(self.offsets) - 1:
            raise IndexError(f"position {position} of {len(self)} strings")
        return self.data[self.offsets[position] : self.offsets[position + 1]].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        view, offsets = self.data.data, self.offsets.tolist()
        for start, stop in pairwise(offsets):
            yield bytes(view[start:stop])

    def many(self, positions: NDArray[np.int64]) -> list[bytes]:
        """Return the strings at several positions, all of which must be there."""
        view = self.data.data
        starts, stops = self.offsets[positions].tolist(), self.offsets[positions + 1].tolist()
        return [bytes(view[start:stop]) for start, stop in zip(starts, stops, strict=True)]

    def texts(self, positions: NDArray[np.int64]) -> list[str]:
        """Return the strings at several positions, decoded from UTF-8."""
        view = self.data.data
        starts, stops = self.offsets[positions].tolist(), self.offsets[positions + 1].tolist()
        return [str(view[start:stop], "utf-8") for start, stop in zip(starts, stops, strict=True)]

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the strings at these positions, in this order."""
        offsets = np.zeros(len(order) + 1, np.int64)
        np.cumsum(self.offsets[order + 1] - self.offsets[order], out=offsets[1:])
        data = np.empty(offsets[-1], np.uint8)
        where, done = np.zeros(len(order), np.int64), 0
        for piece in _pieces([self], np.zeros(1, np.int64), where, order, offsets):
            data[done : done + len(piece)] = piece
            done += len(piece)
        return type(self)(data, offsets)

    @classmethod
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Return all strings of all parts, in order."""
        columns = list(parts)
        sizes = np.concatenate([np.diff(part.offsets) for part in columns])
        offsets = np.zeros(len(sizes) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        return cls(np.concatenate([part.data for part in columns]), offsets)

    def write(self, out: SegmentWriter, name: str) -> None:
        """Write the column as the arrays ``f"{name}.data"`` and ``f"{name}.offsets"``."""
        out.add(f"{name}.data", self.data)
        out.add(f"{name}.offsets", self.offsets)

    @classmethod
    def merge(cls, parts: Sequence[Self], order: NDArray[np.int64], out: SegmentWriter, name: str) -> None:
        """Write the strings at these positions of the parts' concatenation, in this order and in pieces."""
        bases = np.cumsum([0, *map(len, parts)])
        which = np.searchsorted(bases, order, "right") - 1
        offsets = np.zeros(len(order) + 1, np.int64)
        for number, part in enumerate(parts):
            here = np.flatnonzero(which == number)
            positions = order[here] - bases[number]
            offsets[here + 1] = part.offsets[positions + 1] - part.offsets[positions]
        np.cumsum(offsets, out=offsets)
        out.add_chunks(
            f"{name}.data", np.uint8, (int(offsets[-1]),), _pieces(parts, bases, which, order, offsets)
        )
        out.add(f"{name}.offsets", offsets)

    @classmethod
    def read(cls, segment: Segment, name: str) -> Self:
        """Return the column written under ``name``, without copying it."""
        return cls(segment[f"{name}.data"], segment[f"{name}.offsets"])


def _pieces(
    parts: Sequence[Strings],
    bases: NDArray[np.int64],
    which: NDArray[np.int64],
    order: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> Iterator[NDArray[np.uint8]]:
    """Yield the bytes of strings, about `PIECE` at a time; neighbours in one part are copied at once."""
    first = 0
    while first < len(order):
        last = int(np.searchsorted(offsets, offsets[first] + PIECE, "right")) - 1
        last = min(max(last, first + 1), first + _PIECE_STRINGS, len(order))
        rows = order[first:last]
        starts = np.flatnonzero(
            (np.diff(rows, prepend=-2) != 1) | (np.diff(which[first:last], prepend=-1) != 0)
        )
        ends = np.append(starts[1:], len(rows)) - 1
        numbers = which[first + starts]
        spans = zip(
            numbers.tolist(),
            (rows[starts] - bases[numbers]).tolist(),
            (rows[ends] + 1 - bases[numbers]).tolist(),
            strict=True,
        )
        runs = [parts[n].data[parts[n].offsets[start] : parts[n].offsets[stop]] for n, start, stop in spans]
        yield runs[0] if len(runs) == 1 else np.concatenate(runs)
        first = last
