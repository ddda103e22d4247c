"""What chunkers share: parts of a text cut within a budget, and the settings of budgets."""

from __future__ import annotations

from collections.abc import Sequence

from hybrid.errors import PipelineError
from hybrid.text.chunking.cutting import cut
from hybrid.text.chunking.passage import Passage
from hybrid.text.chunking.seams import Seams
from hybrid.text.chunking.units import Units


def pieces(text: str, found: Seams, units: Units, size: int | None, overlap: int) -> list[Passage]:
    """Return the passages of a text, of at most ``size`` units (None: as many as there may be)."""
    most = units.most if size is None else min(size, units.most)
    return [Passage(start, end) for start, end in cut(text, found, units, most, min(overlap, most - 1))]


def seams_within(found: Seams, start: int, end: int) -> Seams:
    """Return the seams between two positions, counted from the first."""
    a, b = found.positions.searchsorted((start + 1, end))
    return Seams(found.positions[a:b] - start, found.strengths[a:b])


def shifted(passages: Sequence[Passage], by: int, headings: tuple[str, ...] = ()) -> list[Passage]:
    """Return passages of a part of a text as passages of the text, under these headings."""
    return [Passage(each.start + by, each.end + by, headings) for each in passages]


def check_lengths(size: object, overlap: object, name: str = "size") -> None:
    """Refuse what is no length.

    Raises:
        PipelineError: a size below 1, or an overlap that is negative or not below the size.
    """
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise PipelineError(f"{name} is {size!r}; give a whole number of at least 1, or None")
    if not isinstance(overlap, int) or isinstance(overlap, bool) or overlap < 0:
        raise PipelineError(f"overlap is {overlap!r}; give a whole number of at least 0")
    if isinstance(size, int) and overlap >= size:
        raise PipelineError(f"overlap is {overlap}, and {name} {size}; the overlap must be less")
