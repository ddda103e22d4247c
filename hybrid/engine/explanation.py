"""Why a document ranks where it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hybrid.types import TermMatch


@dataclass(frozen=True, slots=True)
class BranchPart:
    """What one branch says of the document.

    ``raw``: its true score. ``normalized``: what the fusion makes of it. ``rank``: its rank in
    this branch, None if no term matches. ``contribution``: its part of the fused score.
    ``rank_without``: the document's fused rank if this branch were not there, None if no other
    branch ranks it. ``terms``: the matching terms, strongest first.
    """

    name: str
    raw: float
    normalized: float
    rank: int | None
    weight: float
    contribution: float
    rank_without: int | None
    terms: tuple[TermMatch, ...]


@dataclass(frozen=True, slots=True)
class StagePart:
    """What one rerank stage did with the document.

    ``score``: what the stage gave it (a reranker's own score, the value of `hybrid.MMR`), None if the
    stage gives none. ``weight``: the stage's, None if it has none. ``rank_before``, ``score_before``: in
    the list that the stage got, None if the document came in as a neighbour, of the document ``source``.
    ``rank_after``, ``score_after``: in the list that it left, None if it left the document out.
    ``terms``: for late interaction, what each token of the query matched and adds, strongest first.
    """

    name: str
    score: float | None
    weight: float | None
    rank_before: int | None
    rank_after: int | None
    score_before: float | None
    score_after: float | None
    source: str | None = None
    terms: tuple[TermMatch, ...] = ()

    def __str__(self) -> str:
        """Return the stage as one line."""
        parts = [] if self.score is None else [f"score {self.score:.4f}"]
        parts += [] if self.weight is None else [f"weight {self.weight:g}"]
        before = f"neighbour of {self.source}" if self.source else _place(self.rank_before, self.score_before)
        after = "left out" if self.rank_after is None else _place(self.rank_after, self.score_after)
        return f"{self.name}: {', '.join([*parts, f'{before} -> {after}'])}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a document ranks where it does; print it to read it.

    ``fused_rank``: the true rank in the fused list, None if no branch ranks the document. ``rank``:
    the rank in the result, after reranking (and, where the result is not exact, as it came out);
    further down than the search looked, the fused rank; None if a stage left the document out.
    ``degraded`` and ``notes`` are those of `hybrid.Result`.
    """

    id: str
    title: str
    query: str
    fusion: str
    fused: float
    fused_rank: int | None
    rank: int | None
    branches: tuple[BranchPart, ...]
    stages: tuple[StagePart, ...]
    degraded: tuple[str, ...]
    notes: Mapping[str, tuple[str, ...]]
    timings: Mapping[str, float] = field(compare=False)

    def __str__(self) -> str:
        """Return the explanation as text for people."""
        where = "not found" if self.rank is None else f"rank {self.rank}"
        fused_rank = "-" if self.fused_rank is None else str(self.fused_rank)
        width = max(10, *(len(part.name) for part in self.branches))
        lines = [
            f"{self.id}: {where} for {self.query!r}"
            + (f" ({self.title})" if self.title not in ("", self.id) else ""),
            f"  fused {self.fused:.4f}, fused rank {fused_rank}, by {self.fusion}",
            "",
            f"  {'branch':<{width}} {'raw':>9} {'normalized':>10} {'rank':>6} "
            f"{'weight':>7} {'adds':>8} {'rank without':>13}",
        ]
        for part in self.branches:
            lines.append(
                f"  {part.name:<{width}} {part.raw:>9.4f} {part.normalized:>10.4f} {_rank(part.rank):>6} "
                f"{part.weight:>7.3g} {part.contribution:>8.4f} {_rank(part.rank_without):>13}"
            )
        for part in self.branches:
            if part.terms:
                lines += ["", f"  {part.name} terms"]
                lines += [
                    f"    {m.term:<24} weight {m.weight:>8.4f}  adds {m.score:>8.4f}" for m in part.terms
                ]
        for stage in self.stages:
            lines += [
                "",
                f"  {stage}",
                *(f"    {m.term:<40} adds {m.score:>8.4f}" for m in stage.terms),
            ]
        if self.degraded:
            reasons = [f"{name} ({'; '.join(said)})" for name, said in self.notes.items()]
            lines += ["", f"  degraded: {', '.join(reasons)}"]
        spent = "  ".join(f"{stage} {seconds * 1e3:.1f} ms" for stage, seconds in self.timings.items())
        return "\n".join([*lines, "", f"  {spent}"])


def _rank(rank: int | None) -> str:
    return "-" if rank is None else str(rank)


def _place(rank: int | None, score: float | None) -> str:
    return "rank -" if rank is None or score is None else f"rank {rank} ({score:.4f})"
