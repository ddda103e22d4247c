"""This package's own BM25: `retrieve` is the branch's ranking, `search` the whole result with documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hybrid
from peers.protocol import Answer, Mode, Task


def build(task: Task) -> None:
    """Create an index with BM25 alone."""
    analyzer = "simple" if task.pretokenised else "english"
    pipeline = hybrid.Pipeline(branches=[hybrid.BM25(analyzer=analyzer)])
    hybrid.create(task.folder / "index", documents(task), pipeline).close()


def documents(task: Task) -> Iterator[hybrid.Document]:
    """Yield the inputs as documents."""
    for id, text in zip(task.ids(), task.documents(), strict=True):
        yield hybrid.Document(id=id, text=text)


def open(task: Task) -> Any:
    """Open the index."""
    return hybrid.open(task.folder / "index")


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Analysis of the query is on the clock in both."""
    return {
        "retrieve": Mode(lambda text: engine.retrieve(text, k, branch="bm25"), ranked),
        "search": Mode(lambda text: engine.search(text, k), hits),
    }


def ranked(found: Any) -> Answer:
    """Return the ids and scores of what `retrieve` gave."""
    return list(zip(found.ids, found.scores.tolist(), strict=True))


def hits(found: Any) -> Answer:
    """Return the ids and scores of a result."""
    return [(hit.id, hit.score) for hit in found]
