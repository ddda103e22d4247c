"""LanceDB: full text and flat vectors, fused by its RRF. Every text and id comes back, as a user needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.rerankers import RRFReranker

from peers.protocol import Answer, Mode, Query, Task

BATCH = 10_000
DEEP = 100


def build(task: Task) -> None:
    """Insert all rows, and index the text; vectors stay flat (exact)."""
    vectors = task.array("vectors")
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("text", pa.string()),
            ("vector", pa.list_(pa.float32(), int(vectors.shape[1]))),
        ]
    )
    table = lancedb.connect(str(task.folder)).create_table(
        "documents", _batches(task, vectors, schema), schema=schema
    )
    table.create_fts_index("text", replace=True)


def _batches(task: Task, vectors: Any, schema: Any) -> Iterator[Any]:
    ids, texts = task.ids(), task.documents()
    for start in range(0, len(ids), BATCH):
        part = np.ascontiguousarray(vectors[start : start + BATCH])
        flat = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), part.shape[1])
        chosen = [next(texts) for _ in range(len(part))]
        yield pa.RecordBatch.from_arrays([ids[start : start + BATCH], chosen, flat], schema=schema)


def open(task: Task) -> Any:
    """Open the table."""
    return lancedb.connect(str(task.folder)).open_table("documents")


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Return the hybrid query as deep as its result, and with lists 100 deep."""
    reranker = RRFReranker()

    def mode(depth: int) -> Mode:
        def search(query: tuple[str, Any]) -> Any:
            text, vector = query
            found = engine.search(query_type="hybrid").vector(vector).text(text)
            return found.distance_type("dot").rerank(reranker).limit(depth).to_list()[:k]

        return Mode(search, _answer, _prepare)

    return {"hybrid": mode(k), "hybrid, 100 deep": mode(max(k, DEEP))}


def _answer(found: list[dict[str, Any]]) -> Answer:
    return [(row["id"], row["_relevance_score"]) for row in found]


def _prepare(query: Query) -> tuple[str, Any]:
    return query.text, np.array(query.vector)
