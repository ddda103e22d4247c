"""zvec: full text and flat vectors in one query, fused by its RRF."""

from __future__ import annotations

from typing import Any

import numpy as np
import zvec

from peers.protocol import Answer, Mode, Query, Task

BATCH = 1000
DEEP = 100


def build(task: Task) -> None:
    """Insert all rows by position, and optimise. Ids may hold any character, zvec's may not."""
    zvec.init(query_threads=task.threads, optimize_threads=task.threads)
    vectors = task.array("vectors")
    text = zvec.FtsIndexParam(filters=["lowercase", "stemmer"])
    flat = zvec.FlatIndexParam(metric_type=zvec.MetricType.IP)
    schema = zvec.CollectionSchema(
        name="documents",
        fields=[zvec.FieldSchema("text", zvec.DataType.STRING, index_param=text)],
        vectors=[zvec.VectorSchema("vector", zvec.DataType.VECTOR_FP32, int(vectors.shape[1]), flat)],
    )
    collection = zvec.create_and_open(str(task.folder / "index"), schema)
    batch: list[Any] = []
    for n, (content, vector) in enumerate(zip(task.documents(), vectors, strict=True)):
        batch.append(zvec.Doc(str(n), fields={"text": content}, vectors={"vector": np.array(vector)}))
        if len(batch) == BATCH:
            _insert(collection, batch)
            batch = []
    _insert(collection, batch)
    collection.optimize(zvec.OptimizeOption(concurrency=task.threads))
    collection.flush()


def _insert(collection: Any, batch: list[Any]) -> None:
    failed = [status for status in collection.insert(batch) if not status.ok()] if batch else []
    if failed:
        raise RuntimeError(f"zvec refused {len(failed)} documents: {failed[0]}")


def open(task: Task) -> Any:
    """Open the collection."""
    zvec.init(query_threads=task.threads, optimize_threads=task.threads)
    return zvec.open(str(task.folder / "index"))


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Return the hybrid query as deep as its result, and with lists 100 deep; texts come back too."""
    ids = task.ids()
    reranker = zvec.RrfReRanker()

    def mode(depth: int) -> Mode:
        def search(query: tuple[str, list[float]]) -> Any:
            text, vector = query
            queries = [
                zvec.Query("text", fts=zvec.Fts(match_string=text)),
                zvec.Query("vector", vector=vector),
            ]
            return list(engine.query(queries, topk=depth, reranker=reranker, output_fields=["text"]))[:k]

        def answer(found: Any) -> Answer:
            return [(ids[int(hit.id)], hit.score) for hit in found]

        return Mode(search, answer, _prepare)

    return {"hybrid": mode(k), "hybrid, 100 deep": mode(max(k, DEEP))}


def _prepare(query: Query) -> tuple[str, list[float]]:
    return query.text, query.vector.tolist()
