"""Postings on disk: for each term its documents, in blocks that can be bounded without being read."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hybrid.errors import StorageError
from hybrid.index.segment import Segment, SegmentWriter
from hybrid.index.spool import Spool
from hybrid.index.strings import Strings
from hybrid.kernels import codes, levels
from hybrid.kernels.blocks import MOST_DOCUMENTS, WIDTH, pack, unpack
from hybrid.types import Bools, Doubles, Floats

_UNSIGNED = (np.uint8, np.uint16, np.uint32)
_COLUMNS = ("blocks", "starts", "windows", "sizes", "levels", "docs")


class Place(NamedTuple):
    """A term in a segment: its number there, and where its blocks and its postings begin and end."""

    term: int
    first_block: int
    last_block: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The postings of a segment, sharing its memory; see `hybrid.kernels.blocks` for the layout.

    ``values``: shape (F, postings), counts, or if ``learned`` the bits of float16 weights, or uint8 codes.
    ``lengths``: int32, shape (F, documents), of learned weights (0, documents). ``totals``: int64, shape
    (F,), the sums of the lengths.
    ``reference``: float64, shape (2,), what the levels of counts were made with: the average and the
    greatest length, fields together. ``peaks``: float32, the greatest weight of each term, which is
    what levels of learned weights are relative to; empty for counts.
    """

    vocabulary: Strings
    blocks: NDArray[Any]
    starts: NDArray[Any]
    windows: NDArray[np.uint16]
    sizes: NDArray[np.uint8]
    levels: NDArray[np.uint8]
    docs: NDArray[np.uint8]
    values: NDArray[Any]
    lengths: NDArray[np.int32]
    totals: NDArray[np.int64]
    reference: Doubles
    peaks: Floats
    learned: bool

    @classmethod
    def of(cls, segment: Segment, prefix: str) -> Self:
        """Return the postings of a segment."""
        names = (*_COLUMNS, "values", "peaks")
        arrays: dict[str, Any] = {name: segment[f"{prefix}/postings.{name}"] for name in names}
        arrays |= {name: segment[f"{prefix}/{name}"] for name in ("lengths", "totals", "reference")}
        learned = not len(arrays["lengths"])  # learned weights have none, also where there are no postings
        if arrays["values"].dtype.kind == "f":
            arrays["values"] = arrays["values"].view(np.uint16)
        return cls(Strings.read(segment, f"{prefix}/vocabulary"), learned=learned, **arrays)

    @property
    def documents(self) -> int:
        """How many documents the segment has."""
        return int(self.lengths.shape[1])

    def find(self, term: str) -> int:
        """Return a term's position in the vocabulary, or -1."""
        spelled = term.encode(errors="surrogatepass")
        position = bisect_left(self.vocabulary, spelled)
        found = position < len(self.vocabulary) and self.vocabulary[position] == spelled
        return position if found else -1

    def place(self, term: str) -> Place | None:
        """Return where a term stands, None if it does not occur."""
        at = self.find(term)
        if at < 0:
            return None
        blocks, entries = self.span(at, at + 1)
        return Place(at, blocks.start, blocks.stop, entries.start, entries.stop)

    def span(self, first: int, last: int) -> tuple[slice, slice]:
        """Return where the blocks and the postings of the terms from ``first`` to ``last`` - 1 stand."""
        blocks = slice(int(self.blocks[first]), int(self.blocks[last]))
        return blocks, slice(int(self.starts[first]), int(self.starts[last]))

    def frequency(self, term: int, live: Bools | None, fields: tuple[float, ...] | None) -> int:
        """Count the live documents of a term, in fields that weigh more than 0 (None: in any)."""
        if live is None and not fields:
            return int(self.starts[term + 1]) - int(self.starts[term])
        _, docs, values = self.decode(term, term + 1)
        holds = np.ones(len(docs), np.bool_) if live is None else live[docs]
        if fields:
            holds &= (values[[weight > 0 for weight in fields]] > 0).any(axis=0)
        return int(np.count_nonzero(holds))

    def decode(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]]:
        """Return the postings of the terms from ``first`` to ``last`` - 1.

        Returned are: int64, shape (terms + 1,), where each term's begin; int32, the ordinals of their
        documents; and their values, shape (F, postings), float16 if they are learned.
        """
        blocks, entries = self.span(first, last)
        starts = self.starts[first : last + 1].astype(np.int64) - entries.start
        docs = unpack(self.windows[blocks], self.sizes[blocks], self.docs[entries])
        values = self.values[:, entries]
        if not self.learned:
            return starts, docs, values
        return starts, docs, values.view(np.float16) if self.bits == 16 else codes.decode(values)

    @property
    def bits(self) -> int:
        """How many bits a value has."""
        return 8 * int(self.values.dtype.itemsize)


class PostingsWriter:
    """Writes postings into a segment, some terms at a time; a context manager.

    A segment takes one array after the other, so what was added waits in unnamed files next to it:
    memory is bounded by what is added at a time. ``highest``: no count that will come is greater.
    ``bits``: how many a learned weight has, 16 or 8.
    """

    def __init__(
        self,
        out: SegmentWriter,
        prefix: str,
        lengths: NDArray[np.int32],
        dtype: DTypeLike,
        highest: float,
        bits: int = 16,
    ) -> None:
        if lengths.shape[1] > MOST_DOCUMENTS:
            raise StorageError(
                f"a segment can hold {MOST_DOCUMENTS:,} documents, and this one would have "
                f"{lengths.shape[1]:,}"
            )
        self._out, self._prefix, self._lengths = out, prefix, lengths
        self._learned = np.dtype(dtype).kind == "f"
        self._coded = self._learned and bits == 8
        wide = np.dtype(np.uint8 if self._coded else np.float16)
        self._dtype = wide if self._learned else narrowest(highest)
        sums = lengths.sum(axis=0, dtype=np.int64)
        average = float(sums.mean()) if len(sums) and len(lengths) else 0.0
        self._reference = (max(average, 1.0), float(sums.max(initial=0)))
        self._norms = levels.reference_norms(lengths, self._reference[0])
        self._highest = 0
        self._files = ExitStack()
        self._columns: dict[str, Spool] = {}
        self._blocks = self._postings = 0
        for name, kind in (("blocks", np.int64), ("starts", np.int64), ("vocabulary.offsets", np.int64)):
            self._column(name, np.dtype(kind)).add(np.zeros(1, kind))
        for name in ("vocabulary.data", "sizes", "levels", "docs"):
            self._column(name, np.dtype(np.uint8))
        self._column("windows", np.dtype(np.uint16))
        self._column("peaks", np.dtype(np.float32))
        for field in range(max(1, len(lengths))):
            self._column(f"values.{field}", self._dtype)

    def add(
        self, vocabulary: Strings, starts: NDArray[np.int64], docs: NDArray[np.int32], values: NDArray[Any]
    ) -> None:
        """Add the next terms, sorted, with their postings as `Postings.decode` gives them."""
        if not len(vocabulary):
            return
        blocks, windows, sizes, bounds = pack(starts, docs, self._worth(starts, docs, values))
        columns = self._columns
        columns["blocks"].add(blocks[1:] + self._blocks)
        columns["starts"].add(starts[1:] + self._postings)
        columns["vocabulary.offsets"].add(vocabulary.offsets[1:] + columns["vocabulary.data"].count)
        columns["vocabulary.data"].add(vocabulary.data)
        columns["windows"].add(windows)
        columns["sizes"].add(sizes)
        columns["levels"].add(bounds)
        columns["docs"].add((docs & (WIDTH - 1)).astype(np.uint8))
        for field, row in enumerate(codes.encode(values) if self._coded else values):
            columns[f"values.{field}"].add(row.astype(self._dtype, copy=False))
        self._blocks += len(windows)
        self._postings += len(docs)
        if not self._learned:
            self._highest = max(self._highest, int(values.max(initial=0)))

    def _column(self, name: str, dtype: np.dtype[Any]) -> Spool:
        self._columns[name] = self._files.enter_context(Spool(self._out.path.parent, dtype))
        return self._columns[name]

    def _worth(
        self, starts: NDArray[np.int64], docs: NDArray[np.int32], values: NDArray[Any]
    ) -> NDArray[np.uint8]:
        if not self._learned:
            return levels.of_counts(values, self._norms[docs])
        weights = values[0].astype(np.float32)
        peaks = np.maximum.reduceat(weights, starts[:-1])
        self._columns["peaks"].add(peaks)
        return levels.of_weights(weights, np.repeat(peaks, np.diff(starts)))

    def _finish(self) -> None:
        """Write all arrays into the segment."""
        for name in ("vocabulary.data", "vocabulary.offsets"):
            self._write(name, [self._columns[name]], (self._columns[name].count,))
        self._out.add(f"{self._prefix}/lengths", self._lengths)
        self._out.add(f"{self._prefix}/totals", self._lengths.sum(axis=1, dtype=np.int64))
        self._out.add(f"{self._prefix}/reference", np.array(self._reference, np.float64))
        for name in (*_COLUMNS, "peaks"):
            self._write(f"postings.{name}", [self._columns[name]], (self._columns[name].count,))
        if not self._learned:
            self._dtype = narrowest(self._highest)
        fields = [column for name, column in self._columns.items() if name.startswith("values.")]
        self._write("postings.values", fields, (len(fields), self._postings))

    @property
    def _bytes(self) -> int:
        return self._columns["vocabulary.data"].count

    def _write(self, name: str, columns: list[Spool], shape: tuple[int, ...]) -> None:
        dtype = self._dtype if name == "postings.values" else columns[0].dtype
        if dtype == np.int64 and max(self._postings, self._bytes) <= np.iinfo(np.uint32).max:
            dtype = np.dtype(np.uint32)  # the offsets of most segments fit
        pieces = (piece for column in columns for piece in column)
        self._out.add_chunks(f"{self._prefix}/{name}", dtype, shape, pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._files:
            if kind is None:
                self._finish()


def narrowest(highest: float) -> np.dtype[Any]:
    """Return the smallest unsigned type that holds a count."""
    return np.dtype(next(kind for kind in _UNSIGNED if highest <= np.iinfo(kind).max))


def narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Return counts in the smallest unsigned type that holds them all; floats as they are."""
    return values if values.dtype.kind == "f" else values.astype(narrowest(int(values.max(initial=0))))


def readonly(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view: compiled code is made once for arrays that are, and once for others."""
    view = array.view()
    view.flags.writeable = False
    return view
