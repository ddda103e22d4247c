"""scipy's sparse product: precomputed impacts by term, times the query, then argpartition.

The matrix is terms × documents in CSR, so that a query touches the rows of its own terms only; the
other way round every product would read all of it.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import scipy.sparse as sp

from peers.protocol import Answer, Mode, Query, Task

K1, B = 1.2, 0.75


def build(task: Task) -> None:
    """Compute every impact, and store the matrix and the vocabulary."""
    if task.has("starts"):
        parts = (task.array(name) for name in ("weights", "terms", "starts"))
        rows = sp.csr_array(tuple(np.asarray(part) for part in parts))
        vocabulary: list[str] = []
    else:
        rows, vocabulary = _impacts(task)
    matrix = rows.T.tocsr()
    for name in ("data", "indices", "indptr"):
        np.save(task.folder / f"{name}.npy", getattr(matrix, name))
    np.save(task.folder / "shape.npy", np.array(matrix.shape))
    (task.folder / "terms.txt").write_text("".join(f"{term}\n" for term in vocabulary))


def _impacts(task: Task) -> tuple[Any, list[str]]:
    """Return BM25's impacts by Lucene's formula, documents × terms, and the terms."""
    vocabulary: dict[str, int] = {}
    terms, starts = array("i"), [0]
    for text in task.documents():
        terms.extend([vocabulary.setdefault(term, len(vocabulary)) for term in text.split()])
        starts.append(len(terms))
    shape = (len(starts) - 1, len(vocabulary))
    columns = np.frombuffer(terms, np.int32)
    rows = sp.csr_array((np.ones(len(columns), np.float32), columns, np.array(starts)), shape=shape)
    lengths = np.diff(rows.indptr)
    rows.sum_duplicates()
    frequencies = np.bincount(rows.indices, minlength=shape[1])
    idf = np.log1p((shape[0] - frequencies + 0.5) / (frequencies + 0.5))
    norms = np.repeat(K1 * (1 - B + B * lengths / lengths.mean()), np.diff(rows.indptr))
    rows.data = (idf[rows.indices] * rows.data / (rows.data + norms)).astype(np.float32)
    return rows, list(vocabulary)


def open(task: Task) -> Any:
    """Load the matrix and the vocabulary."""
    parts = [np.load(task.folder / f"{name}.npy", mmap_mode="r") for name in ("data", "indices", "indptr")]
    shape = tuple(np.load(task.folder / "shape.npy").tolist())
    terms = (task.folder / "terms.txt").read_text().split("\n")[:-1]
    return sp.csr_array(tuple(parts), shape=shape), {term: n for n, term in enumerate(terms)}


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Make the query's row, multiply, and take the best."""
    matrix, vocabulary = engine
    ids = task.ids()

    def of_text(text: str) -> Any:
        found = [vocabulary[term] for term in text.split() if term in vocabulary]
        return product(np.array(found, np.int32), np.ones(len(found), np.float32))

    def product(terms: Any, weights: Any) -> Any:
        query = sp.csr_array((weights, terms, [0, len(terms)]), shape=(1, matrix.shape[0]))
        scores = query @ matrix
        if len(scores.data) <= k:
            best = np.argsort(-scores.data)
        else:
            best = np.argpartition(scores.data, -k)[-k:]
            best = best[np.argsort(-scores.data[best])]
        return scores.indices[best], scores.data[best]

    def answer(found: Any) -> Answer:
        return [(ids[place], score) for place, score in zip(*(part.tolist() for part in found), strict=True)]

    if not vocabulary:
        return {"product": Mode(lambda row: product(*row), answer, _row)}
    return {"product": Mode(of_text, answer)}


def _row(query: Query) -> Any:
    terms, weights = query.sparse
    return np.array(terms), np.array(weights)
