"""This package's own learned sparse search, exact and approximate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hybrid
from peers.hybrid import ranked
from peers.protocol import Mode, Query, Task


def build(task: Task) -> None:
    """Create an index whose documents bring their weights."""
    pipeline = hybrid.Pipeline(branches=[hybrid.Sparse(name="sparse")])
    hybrid.create(task.folder / "index", _documents(task), pipeline).close()


def _documents(task: Task) -> Iterator[hybrid.Document]:
    starts, terms, weights = (task.array(name) for name in ("starts", "terms", "weights"))
    for id, a, b in zip(task.ids(), starts[:-1], starts[1:], strict=True):
        yield hybrid.Document(id=id, vectors={"sparse": _weights(terms[a:b], weights[a:b])})


def _weights(terms: Any, weights: Any) -> dict[str, float]:
    return {f"t{term}": weight for term, weight in zip(terms.tolist(), weights.tolist(), strict=True)}


def open(task: Task) -> Any:
    """Open the index, exact."""
    return hybrid.open(task.folder / "index")


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Return the exact mode, and one for each value of the approximate one."""

    def mode(index: Any) -> Mode:
        return Mode(lambda query: index.retrieve(query, k, branch="sparse"), ranked, _prepare)

    found = {"exact": mode(engine)}
    for cut in task.options["query_cuts"]:
        pipeline = hybrid.Pipeline(branches=[hybrid.Sparse(name="sparse", query_cut=cut)])
        found[f"query_cut={cut}"] = mode(hybrid.open(task.folder / "index", pipeline=pipeline))
    return found


def _prepare(query: Query) -> hybrid.Query:
    return hybrid.Query("", vectors={"sparse": _weights(*query.sparse)})
