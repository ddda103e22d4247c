"""bm25s (Lù 2024), with either of its backends."""

from __future__ import annotations

from typing import Any

import bm25s

from peers.protocol import Answer, Mode, Task

PATTERN = r"\S+"


def build(task: Task) -> None:
    """Tokenise, index and save. Ids are positions: what `retrieve` returns without a corpus."""
    backend = task.options["backend"]
    engine = bm25s.BM25(method="lucene", k1=1.2, b=0.75, backend=backend)
    if task.pretokenised:
        vocabulary: dict[str, int] = {}
        rows = [
            [vocabulary.setdefault(t, len(vocabulary)) for t in text.split()] for text in task.documents()
        ]
        tokens = bm25s.tokenization.Tokenized(ids=rows, vocab=vocabulary)
    else:
        tokens = bm25s.tokenize(list(task.documents()), stopwords="english", show_progress=False)
    engine.index(tokens, show_progress=False)
    engine.save(str(task.folder))


def open(task: Task) -> Any:
    """Load the index."""
    engine = bm25s.BM25.load(str(task.folder), mmap=False)
    engine.backend = task.options["backend"]
    if engine.backend == "numba":
        engine.activate_numba_scorer()
    return engine


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Tokenising a query is off the clock in the first, on it in the second."""
    ids = task.ids()

    def answer(found: Any) -> Answer:
        places, scores = found.documents[0].tolist(), found.scores[0].tolist()
        return [(ids[place], score) for place, score in zip(places, scores, strict=True) if score > 0]

    def retrieve(tokens: list[list[str]]) -> Any:
        return engine.retrieve(tokens, k=k, show_progress=False, n_threads=0)

    def tokenize(text: str) -> Any:
        if task.pretokenised:
            return bm25s.tokenize(
                [text], token_pattern=PATTERN, stopwords=None, return_ids=False, show_progress=False
            )
        return bm25s.tokenize([text], stopwords="english", return_ids=False, show_progress=False)

    return {
        "retrieve": Mode(retrieve, answer, lambda query: tokenize(query.text)),
        "tokenize + retrieve": Mode(lambda text: retrieve(tokenize(text)), answer),
    }
