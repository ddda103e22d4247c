"""Approximate nearest neighbours in one segment: faiss proposes, the stored vectors decide.

An index is built when its segment is written, kept in it as faiss spells it, and loaded when it is
first asked. Its candidates are scored exactly, so that only whether a document is found at all is
approximate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.index.dense.kinds import HNSW, IVF, PQ, SQ8, Binary, Index
from hybrid.index.dense.library import library
from hybrid.index.dense.search import Found, Search, best_of
from hybrid.index.dense.stored import Stored
from hybrid.index.dense.vectors import Vectors
from hybrid.index.ranks import Standing
from hybrid.threads import thread_count
from hybrid.types import Bools, Doubles, Floats

_SEED = 20_080_612
_TRAINING = 256
"""How many vectors a centroid is trained on."""

_PROBED = 32
"""One in so many lists is read, if nothing is said."""

_PAD = 16
"""How many more candidates than results are scored where the index compares the vectors themselves."""

_GROWTH = 4
_SELECTIVE = 16
"""If fewer than one document in so many is eligible, an exact search is as fast, and misses nothing."""


def build(
    kind: Index, count: int, dimension: int, pieces: Callable[[], Iterable[Vectors]]
) -> NDArray[np.uint8]:
    """Return an index of vectors as bytes; ``pieces`` gives the vectors, as often as it is called."""
    faiss = library()

    if isinstance(kind, Binary):
        signs = faiss.IndexBinaryFlat(-(-dimension // 8) * 8)
        for piece in pieces():
            signs.add(_signs(piece.decoded()))
        return np.asarray(faiss.serialize_index_binary(signs))
    index = _empty(kind, count, dimension)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(thread_count())
    try:
        if not index.is_trained:
            index.train(_sample(count, dimension, pieces, _training(kind, count)))
        for piece in pieces():
            index.add(piece.decoded())
    finally:
        faiss.omp_set_num_threads(threads)
    return np.asarray(faiss.serialize_index(index))


def worth_asking(count: int, eligible: Bools | None) -> bool:
    """Return whether enough of a segment's documents are eligible for an approximate search."""
    return eligible is None or int(np.count_nonzero(eligible)) * _SELECTIVE >= count


class NeighboursSegment:
    """One query against one segment's index, which is loaded when it is first asked.

    ``exact`` answers what the index cannot.
    """

    def __init__(
        self,
        stored: Stored,
        index: Callable[[], Any],
        query: Floats,
        eligible: Bools | None,
        kind: Index,
        exact: Search,
    ) -> None:
        self._stored, self._query, self._eligible = stored, query, eligible
        self._kind, self._exact = kind, exact
        self._index = index
        self._count = len(stored) if eligible is None else int(np.count_nonzero(eligible))

    def top(self, k: int, floor: Doubles) -> Found:
        """Return the best ``k`` of the documents that the index proposes; never fewer than there are.

        If it proposes fewer than ``k``, it is asked for more, and in the end all are compared.
        """
        depth, effort = self._depth(k), 1
        while depth * _GROWTH < self._count:
            found = self._proposed(depth, effort)
            if len(found) >= k:
                return best_of(self._stored, np.sort(found), self._query, k)
            depth, effort = depth * _GROWTH, effort * _GROWTH
        return self._exact.top(k, floor)

    def standing(self, levels: Floats) -> Standing:
        """Return how the documents stand to true scores, given in ascending order."""
        return self._exact.standing(levels)

    def _depth(self, k: int) -> int:
        """Return how many candidates are asked for, at first."""
        kind = self._kind
        if isinstance(kind, HNSW) or (isinstance(kind, IVF) and kind.codes == "flat"):
            return k + _PAD
        return k * getattr(kind, "rescore", 1)

    def _proposed(self, depth: int, effort: int) -> NDArray[np.int64]:
        """Return the ordinals of up to ``depth`` eligible documents, in no particular order."""
        faiss = library()

        options: dict[str, Any] = {}
        if self._eligible is not None:
            bits = np.packbits(self._eligible, bitorder="little")
            options["sel"] = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        index, kind = self._index(), self._kind
        query: NDArray[Any] = self._query[None]
        if isinstance(kind, Binary):
            query, parameters = _signs(query), faiss.SearchParameters(**options)
        elif isinstance(kind, HNSW):
            breadth = max(kind.ef_search, depth) * effort
            parameters = faiss.SearchParametersHNSW(efSearch=breadth, **options)
        elif isinstance(kind, IVF):
            probes = kind.probes or max(1, index.nlist // _PROBED)
            parameters = faiss.SearchParametersIVF(nprobe=min(index.nlist, probes * effort), **options)
        elif isinstance(kind, PQ):
            parameters = faiss.SearchParametersIVF(nprobe=1, **options)
        else:
            parameters = faiss.SearchParameters(**options)
        found: NDArray[np.int64] = index.search(query, depth, params=parameters)[1][0]
        return found[found >= 0]


def _empty(kind: Index, count: int, dimension: int) -> Any:
    """Return an index of no vectors."""
    faiss = library()

    index: Any
    product, eight = faiss.METRIC_INNER_PRODUCT, faiss.ScalarQuantizer.QT_8bit
    if isinstance(kind, HNSW):
        graph = faiss.IndexHNSWFlat(dimension, kind.m, product)
        graph.hnsw.efConstruction = kind.ef_construction
        return graph
    if isinstance(kind, SQ8):
        return faiss.IndexScalarQuantizer(dimension, eight, product)
    if isinstance(kind, PQ):  # one list, because that kind knows filters
        coarse, parts = faiss.IndexFlatIP(dimension), _pieces(kind.bytes, dimension)
        index = faiss.IndexIVFPQ(coarse, dimension, 1, parts, 8, product)
        index.by_residual = False
    elif isinstance(kind, IVF):
        index = _inverted(kind, dimension, min(kind.lists or _lists(count), max(1, count // 8)))
    else:
        return faiss.IndexRaBitQ(dimension, product)
    _train_quietly(index)
    return index


def _inverted(kind: IVF, dimension: int, lists: int) -> Any:
    """Return clusters of vectors, empty."""
    faiss = library()

    coarse, product, eight = faiss.IndexFlatIP(dimension), faiss.METRIC_INNER_PRODUCT, 8
    if kind.codes == "flat":
        return faiss.IndexIVFFlat(coarse, dimension, lists, product)
    if kind.codes == "sq8":
        bits = faiss.ScalarQuantizer.QT_8bit
        return faiss.IndexIVFScalarQuantizer(coarse, dimension, lists, bits, product)
    if kind.codes == "pq":
        return faiss.IndexIVFPQ(coarse, dimension, lists, _pieces(None, dimension), eight, product)
    return faiss.IndexIVFRaBitQ(coarse, dimension, lists, product)


def _lists(count: int) -> int:
    """Return into how many clusters so many vectors go, if nothing is said."""
    return int(4 * count**0.5)


def _train_quietly(index: Any) -> None:
    """Fix the seeds, and let few vectors train many centroids without a word on standard error."""
    for clustering in (index.cp, index.pq.cp) if hasattr(index, "pq") else (index.cp,):
        clustering.seed = _SEED
        clustering.min_points_per_centroid = 1
        clustering.max_points_per_centroid = _TRAINING


def _training(kind: Index, count: int) -> int:
    """Return how many vectors an index is trained on."""
    lists = (kind.lists or _lists(count)) if isinstance(kind, IVF) else 0
    return min(count, _TRAINING * max(lists, 256))


def _pieces(bytes: int | None, dimension: int) -> int:
    """Return into how many pieces product quantisation cuts a vector: a divisor of the dimension."""
    wanted = bytes or max(1, dimension // 4)
    return max(pieces for pieces in range(1, min(wanted, dimension) + 1) if dimension % pieces == 0)


def _sample(
    count: int, dimension: int, pieces: Callable[[], Iterable[Vectors]], wanted: int
) -> NDArray[np.float32]:
    """Return some of the vectors, the same whenever they are the same."""
    chosen = np.sort(np.random.default_rng(_SEED).choice(count, wanted, replace=False))
    sample = np.empty((wanted, dimension), np.float32)
    start = done = 0
    for piece in pieces():
        stop = int(np.searchsorted(chosen, start + len(piece)))
        sample[done:stop] = piece.take(chosen[done:stop] - start).decoded()
        start, done = start + len(piece), stop
    return sample


def _signs(vectors: Floats) -> NDArray[np.uint8]:
    """Return a bit for each number, 1 where it is above 0: uint8, shape (n, d / 8)."""
    return np.packbits(vectors > 0, axis=1)
