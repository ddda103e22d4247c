"""One branch's own ranking: its ids and scores, without fusion and without documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybrid.engine.encoders import EncoderSet
from hybrid.index import Snapshot
from hybrid.pipeline import Pipeline
from hybrid.types import Floats, Query


@dataclass(frozen=True, slots=True, eq=False)
class Retrieved:
    """The best documents of one branch, best first.

    ``ids``: theirs. ``scores``: float32, shape (n,), the branch's own.
    """

    ids: list[str]
    scores: Floats

    def __len__(self) -> int:
        return len(self.ids)


def retrieve(
    snapshot: Snapshot,
    pipeline: Pipeline,
    branch: str | None,
    queries: Sequence[Query],
    k: int,
    where: Mapping[str, Any] | None,
    encoders: EncoderSet,
) -> list[Retrieved]:
    """Return each query's best ``k`` documents by one branch; queries are searched side by side.

    Raises:
        PipelineError: there is no such branch, or it is not said which of several is meant.
    """
    chosen = pipeline.over(pipeline.branch(branch))
    encoded = chosen.encode_queries(queries, encoders.together((chosen,)))
    mask = snapshot.mask(where)
    if len(encoded) != 1:
        rankings = chosen.rankings(snapshot, encoded, mask, k)
        return [Retrieved(snapshot.ids(found.docnums), found.scores) for found in rankings]
    found = chosen.scorer(snapshot, encoded[0], mask).top(k)
    return [Retrieved(snapshot.ids(found.docnums), found.scores)]
