"""txtai's hybrid index: its own BM25 and faiss, fused by weights; the vectors are handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from txtai import Embeddings

from peers.protocol import Answer, Mode, Task


def known(texts: Iterable[str], vectors: Any) -> Callable[[list[str]], Any]:
    """Return a function that looks the vectors of known texts up: it stands where an encoder would."""
    rows = {text: n for n, text in enumerate(texts)}

    def look_up(asked: list[str]) -> Any:
        return np.stack([vectors[rows[text]] for text in asked]).astype(np.float32)

    return look_up


def build(task: Task) -> None:
    """Index with texts stored; exact vectors, as in the other peers."""
    look_up = known(task.documents(), task.array("vectors"))
    engine = Embeddings(
        method="external", transform=look_up, hybrid=True, content=True, faiss={"components": "IDMap,Flat"}
    )
    engine.index(zip(task.ids(), task.documents(), strict=True))
    engine.config.pop("transform")
    engine.save(str(task.folder / "index"))


def open(task: Task) -> Any:
    """Load the index; queries get their vectors by text."""
    queries = task.read_queries()
    engine = Embeddings()
    engine.load(str(task.folder / "index"))
    vectors = [query.vector for query in queries]
    engine.config["transform"] = known((query.text for query in queries), vectors)
    engine.model = engine.loadvectors()
    return engine


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Return its hybrid search with texts, which takes ten times k from each side."""
    return {"hybrid": Mode(lambda text: engine.search(text, k), _answer)}


def _answer(found: list[dict[str, Any]]) -> Answer:
    return [(row["id"], row["score"]) for row in found]
