"""Source code cut by function and class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from hybrid.errors import PipelineError
from hybrid.text.chunking import seams
from hybrid.text.chunking.chunkers import Chunker, Recursive
from hybrid.text.chunking.passage import Passage
from hybrid.text.chunking.pieces import check_lengths, pieces, seams_within, shifted
from hybrid.text.chunking.seams import Seams
from hybrid.text.chunking.syntax import LANGUAGES, Definition, definitions, language_of
from hybrid.text.chunking.units import Units
from hybrid.types import Document


@dataclass(frozen=True, slots=True)
class Code:
    """Functions and classes of source code, each with the comments and decorators before it.

    A definition that fits is one passage; of one that does not, the definitions in it are, and what is still
    too long is cut at empty lines, lines and words. What stands between definitions is a passage by itself. A
    passage's headings are the names of the definitions around it, such as a class and its method.

    ``language``: one of `hybrid.text.chunking.syntax.LANGUAGES`. None: that of each document, by its
    metadata's ``language``, else by the suffix of its metadata's ``path``, else of its id; others are cut as
    by `Recursive`. Needs the extra ``code``.
    """

    language: str | None = None
    size: int | None = None
    overlap: int = 0

    kind: ClassVar[str] = "code"

    def __post_init__(self) -> None:
        check_lengths(self.size, self.overlap)
        if self.language is not None and self.language not in LANGUAGES:
            raise PipelineError(f"language is {self.language!r}; accepted: {', '.join(LANGUAGES)}, or None")

    def of(self, document: Document) -> Chunker:
        """Return the chunker of a document's language."""
        if self.language is not None:
            return self
        said = document.metadata.get("language")
        found = said if said in LANGUAGES else language_of(str(document.metadata.get("path", document.id)))
        return Recursive(self.size, self.overlap) if found is None else Code(found, self.size, self.overlap)

    def passages(self, text: str, units: Units) -> list[Passage]:
        """Return the passages of a text.

        Raises:
            PipelineError: the language is not given; `of` finds it.
            MissingDependencyError: the extra ``code`` is not installed.
        """
        if self.language is None:
            raise PipelineError(
                "language is None, and a text alone does not say it; give Code('python'), say"
            )
        found = _Cutter(text, seams.of_code(text), units, self)
        return list(found.parts(0, len(text), definitions(text, self.language), ()))


class _Cutter:
    """One text as it is cut."""

    def __init__(self, text: str, found: Seams, units: Units, chunker: Code) -> None:
        self._text, self._seams, self._units, self._chunker = text, found, units, chunker
        self._most = units.most if chunker.size is None else min(chunker.size, units.most)

    def parts(
        self, start: int, end: int, inner: Sequence[Definition], path: tuple[str, ...]
    ) -> Iterator[Passage]:
        """Yield the passages of a part of the text, in order, given the definitions in it."""
        for definition in inner:
            begin = self._before(definition.start, start)
            stop = self._after(definition.end, end)
            if stop <= start:
                continue
            yield from self._plain(start, begin, path)
            names = (*path, definition.name) if definition.name else path
            if self._units.count(self._text[begin:stop]) <= self._most or not definition.inner:
                yield from self._plain(begin, stop, names)
            else:
                yield from self.parts(begin, stop, definition.inner, names)
            start = stop
        yield from self._plain(start, end, path)

    def _plain(self, start: int, end: int, path: tuple[str, ...]) -> Iterator[Passage]:
        if start < end:
            within = seams_within(self._seams, start, end)
            parts = pieces(
                self._text[start:end], within, self._units, self._chunker.size, self._chunker.overlap
            )
            yield from shifted(parts, start, path)

    def _before(self, position: int, least: int) -> int:
        """Return where the blanks right before a position begin."""
        while position > least and self._text[position - 1] in " \t":
            position -= 1
        return max(position, least)

    def _after(self, position: int, most: int) -> int:
        """Return where what follows the blanks and empty lines after a definition begins."""
        rest = self._text[position:most]
        blank = len(rest) - len(rest.lstrip())
        line = rest.rfind("\n", 0, blank) + 1
        return position + (blank if blank == len(rest) else line)
