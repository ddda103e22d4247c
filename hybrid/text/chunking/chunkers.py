"""Chunkers: ways of cutting texts into passages, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias, get_args

from hybrid.errors import PipelineError
from hybrid.text.chunking import seams
from hybrid.text.chunking.headings import Heading, fenced, html_headings, markdown_headings, paths
from hybrid.text.chunking.passage import Passage
from hybrid.text.chunking.pieces import check_lengths, pieces, seams_within, shifted
from hybrid.text.chunking.seams import SENTENCE, WORD, Seams
from hybrid.text.chunking.units import Units

Markup: TypeAlias = Literal["markdown", "html"]


class Chunker(Protocol):
    """Cuts texts into passages.

    Every passage but the first begins where another ends, or before; together they are the whole text.
    """

    def passages(self, text: str, units: Units) -> list[Passage]:
        """Return the passages of a text, in order; none of an empty one, none over ``units.most``."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Passages of ``size`` units, each ``overlap`` units into the one before; no word is cut.

    ``size``: None for as many as the model reads at once.
    """

    size: int | None = None
    overlap: int = 0

    kind: ClassVar[str] = "fixed"

    def __post_init__(self) -> None:
        check_lengths(self.size, self.overlap)

    def passages(self, text: str, units: Units) -> list[Passage]:
        """Return the passages of a text."""
        found = seams.of_prose(text)
        words = Seams(found.positions, found.strengths * 0 + WORD)
        return pieces(text, words, units, self.size, self.overlap)


@dataclass(frozen=True, slots=True)
class Recursive:
    """Passages of at most ``size`` units, ended where the text has its seams.

    The strongest seam of a passage's second half ends it: the end of a paragraph before that of a sentence
    or a list item, before that of a line, before that of a word. Each passage begins up to ``overlap`` units
    into the one before, at a seam.
    """

    size: int | None = None
    overlap: int = 0

    kind: ClassVar[str] = "recursive"

    def __post_init__(self) -> None:
        check_lengths(self.size, self.overlap)

    def passages(self, text: str, units: Units) -> list[Passage]:
        """Return the passages of a text."""
        return pieces(text, seams.of_prose(text), units, self.size, self.overlap)


@dataclass(frozen=True, slots=True)
class Sentences:
    """Windows of ``count`` sentences, each ``overlap`` sentences into the one before.

    A window of more than ``size`` units is cut as by `Recursive`.
    """

    count: int = 5
    overlap: int = 1
    size: int | None = None

    kind: ClassVar[str] = "sentences"

    def __post_init__(self) -> None:
        check_lengths(self.size, 0)
        check_lengths(self.count, self.overlap, "count")

    def passages(self, text: str, units: Units) -> list[Passage]:
        """Return the passages of a text."""
        if not text:
            return []
        found = seams.of_prose(text)
        starts = [0, *found.from_strength(SENTENCE).tolist(), len(text)]
        sentences = len(starts) - 1
        step = self.count - self.overlap
        passages: list[Passage] = []
        for first in range(0, max(1, sentences - self.overlap), step):
            start, end = starts[first], starts[min(first + self.count, sentences)]
            parts = pieces(text[start:end], seams_within(found, start, end), units, self.size, 0)
            done = passages[-1].end if passages else 0  # a window that is cut repeats what the one before had
            passages += [part for part in shifted(parts, start) if part.end > done]
        return passages


@dataclass(frozen=True, slots=True)
class Headings:
    """Sections of Markdown or HTML, those that are too long cut as by `Recursive`.

    A section begins with its heading. A passage knows the headings that it stands under. Fenced
    blocks of Markdown and tags of HTML are cut only where nothing else helps.
    """

    markup: Markup = "markdown"
    size: int | None = None
    overlap: int = 0

    kind: ClassVar[str] = "headings"

    def __post_init__(self) -> None:
        check_lengths(self.size, self.overlap)
        if self.markup not in get_args(Markup):
            raise PipelineError(f"markup is {self.markup!r}; accepted: {', '.join(get_args(Markup))}")

    def passages(self, text: str, units: Units) -> list[Passage]:
        """Return the passages of a text."""
        markdown = self.markup == "markdown"
        headings = markdown_headings(text) if markdown else html_headings(text)
        found = _markdown_seams(text) if markdown else seams.of_html(text)
        passages = []
        for start, end, path in _sections(text, headings):
            parts = pieces(text[start:end], seams_within(found, start, end), units, self.size, self.overlap)
            passages += shifted(parts, start, path)
        return passages


def _sections(text: str, headings: Sequence[Heading]) -> list[tuple[int, int, tuple[str, ...]]]:
    """Return where each section begins and ends, and the headings it stands under."""
    starts = [heading.position for heading in headings]
    bounds = [*starts, len(text)]
    found = list(zip(starts, bounds[1:], paths(headings), strict=True))
    return [(0, bounds[0], ()), *found] if bounds[0] > 0 else found


def _markdown_seams(text: str) -> Seams:
    """Return the seams of Markdown: those of prose, and in fenced blocks words alone."""
    found = seams.of_prose(text)
    strengths = found.strengths.copy()
    for start, end in fenced(text):
        a, b = found.positions.searchsorted((start + 1, end))
        strengths[a:b] = WORD
    return Seams(found.positions, strengths)
