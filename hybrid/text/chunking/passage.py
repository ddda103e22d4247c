"""A passage: where it stands in its text, and under which headings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text: the characters from ``start`` to before ``end``, and the headings it stands under.

    ``headings``: from the outermost to the innermost, empty where the chunker looks at none. ``around``:
    where the larger part that it was cut from begins and ends, None where it was cut from the text itself.
    """

    start: int
    end: int
    headings: tuple[str, ...] = ()
    around: tuple[int, int] | None = None

    def of(self, text: str) -> str:
        """Return the passage's characters.

        >>> Passage(2, 5).of("ab cd e")
        ' cd'
        """
        return text[self.start : self.end]
