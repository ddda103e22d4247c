"""Cutting: the longest passages that a budget allows, ended at the best seams within reach."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hybrid.text.chunking.seams import Seams
from hybrid.text.chunking.units import Spans, Units

Span = tuple[int, int]
"""Where a passage begins and ends, in characters."""


def cut(text: str, seams: Seams, units: Units, most: int, overlap: int = 0) -> Iterator[Span]:
    """Cut a text into passages of at most ``most`` units; yield where each begins and ends.

    The first passage begins where the text does, the last ends where it does, and each begins where
    the one before ends, or up to ``overlap`` units before. A passage ends at the strongest seam of
    its second half, the last of equals; without one at its last seam; and without any where the
    budget ends. A text of one unit that is over the budget by itself is cut between characters.
    """
    spans = units.spans(text)
    start = end = 0
    while end < len(text):
        done, end = end, _fitting(text, start, end, seams, units, spans, most)
        if end <= done:  # the overlap left no room for anything new
            start, end = done, _fitting(text, done, done, seams, units, spans, most)
        yield start, end
        start = _next_start(start, end, seams, spans, overlap)


def _fitting(text: str, start: int, done: int, seams: Seams, units: Units, spans: Spans, most: int) -> int:
    """Return where the passage that begins at ``start`` ends, after ``done`` if that can be.

    Units are counted in the whole text first. Standing alone the passage may have others (a model's
    tokens depend on what is around them), so it is counted again, and shortened while it has too many.
    """
    budget = max(1, most - units.count(""))
    while True:
        end = _end(text, start, done, seams, spans, budget)
        excess = units.count(text[start:end]) - most
        if excess <= 0 or end - start <= 1:
            return end
        if budget <= 1:
            return _within(text, start, end, units, most)
        budget = max(1, min(budget, _units(spans, start, end)) - excess)


def _units(spans: Spans, start: int, end: int) -> int:
    first, last = np.searchsorted(spans[:, 0], (start, end))
    return int(last - first)


def _end(text: str, start: int, done: int, seams: Seams, spans: Spans, budget: int) -> int:
    first = int(np.searchsorted(spans[:, 0], start))
    if first + budget >= len(spans):
        return len(text)
    limit = int(spans[first + budget, 0])
    least = max(start, done) + 1
    half = max(int(spans[first + budget // 2, 0]), least)
    a, h, b = np.searchsorted(seams.positions, (least, half, limit + 1))
    if h < b:
        strengths = seams.strengths[h:b]
        return int(seams.positions[b - 1 - int(np.argmax(strengths[::-1]))])
    if a < b:
        return int(seams.positions[b - 1])
    return max(limit, start + 1)


def _within(text: str, start: int, end: int, units: Units, most: int) -> int:
    """Return the farthest end, by bisection, up to which the characters from ``start`` fit, at least one."""
    low, high = start + 1, end
    while low < high:
        middle = (low + high + 1) // 2
        if units.count(text[start:middle]) <= most:
            low = middle
        else:
            high = middle - 1
    return low


def _next_start(start: int, end: int, seams: Seams, spans: Spans, overlap: int) -> int:
    """Return where the next passage begins: at a seam among the last ``overlap`` units, or at the end."""
    if overlap <= 0 or not len(spans):
        return end
    after = int(np.searchsorted(spans[:, 0], end))
    earliest = max(int(spans[max(after - overlap, 0), 0]), start + 1)
    at = int(np.searchsorted(seams.positions, earliest))
    return int(min(seams.positions[at], end)) if at < len(seams.positions) else end
