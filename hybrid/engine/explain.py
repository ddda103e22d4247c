"""Put an explanation together from the candidates of a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hybrid.engine.candidates import Candidates, guarded
from hybrid.engine.explanation import BranchPart, Explanation, StagePart
from hybrid.engine.rerank import Stage
from hybrid.fusion import Column, Fused
from hybrid.ranking import Ranking
from hybrid.types import Document


def explanation(
    document: Document,
    docnum: int,
    query: str,
    candidates: Candidates,
    fused_ranking: Ranking,
    stages: Sequence[Stage],
    *,
    notes: Mapping[str, tuple[str, ...]],
    timings: Mapping[str, float],
) -> Explanation:
    """Explain one document; ``fused_ranking`` is the fused list that the search went on with."""
    columns, fused = candidates.single(docnum)
    fused_rank = candidates.rank(docnum)
    found = stages[-1].after if stages else fused_ranking
    return Explanation(
        id=document.id,
        title=document.title,
        query=query,
        fusion=repr(candidates.fusion),
        fused=float(fused.scores[0]),
        fused_rank=fused_rank,
        rank=rank_in(found, docnum) or fused_rank,
        branches=_branch_parts(candidates, docnum, columns, fused),
        stages=tuple(_stage_part(stage, docnum) for stage in stages if docnum in stage.scores),
        degraded=tuple(notes),
        notes=notes,
        timings=timings,
    )


def _branch_parts(
    candidates: Candidates, docnum: int, columns: Sequence[Column], fused: Fused
) -> tuple[BranchPart, ...]:
    """Return what each branch says of a document, and what its rank would be without it."""
    weights = candidates.fusion.weights_for([(source.name, source.kind) for source in candidates.sources])
    parts = []
    for n, (source, column) in enumerate(zip(candidates.sources, columns, strict=True)):
        others = candidates.without(source.name)
        with guarded(source.name):
            terms = tuple(source.scorer.matches(docnum))
        parts.append(
            BranchPart(
                name=source.name,
                raw=float(column.raw[0]),
                normalized=float(fused.normalized[n, 0]),
                rank=int(column.ranks[0]) or None,
                weight=weights[n],
                contribution=float(fused.contributions[n, 0]),
                rank_without=others.rank(docnum) if others is not None else None,
                terms=terms,
            )
        )
    return tuple(parts)


def rank_in(ranking: Ranking, docnum: int) -> int | None:
    """Return a document's rank from 1, None if it is not listed."""
    docnums = ranking.docnums.tolist()
    return docnums.index(docnum) + 1 if docnum in docnums else None


def _stage_part(stage: Stage, docnum: int) -> StagePart:
    return StagePart(
        name=stage.spec.name,
        score=stage.scores[docnum],
        weight=stage.spec.weight,
        rank_before=rank_in(stage.before, docnum) or 0,
        rank_after=rank_in(stage.after, docnum) or 0,
        terms=tuple(stage.matches(docnum)),
    )
