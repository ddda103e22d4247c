"""Candidates of one query: gathered from every branch, completed, fused, and certified.

Each branch lists its best documents to some depth. The union of the lists is the pool. Every
document of the pool gets its true score (and, where the fusion asks, its true rank) under every
branch, so nothing is ever missing. Because a fusion is monotone, no document outside the pool can
score more than a made-up one that has, in each branch, the last listed score: the *bound*. When
the k-th fused score is above the bound, the top k is proven to be that of the whole collection
(the threshold algorithm of Fagin, Lotem and Naor 2003); otherwise the lists are deepened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from hybrid.errors import FingerprintError, InputError, MissingDependencyError, StorageError
from hybrid.fusion import Column, Fused, Fusion, Summary
from hybrid.index import Snapshot
from hybrid.ranking import Ranking, best
from hybrid.types import BranchKind, Docnums, Doubles, Floats, Scorer

GROWTH = 4
"""How many times as deep lists become when they were not deep enough."""

_RAISED = (InputError, FingerprintError, StorageError, MissingDependencyError)


class BranchFailure(Exception):  # noqa: N818 - never leaves the engine
    """A branch raised: which one, and what."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(f"branch {name!r} failed: {error}")
        self.name, self.error = name, error


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Turn a branch's failure into a `BranchFailure`; wrong use and broken storage stay errors."""
    try:
        yield
    except (*_RAISED, BranchFailure):
        raise
    except Exception as error:
        raise BranchFailure(name, error) from error


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The candidates at one depth.

    ``docnums``: int64 (n,), ascending. ``columns`` and ``fused`` are over them, in that order.
    ``ranking`` holds all of them, best first. ``bound`` is the highest score that a document
    outside the pool could have, -inf if there is none that any branch ranks.
    """

    docnums: Docnums
    columns: tuple[Column, ...]
    fused: Fused
    ranking: Ranking
    bound: float

    def gap(self, k: int) -> float:
        """Return by how much a document outside the pool could beat the k-th; 0 if certified."""
        if self.bound == -np.inf:
            return 0.0
        if len(self.ranking) < k:
            return float("inf")
        # Equal scores are decided by id, which the bound knows nothing of: above means above.
        last = float(self.ranking.scores[k - 1])
        return 0.0 if last > self.bound else max(self.bound - last, float(np.finfo(np.float32).tiny))

    def position(self, docnum: int) -> int | None:
        """Return where a document stands in the columns, None if it is not in the pool."""
        at = int(np.searchsorted(self.docnums, docnum))
        return at if at < len(self.docnums) and self.docnums[at] == docnum else None


@dataclass(frozen=True, slots=True)
class Source:
    """A branch during one query: its name, its kind and its scorer."""

    name: str
    kind: BranchKind
    scorer: Scorer


def summary(source: Source, listed: Ranking, depth: int, *, minimum: bool) -> Summary:
    """Return what a fusion may read of a branch, from its list to ``depth`` at least."""
    top = listed.scores[:depth].astype(np.float64)
    if source.kind == "sparse":  # documents without any term of the query score 0
        top = np.append(top, np.zeros(max(0, min(depth, source.scorer.eligible) - len(top))))
    with guarded(source.name):
        return Summary(
            lower_bound=source.scorer.lower_bound,
            maximum=float(listed.scores[0]) if len(listed) else 0.0,
            minimum=source.scorer.minimum() if minimum else None,
            top=top,
        )


class Candidates:
    """The pool of one query, which can be deepened."""

    def __init__(
        self,
        sources: Sequence[Source],
        fusion: Fusion,
        snapshot: Snapshot,
        lists: Mapping[str, Ranking],
        depth: int,
    ) -> None:
        """Start from each source's list to ``depth``, which is at least ``fusion.depth``."""
        self.sources, self.fusion, self.snapshot = tuple(sources), fusion, snapshot
        self.depth = depth
        self._lists = dict(lists)
        self._joined: Docnums = np.empty(0, np.int64)
        self._summaries = {source.name: self._summary(source) for source in self.sources}
        self.pool = self._fuse()

    @property
    def exact(self) -> bool:
        """Whether every branch's list is the true one."""
        return all(source.scorer.exact for source in self.sources)

    def deepen(self, enough: Callable[[Pool], bool], max_depth: int | None = None) -> Pool:
        """Deepen the lists until the pool is enough, or cannot grow any more."""
        while not enough(self.pool) and self.pool.bound > -np.inf:
            if max_depth is not None and self.depth >= max_depth:
                break
            growing = [source for source in self.sources if not self._exhausted(source)]
            self.depth = min(self.depth * GROWTH, max_depth or self.snapshot.size)
            for source in growing:
                with guarded(source.name):
                    self._lists[source.name] = source.scorer.top(self.depth)
            self.pool = self._fuse()
        return self.pool

    def join(self, docnums: Docnums) -> Floats:
        """Let documents into the pool that no list brought; return their fused scores."""
        self._joined = np.union1d(self._joined, docnums)
        pool = self.pool = self._fuse()
        return pool.fused.scores[np.searchsorted(pool.docnums, docnums)]

    def without(self, name: str) -> Candidates | None:
        """Return the same candidates without one branch, None if it is the only one."""
        others = [source for source in self.sources if source.name != name]
        if not others:
            return None
        return Candidates(others, self.fusion, self.snapshot, self._lists, self.depth)

    def single(self, docnum: int) -> tuple[tuple[Column, ...], Fused]:
        """Return any document's column in every branch (with true ranks), and its fused score."""
        one = np.array([docnum], np.int64)
        columns = []
        for source in self.sources:
            with guarded(source.name):
                raw = source.scorer.scores(one).astype(np.float64)
                ranks = source.scorer.ranks(one)
            columns.append(Column(source.name, source.kind, raw, ranks, self._summaries[source.name]))
        return tuple(columns), self.fusion.fuse(columns)

    def rank(self, docnum: int) -> int | None:
        """Return a document's true rank in the whole fused ranking, None if no branch ranks it."""
        at = self.pool.position(docnum)
        if at is None and not self._ranked(docnum):
            return None

        def enough(pool: Pool) -> bool:
            position = pool.position(docnum)
            return position is not None and float(pool.fused.scores[position]) > pool.bound

        ranking = self.deepen(enough).ranking
        return int(np.flatnonzero(ranking.docnums == docnum)[0]) + 1

    def _ranked(self, docnum: int) -> bool:
        one = np.array([docnum], np.int64)
        for source in self.sources:
            with guarded(source.name):
                if source.scorer.ranks(one)[0] > 0:
                    return True
        return False

    def _exhausted(self, source: Source) -> bool:
        """Whether a list holds every document that its branch ranks."""
        length = len(self._lists[source.name])
        return length < self.depth or length >= source.scorer.eligible

    def _summary(self, source: Source) -> Summary:
        fusion = self.fusion
        return summary(source, self._lists[source.name], fusion.depth, minimum=fusion.needs_minimum)

    def _fuse(self) -> Pool:
        lists = [self._lists[source.name] for source in self.sources]
        docnums = np.unique(np.concatenate([self._joined, *(ranking.docnums for ranking in lists)]))
        columns = tuple(
            self._column(source, ranking, docnums)
            for source, ranking in zip(self.sources, lists, strict=True)
        )
        fused = self.fusion.fuse(columns)
        ranking = best(docnums, fused.scores, len(docnums), self.snapshot.tie_keys)
        return Pool(docnums, columns, fused, ranking, self._bound())

    def _column(self, source: Source, ranking: Ranking, docnums: Docnums) -> Column:
        """Complete a branch's list to a column over the whole pool."""
        raw = np.empty(len(docnums), np.float64)
        ranks = np.zeros(len(docnums), np.int64)
        listed = np.searchsorted(docnums, ranking.docnums)
        raw[listed] = ranking.scores
        ranks[listed] = np.arange(1, len(ranking) + 1)
        missing = np.ones(len(docnums), np.bool_)
        missing[listed] = False
        if missing.any():
            with guarded(source.name):
                raw[missing] = source.scorer.scores(docnums[missing])
                if self.fusion.needs_ranks and not self._exhausted(source):
                    ranks[missing] = source.scorer.ranks(docnums[missing])
        return Column(source.name, source.kind, raw, ranks, self._summaries[source.name])

    def _bound(self) -> float:
        """Return the fused score of a made-up document that is just below every list."""
        done = [self._exhausted(source) for source in self.sources]
        for source, exhausted in zip(self.sources, done, strict=True):
            if exhausted and source.kind == "dense":  # it ranks every document: none is unseen
                return -np.inf
        if all(done):
            return -np.inf
        columns = []
        for source, exhausted in zip(self.sources, done, strict=True):
            ranking = self._lists[source.name]
            raw: Doubles = np.array([0.0 if exhausted else ranking.scores[-1]], np.float64)
            ranks = np.array([0 if exhausted else len(ranking) + 1])
            columns.append(Column(source.name, source.kind, raw, ranks, self._summaries[source.name]))
        return float(self.fusion.fuse(columns).scores[0])
