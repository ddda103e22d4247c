"""Seismic (Bruch, Nardini, Rulli and Venturini 2024), approximate search of learned sparse vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from seismic import SeismicDataset, SeismicIndex, get_seismic_string

from peers.protocol import Answer, Mode, Query, Task

CUTS = (3, 5, 8, 12, 20)
FACTORS = (0.7, 0.8, 0.9, 1.0)


def build(task: Task) -> None:
    """Index with the library's own parameters."""
    dataset = SeismicDataset()
    kind = get_seismic_string()
    starts, terms, weights = (task.array(name) for name in ("starts", "terms", "weights"))
    for id, a, b in zip(task.ids(), starts[:-1], starts[1:], strict=True):
        dataset.add_document(id, _spelled(terms[a:b], kind), np.asarray(weights[a:b]))
    index = SeismicIndex.build_from_dataset(dataset, num_threads=task.threads)
    index.save(str(task.folder / "documents"))


def _spelled(terms: Any, kind: Any) -> Any:
    return np.array([f"t{term}" for term in terms.tolist()], dtype=kind)


def open(task: Task) -> Any:
    """Load the index."""
    return SeismicIndex.load(str(task.folder / "documents.index.seismic"))


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Return one mode for each point of the curve."""
    kind = get_seismic_string()

    def prepare(query: Query) -> Any:
        terms, weights = query.sparse
        return _spelled(terms, kind), np.array(weights)

    def mode(cut: int, factor: float) -> Mode:
        def search(row: Any) -> Any:
            return engine.search(
                query_id="0",
                query_components=row[0],
                query_values=row[1],
                k=k,
                query_cut=cut,
                heap_factor=factor,
            )

        return Mode(search, _answer, prepare)

    return {f"cut={cut} heap={factor}": mode(cut, factor) for cut in CUTS for factor in FACTORS}


def _answer(found: Any) -> Answer:
    return [(id, score) for _, score, id in found]
