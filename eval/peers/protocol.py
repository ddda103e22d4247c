"""What a peer is told, what it is given, and what its module must define. Standard library only.

A peer's module defines three functions:

    build(task) -> None                    index the inputs into task.folder
    open(task) -> engine                   open that index, in a process of its own
    modes(engine, task, k) -> {name: Mode} the ways to ask it; the first is the one compared

Inputs are plain files in one folder, so that every environment can read them:

    ids.txt documents.txt queries.txt      one a line; pre-tokenised terms are joined by spaces
    vectors.npy query_vectors.npy          float32, shape (rows, dimension), length 1
    starts.npy terms.npy weights.npy       learned sparse rows (see synthetic.Weighted), and the
    query_starts.npy …                     same for queries
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

Answer = list[tuple[str, float]]
"""Ids and scores, best first."""


@dataclass(frozen=True)
class Task:
    """One peer's part of a measurement.

    ``pretokenised``: whether the texts are terms joined by spaces, to be split at spaces and nothing
    else; otherwise the peer analyses English as its users would have it. ``text_only``: queries come
    without their vectors.
    """

    inputs: Path
    folder: Path
    ks: tuple[int, ...]
    threads: int = 1
    pretokenised: bool = True
    text_only: bool = False
    queries: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def ids(self) -> list[str]:
        """Return the documents' ids."""
        return (self.inputs / "ids.txt").read_text("utf-8").split("\n")[:-1]

    def documents(self) -> Iterator[str]:
        """Yield the documents' texts, in the order of the ids."""
        return _lines(self.inputs / "documents.txt")

    def array(self, name: str) -> Any:
        """Return one array of the inputs, memory-mapped."""
        import numpy as np

        return np.load(self.inputs / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    def read_queries(self) -> list[Query]:
        """Return the queries with everything that the inputs hold of them."""
        texts = list(islice(_lines(self.inputs / "queries.txt"), self.queries))
        vectors = self.array("query_vectors") if self.has("query_vectors") else None
        if self.has("query_starts"):
            starts, terms, weights = (self.array(f"query_{name}") for name in ("starts", "terms", "weights"))
            rows = [(terms[a:b], weights[a:b]) for a, b in pairwise(starts.tolist())]
        else:
            rows = None
        return [
            Query(n, text, None if vectors is None else vectors[n], None if rows is None else rows[n])
            for n, text in enumerate(texts)
        ]

    def has(self, name: str) -> bool:
        """Return whether the inputs hold this array, for this peer."""
        return not self.text_only and (self.inputs / f"{name}.npy").exists()


class Query(NamedTuple):
    """One query: its number, its text, its vector and its sparse row (terms, weights), where given."""

    number: int
    text: str
    vector: Any = None
    sparse: Any = None


class Mode(NamedTuple):
    """One way to ask a peer. Only ``search`` is on the clock.

    ``prepare`` turns a query into what ``search`` takes; ``answer`` turns what it returns into ids
    and scores.
    """

    search: Callable[[Any], Any]
    answer: Callable[[Any], Answer]
    prepare: Callable[[Query], Any] = lambda query: query.text


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line[:-1]
