"""Small passages that know the larger part they are of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from hybrid.errors import PipelineError
from hybrid.text.chunking.chunkers import Chunker, Recursive, Sentences
from hybrid.text.chunking.passage import Passage
from hybrid.text.chunking.pieces import shifted
from hybrid.text.chunking.units import Units

_LARGE = 1 << 30


@dataclass(frozen=True, slots=True)
class Nested:
    """Parts cut by one chunker, and each part again by another: the small are searched, the large shown.

    ``outer`` may cut larger than a model reads (give it a ``size``); ``inner`` keeps to what it reads. A
    passage is under the headings that both find. With ``Passages(context="part")`` hits show the part.
    """

    outer: Chunker = field(default_factory=lambda: Recursive(1024))
    inner: Chunker = field(default_factory=lambda: Sentences(3, 0))

    kind: ClassVar[str] = "nested"

    def __post_init__(self) -> None:
        for name in ("outer", "inner"):
            value = getattr(self, name)
            if not hasattr(value, "passages") or isinstance(value, type | Nested):
                raise PipelineError(f"{name} is {value!r}; give a chunker such as Recursive(), not Nested")

    @property
    def size(self) -> int | None:
        """What a passage has at most, as `inner` says."""
        size: int | None = getattr(self.inner, "size", None)
        return size

    @property
    def overlap(self) -> int:
        """How much of the text passages have in common, if any: more than 0 says that they may."""
        return max(int(getattr(each, "overlap", 0)) for each in (self.outer, self.inner))

    def passages(self, text: str, units: Units) -> list[Passage]:
        """Return the passages of a text."""
        found: list[Passage] = []
        for part in self.outer.passages(text, _Unbounded(units)):
            small = self.inner.passages(part.of(text), units)
            done = (
                found[-1].end if found else 0
            )  # where parts overlap, what the one before had is not repeated
            found += [
                replace(each, headings=(*part.headings, *inner.headings), around=(part.start, part.end))
                for inner, each in zip(small, shifted(small, part.start), strict=True)
                if each.end > done
            ]
        return found


class _Unbounded:
    """Units without a limit but the chunker's own."""

    most = _LARGE

    def __init__(self, units: Units) -> None:
        self.spans, self.count = units.spans, units.count
