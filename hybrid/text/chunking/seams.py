"""Seams: where a text may be cut, and how good a place each is.

A seam is the position of the character that a new passage would begin with. Its strength orders places by how
little a reader loses when the text is cut there.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

WORD, LINE, SENTENCE, PARAGRAPH = 1, 2, 3, 4

_LINE = re.compile(r"\n[^\S\n]*(?=\S)")
_ITEM = re.compile(r"\n(?=[^\S\n]{0,12}(?:[-*+•]|\d{1,3}[.)])[^\S\n])")
_EMPTY_LINE = re.compile(r"\n(?:[^\S\n]*\n)+")
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_TAG = re.compile(r"<[A-Za-z/!?][^>]*>")
_BLOCK = re.compile(
    r"</?(?:address|article|aside|blockquote|body|dd|div|dl|dt|figure|footer|form|h[1-6]|header|hr|li|main|nav|ol|p"
    r"|pre|section|table|tr|ul)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"""(?<!\b[A-Z])[.!?…]["'”’)\]]{0,3}\s+(?=[^\sa-z])   # not after an initial, nor before a small letter
    | [。！？｡؟।]["'”’」』）]{0,3}\s*""",
    re.VERBOSE,
)
_PROSE = ((_LINE, LINE), (_SENTENCE, SENTENCE), (_ITEM, SENTENCE), (_PARAGRAPH, PARAGRAPH))
_SPACE = np.array([chr(code).isspace() for code in range(0x3002)])
"""Which characters are white space; those beyond the table, like its last one, are none."""


@dataclass(frozen=True, slots=True, eq=False)
class Seams:
    """``positions``: int64, ascending, each once, within the text; ``strengths``: int64, of each."""

    positions: NDArray[np.int64]
    strengths: NDArray[np.int64]

    @classmethod
    def of(cls, found: Iterable[tuple[int, int]], length: int) -> Self:
        """Return the seams given as pairs of position and strength, of a text so long.

        Where several fall together the strongest counts; the ends of the text are none.
        """
        strongest: dict[int, int] = {}
        for position, strength in found:
            if 0 < position < length:
                strongest[position] = max(strength, strongest.get(position, 0))
        positions = np.array(sorted(strongest), np.int64)
        return cls(positions, np.array([strongest[int(p)] for p in positions], np.int64))

    def from_strength(self, least: int) -> NDArray[np.int64]:
        """Return the positions of the seams that are at least so strong."""
        return self.positions[self.strengths >= least]


def of_prose(text: str) -> Seams:
    r"""Return the seams of running text: words, lines, sentences and list items, paragraphs.

    >>> seams = of_prose("One two. Three.\n\nFour")
    >>> seams.positions.tolist(), seams.strengths.tolist()
    ([4, 9, 17], [1, 3, 4])
    """
    strengths = np.zeros(len(text) + 1, np.int8)
    strengths[word_starts(text)] = WORD
    for pattern, strength in _PROSE:  # from weak to strong: where several fall together the strongest stays
        strengths[[match.end() for match in pattern.finditer(text)]] = strength
    strengths[[0, -1]] = 0
    positions = np.flatnonzero(strengths)
    return Seams(positions, strengths[positions].astype(np.int64))


def word_starts(text: str) -> NDArray[np.int64]:
    """Return the positions of the characters that follow white space and are none: int64, ascending."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    space = _SPACE[np.minimum(codes, len(_SPACE) - 1)]
    return np.flatnonzero(space[:-1] & ~space[1:]) + 1


def of_code(text: str) -> Seams:
    r"""Return the seams of source code: words, lines, and lines after empty ones.

    >>> of_code("a = 1\n\nb").positions.tolist(), of_code("a = 1\n\nb").strengths.tolist()
    ([2, 4, 7], [1, 1, 4])
    """
    found = [(position, WORD) for position in word_starts(text).tolist()]
    found += [(match.start() + 1, LINE) for match in _LINE.finditer(text)]
    found += [(match.end(), PARAGRAPH) for match in _EMPTY_LINE.finditer(text)]
    return Seams.of(found, len(text))


def of_html(text: str) -> Seams:
    """Return the seams of HTML: before and after the tags of blocks, and those of prose outside of tags.

    >>> seams = of_html("<p>a b</p><p class='x y'>c</p>")
    >>> seams.positions.tolist(), seams.strengths.tolist()
    ([3, 5, 6, 10, 25, 26], [4, 1, 4, 4, 4, 4])
    """
    tags = [match.span() for match in _TAG.finditer(text)]
    prose = of_prose(text)
    pairs = zip(prose.positions.tolist(), prose.strengths.tolist(), strict=True)
    found = [pair for pair in pairs if not inside(tags, pair[0])]
    for start, end in tags:
        if _BLOCK.match(text, start):
            found += [(start, PARAGRAPH), (end, PARAGRAPH)]
    return Seams.of(found, len(text))


def inside(spans: Sequence[tuple[int, int]], position: int) -> bool:
    """Return whether a position is after the beginning of a span and before its end."""
    at = bisect_left(spans, (position,)) - 1
    return at >= 0 and spans[at][0] < position < spans[at][1]
