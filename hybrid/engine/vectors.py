"""The vectors of a dense branch, for those who compare them by their own means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybrid.branches import Dense
from hybrid.branches.neighbours import beginnings, stored_vectors
from hybrid.engine.encoders import EncoderSet
from hybrid.errors import NotFoundError, PipelineError
from hybrid.index import Snapshot
from hybrid.pipeline import Pipeline
from hybrid.types import Floats, Query


def dense_branch(pipeline: Pipeline, name: str | None) -> Dense:
    """Return the dense branch of a name, which may be left out if there is one only.

    Raises:
        PipelineError: there is none, there are several, or its vectors are those of passages.
    """
    dense = [branch for branch in pipeline.branches if isinstance(branch, Dense)]
    found = [branch for branch in dense if name in (None, branch.name)]
    if len(found) != 1:
        known = ", ".join(repr(branch.name) for branch in dense) or "none"
        asked = "which is not said" if name is None else f"asked for is {name!r}"
        raise PipelineError(f"one dense branch is needed, {asked}; the dense branches are: {known}")
    how = pipeline.passages_of(found[0])
    if how is not None and how.cut == "all":
        raise PipelineError(
            f"the branch {found[0].name!r} holds vectors of passages, not of documents; use hybrid.split to "
            "make documents of passages"
        )
    return found[0]


def document_vectors(snapshot: Snapshot, pipeline: Pipeline, branch: Dense, ids: Sequence[str]) -> Floats:
    """Return the vectors of documents as they are kept: float32, shape (ids, d), in the order of ``ids``.

    A document that was cut because it is long has that of the passage that it begins with.

    Raises:
        NotFoundError: an id is not in the index.
    """
    docnums = snapshot.find(ids)
    if (docnums < 0).any():
        raise NotFoundError(f"no document with the id {ids[int((docnums < 0).argmax())]!r} is in the index")
    if not ids:
        return np.empty((0, int(pipeline.over(branch).stats(snapshot)["dimension"])), np.float32)
    return stored_vectors(*beginnings(pipeline.over(branch), snapshot, docnums), branch.name)


def query_vector(branch: Dense, query: Query, encoders: EncoderSet) -> Floats:
    """Return what a branch compares documents with: float32, shape (d,)."""
    return branch.encode_queries([query], encoders.together((branch,)))[0].vector
