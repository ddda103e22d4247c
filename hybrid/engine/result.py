"""What a search returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from hybrid.engine.explanation import Explanation


@dataclass(frozen=True, slots=True)
class PassageHit:
    """A passage of a document found: the characters from ``start`` to before ``end`` of its text.

    ``headings``: those it stands under. ``score``: what the branches say of it together, from 0 to the sum
    of their weights; it compares passages of one result. ``context``: where it begins and ends with what
    `hybrid.Passages` shows it with, itself if nothing.
    """

    text: str
    start: int
    end: int
    headings: tuple[str, ...]
    score: float
    context: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Hit:
    """One document found.

    ``score`` is what the hits are ordered by, never rising: the fused score, or a rerank stage's.
    Documents below a stage's ``top`` keep the distances between their fused scores, below it.
    ``scores`` holds the true score under every branch (``"bm25"``, ``"dense"``, …), the fused score
    (``"fused"``) and those of rerank stages (``"rerank:…"``), none of them ever missing because a
    branch did not list the document. ``passages``: the document's best, best first, in an index that cuts
    documents (`hybrid.Passages`); ``text`` is the whole text.
    """

    rank: int
    id: str
    score: float
    title: str
    text: str
    metadata: Mapping[str, Any]
    scores: Mapping[str, float]
    passages: tuple[PassageHit, ...] = ()


@dataclass(frozen=True, slots=True)
class Result(Sequence[Hit]):
    """The hits of one query, best first, and how they came about.

    ``exact``: whether they are proven to be the best of the whole collection under the fusion of
    all branches (before reranking); if not, ``gap`` is by how much an unseen document could beat
    the last one, which is unknown (inf) where a branch is missing.
    ``degraded``: the branches and stages that failed and are missing from the scores, and the stages
    whose scores are not wholly what was asked for. ``notes``: why, for each of them.
    ``timings``: seconds by stage; branches run side by side, so they may add up to more than
    ``"total"``. ``generation``: the state of the index that was searched.
    """

    query: str
    hits: tuple[Hit, ...]
    exact: bool
    gap: float
    degraded: tuple[str, ...]
    notes: Mapping[str, tuple[str, ...]]
    generation: int
    timings: Mapping[str, float] = field(compare=False)
    _explain: Callable[[str], Explanation] = field(repr=False, compare=False)
    _highlight: Callable[[str], list[tuple[int, int]]] = field(repr=False, compare=False)
    _cursor: Callable[[], str] | None = field(default=None, repr=False, compare=False)

    @property
    def cursor(self) -> str | None:
        """What `search` takes to give the next page; None if there is none, or if this answer is degraded.

        The page comes from the generation of this one, which the process keeps for 10 minutes after its
        last use (16 generations at most). Another page of a degraded answer could be in another order.
        """
        return None if self._cursor is None else self._cursor()

    def explain(self, rank: int) -> Explanation:
        """Explain the hit at ``rank``, from 1 (on a later page, from where it begins).

        Raises:
            IndexError: there is no hit at that rank.
        """
        return self._explain(self._at(rank).id)

    def highlights(self, rank: int) -> list[tuple[int, int]]:
        """Return where the text of the hit at ``rank`` has words of the query, as BM25 branches see both.

        Spans of characters, in order and apart; none where the pipeline has no BM25 branch.

        Raises:
            IndexError: there is no hit at that rank.
        """
        return self._highlight(self._at(rank).text)

    def _at(self, rank: int) -> Hit:
        for hit in self.hits:
            if hit.rank == rank:
                return hit
        ranks = f"{self.hits[0].rank} to {self.hits[-1].rank}" if self.hits else "none"
        raise IndexError(f"there is no hit at rank {rank}; the ranks are {ranks}")

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Hit]: ...
    def __getitem__(self, index: int | slice) -> Hit | Sequence[Hit]:
        """Return the hit at a position, from 0."""
        return self.hits[index]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)
