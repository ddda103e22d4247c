"""Put an explanation together from the candidates of a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hybrid.engine.candidates import Candidates, guarded
from hybrid.engine.explanation import BranchPart, Explanation, StagePart
from hybrid.engine.rerank import Stage
from hybrid.fusion import Column, Fused
from hybrid.ranking import Ranking
from hybrid.rerankers import Parents
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
    parts = _stage_parts(stages, docnum, lambda docnum: candidates.snapshot.ids([docnum])[0])
    left_out = any(part.rank_after is None for part in parts)
    return Explanation(
        id=document.id,
        title=document.title,
        query=query,
        fusion=repr(candidates.fusion),
        fused=float(fused.scores[0]),
        fused_rank=fused_rank,
        rank=None if left_out else rank_in(found, docnum) or fused_rank,
        branches=_branch_parts(candidates, docnum, columns, fused),
        stages=parts,
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


def _stage_parts(stages: Sequence[Stage], docnum: int, ids: Callable[[int], str]) -> tuple[StagePart, ...]:
    """Return what stages did with a document: those that rescored it, and those that thin out the list."""
    return tuple(
        _stage_part(stage, docnum, ids)
        for stage in stages
        if docnum in stage.scores or (isinstance(stage.spec, Parents) and docnum in stage.before.docnums)
    )


def _stage_part(stage: Stage, docnum: int, ids: Callable[[int], str]) -> StagePart:
    before, after = (_place(ranking, docnum) for ranking in (stage.before, stage.after))
    return StagePart(
        name=stage.spec.name,
        score=stage.scores.get(docnum),
        weight=None if isinstance(stage.spec, Parents) else stage.spec.weight,
        rank_before=before[0],
        rank_after=after[0],
        score_before=before[1],
        score_after=after[1],
        source=ids(stage.sources[docnum]) if docnum in stage.sources else None,
        terms=tuple(stage.matches(docnum)),
    )


def _place(ranking: Ranking, docnum: int) -> tuple[int | None, float | None]:
    rank = rank_in(ranking, docnum)
    return rank, None if rank is None else float(ranking.scores[rank - 1])
