"""One branch's own ranking: its ids and scores, without fusion and without documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybrid.branches import Branch, Encoders
from hybrid.index import Mask, Snapshot
from hybrid.pipeline import Pipeline
from hybrid.threads import parallel
from hybrid.types import Floats, Query


@dataclass(frozen=True, slots=True, eq=False)
class Retrieved:
    """The best documents of one branch, best first.

    ``ids``: theirs. ``scores``: float32, shape (n,), the branch's own. ``exact``: whether they are
    certainly the best.
    """

    ids: list[str]
    scores: Floats
    exact: bool

    def __len__(self) -> int:
        return len(self.ids)


def retrieve(
    snapshot: Snapshot,
    pipeline: Pipeline,
    branch: str | None,
    queries: Sequence[Query],
    k: int,
    where: Mapping[str, Any] | None,
    encoders: Encoders,
) -> list[Retrieved]:
    """Return each query's best ``k`` documents by one branch; queries are searched side by side.

    Raises:
        PipelineError: there is no such branch, or it is not said which of several is meant.
    """
    chosen = pipeline.branch(branch)
    mask = snapshot.mask(where)
    encoded = chosen.encode_queries(queries, encoders)
    if len(encoded) == 1:
        return [_retrieved(snapshot, chosen, encoded[0], k, mask)]
    return parallel(lambda query: _retrieved(snapshot, chosen, query, k, mask), encoded)


def _retrieved(snapshot: Snapshot, branch: Branch, query: Any, k: int, mask: Mask) -> Retrieved:
    scorer = branch.scorer(snapshot, query, mask)
    ranking = scorer.top(k)
    return Retrieved(snapshot.ids(ranking.docnums), ranking.scores, scorer.exact)
