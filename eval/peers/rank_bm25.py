"""rank-bm25's BM25Okapi, whose idf differs from Lucene's. It has no format on disk: the object is pickled."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from rank_bm25 import BM25Okapi

from peers.protocol import Answer, Mode, Task


def build(task: Task) -> None:
    """Index lists of terms, and pickle the whole."""
    engine = BM25Okapi([text.split() for text in task.documents()], k1=1.2, b=0.75)
    with (task.folder / "index.pickle").open("wb") as file:
        pickle.dump(engine, file, protocol=5)


def open(task: Task) -> Any:
    """Load what `build` has just written."""
    with (task.folder / "index.pickle").open("rb") as file:
        return pickle.load(file)


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Score every document and take the best, as its `get_top_n` does, by partition."""
    ids = task.ids()

    def search(text: str) -> tuple[Any, Any]:
        scores = engine.get_scores(text.split())
        best = np.argpartition(scores, -k)[-k:]
        best = best[np.argsort(-scores[best], kind="stable")]
        return best, scores[best]

    def answer(found: Any) -> Answer:
        return [(ids[place], score) for place, score in zip(*(part.tolist() for part in found), strict=True)]

    return {"search": Mode(search, answer)}
