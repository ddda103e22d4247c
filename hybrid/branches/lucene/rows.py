"""Documents as texts for Lucene, and the Lucene index of a segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid.branches.lucene.analysis import IMPACTS
from hybrid.branches.lucene.files import Files, build, read_files, write_files
from hybrid.index import DocumentRows, Segment, SegmentWriter
from hybrid.index.documents import PREFIX
from hybrid.index.strings import Strings
from hybrid.types import Document

_STREAMED = 1024


@dataclass(frozen=True, slots=True, eq=False)
class TextRows:
    """The texts of n documents, in UTF-8, and the name of the analysis that turns them into terms.

    A segment gets the files of a Lucene index of them, whose document n is row n. The texts are not
    written again: they are what `Document.content` makes of the stored documents.

    The bytes of Lucene's files hold random names, so equal rows do not give equal bytes, as the rows of
    other branches do; scores are equal.
    """

    texts: Strings
    analysis: str

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the rows at these positions, in this order."""
        return type(self)(self.texts.take(order), self.analysis)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of all parts, in order."""
        return cls(Strings.concat(part.texts for part in parts), parts[0].analysis)

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Index the texts with Lucene, and write its files."""
        _write((text.decode() for text in self.texts), self.analysis, out, prefix)

    @classmethod
    def read(cls, segment: Segment, prefix: str) -> Self:
        """Return the rows of a segment."""
        count = len(segment[f"{PREFIX}/ids.offsets"]) - 1
        texts = [text.encode() for text in cls.stream([segment], prefix, np.arange(count))]
        return cls(Strings.of(texts), analysis_of([segment], prefix))

    @classmethod
    def merge(
        cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Index rows of segments anew, given as positions in their concatenation, one text at a time."""
        analysis = analysis_of(parts, prefix)
        _write(cls.stream(parts, prefix, order), analysis, out, prefix)

    @classmethod
    def stream(cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64]) -> Iterator[str]:
        """Yield the texts at positions of the parts' concatenation, in this order."""
        documents = [DocumentRows.read(part, PREFIX) for part in parts]
        titles, texts = [rows.titles for rows in documents], [rows.texts for rows in documents]
        for title, text in zip(_many(titles, order), _many(texts, order), strict=True):
            yield Document("", text, title).content


@dataclass(frozen=True, slots=True, eq=False)
class ImpactRows(TextRows):
    """Learned weights of n documents as texts (``term|weight term|weight``), which a segment keeps too."""

    def write(self, out: SegmentWriter, prefix: str) -> None:
        """Index the texts with Lucene, and write its files and the texts."""
        _write((text.decode() for text in self.texts), IMPACTS, out, prefix)
        self.texts.write(out, f"{prefix}/texts")

    @classmethod
    def merge(
        cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64], out: SegmentWriter
    ) -> None:
        """Index rows of segments anew, given as positions in their concatenation, one text at a time."""
        _write(cls.stream(parts, prefix, order), IMPACTS, out, prefix)
        Strings.merge(cls._kept(parts, prefix), order, out, f"{prefix}/texts")

    @classmethod
    def stream(cls, parts: Sequence[Segment], prefix: str, order: NDArray[np.int64]) -> Iterator[str]:
        """Yield the texts at positions of the parts' concatenation, in this order."""
        return _many(cls._kept(parts, prefix), order)

    @staticmethod
    def _kept(parts: Sequence[Segment], prefix: str) -> list[Strings]:
        return [Strings.read(part, f"{prefix}/texts") for part in parts]


def analysis_of(parts: Sequence[Segment], prefix: str) -> str:
    """Return the name of the analysis that segments were written with, which is the same for all."""
    return parts[0][f"{prefix}/analysis"].tobytes().decode()


def lucene_files(segment: Segment, prefix: str) -> Files:
    """Return the files of a segment's Lucene index, sharing its memory."""
    return read_files(segment, f"{prefix}/lucene")


def _write(texts: Iterator[str], analysis: str, out: SegmentWriter, prefix: str) -> None:
    out.add(f"{prefix}/analysis", np.frombuffer(analysis.encode(), np.uint8))
    if not out.passing:
        write_files(build(texts, analysis), out, f"{prefix}/lucene")


def _many(columns: Sequence[Strings], order: NDArray[np.int64]) -> Iterator[str]:
    """Yield strings of several columns, given as positions in their concatenation."""
    bases = np.array([0, *accumulate(map(len, columns))], np.int64)
    for first in range(0, len(order), _STREAMED):
        positions = order[first : first + _STREAMED]
        which = np.searchsorted(bases, positions, "right") - 1
        for number, position in zip(which.tolist(), (positions - bases[which]).tolist(), strict=True):
            yield columns[number][position].decode()
