"""This package's own whole query: BM25 and the given vectors, fused exactly, with documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hybrid
from peers.hybrid import hits
from peers.protocol import Mode, Query, Task


def build(task: Task) -> None:
    """Create an index with both branches, the vectors given."""
    vectors = task.array("vectors")
    dense = hybrid.Dense(dimension=int(vectors.shape[1]), **task.options["dense"])
    pipeline = hybrid.Pipeline(branches=[hybrid.BM25(), dense])
    hybrid.create(task.folder / "index", _documents(task, vectors), pipeline).close()


def _documents(task: Task, vectors: Any) -> Iterator[hybrid.Document]:
    for id, text, vector in zip(task.ids(), task.documents(), vectors, strict=True):
        yield hybrid.Document(id=id, text=text, vectors={"dense": vector})


def open(task: Task) -> Any:
    """Open the index."""
    return hybrid.open(task.folder / "index")


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Return the default fusion and RRF."""
    rrf = hybrid.RRF()
    return {
        "hybrid": Mode(lambda query: engine.search(query, k), hits, _prepare),
        "RRF": Mode(lambda query: engine.search(query, k, fusion=rrf), hits, _prepare),
    }


def _prepare(query: Query) -> hybrid.Query:
    return hybrid.Query(query.text, vectors={"dense": query.vector})
