"""Documents as queries: what a branch holds to be near a document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from hybrid.branches.base import Branch, Encoders
from hybrid.branches.bm25 import BM25
from hybrid.branches.dense import Dense, DenseQuery
from hybrid.branches.over_passages import OverPassages
from hybrid.errors import PipelineError
from hybrid.index import Snapshot
from hybrid.index.dense import Stored
from hybrid.types import Docnums, Document, Floats, Query

Near: TypeAlias = BM25 | Dense
"""The branches that can say what is near a document."""


def as_queries(
    branch: Branch,
    snapshot: Snapshot,
    docnums: Docnums,
    read: Callable[[Docnums], Sequence[Document]],
    encoders: Encoders,
) -> list[Any]:
    """Return documents as what the branch's ``scorer`` takes: stored vectors (dense), or terms (BM25).

    No model runs. ``read`` gives documents as branches see them.

    Raises:
        PipelineError: the branch is of another kind.
    """
    if isinstance(branch, Dense):
        return [DenseQuery(vector, False) for vector in stored_vectors(snapshot, docnums, branch.name)]
    if isinstance(branch, BM25):
        return branch.encode_queries([Query(document.content) for document in read(docnums)], encoders)
    raise PipelineError(f"the branch {branch.name!r} cannot look for neighbours; a Dense or a BM25 one can")


def beginnings(branch: Branch, snapshot: Snapshot, docnums: Docnums) -> tuple[Snapshot, Docnums]:
    """Return what stands for documents in a branch: themselves, or the passages that they begin with."""
    return branch.first(snapshot, docnums) if isinstance(branch, OverPassages) else (snapshot, docnums)


def stored_vectors(snapshot: Snapshot, docnums: Docnums, name: str) -> Floats:
    """Return the vectors of documents as a dense branch keeps them: float32, shape (docnums, d)."""
    places = [snapshot.locate(docnum) for docnum in docnums.tolist()]
    rows = []
    for number, ordinal in places:
        vectors = Stored.of(snapshot.segments[number].segment, name).vectors
        rows.append(vectors.take(slice(ordinal, ordinal + 1)).decoded()[0])
    return np.stack(rows)
