"""Vectors that mean something, made fast: random indexing of a collection's words.

    python eval/vectors.py --data FOLDER [--set win32-docs] [--dimension 384] --out FOLDER

writes vectors.npy and query_vectors.npy, in the order of the corpus and of its queries: the sum of a
seeded random vector for each term, weighted by tf-idf (Sahlgren 2005, "An Introduction to Random
Indexing"), of length 1. For measurements of speed, where encoding a collection with a model would take
an hour: like a model's, these vectors put like texts near each other, and agree with BM25 in part,
which decides how deep a hybrid query must look. They say nothing about quality.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

import hybrid

SEED = 0
PIECE = 8192


def main() -> None:
    """Read, weigh, project, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--set", default="win32-docs")
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    folder, terms = options.data / options.set, hybrid.analyzer("english").terms
    corpus = next(path for path in (folder / "corpus.jsonl", folder / "corpus.jsonl.gz") if path.exists())
    numbers: dict[str, int] = {}
    documents = counted((terms(document.content) for document in hybrid.read(corpus)), numbers)
    known = len(numbers)
    queries = counted((terms(query) for _, query in hybrid.read_queries(folder / "queries.jsonl")), numbers)[
        :, :known
    ]
    frequency = np.bincount(documents.indices, minlength=known)
    idf = np.log(documents.shape[0] / np.maximum(frequency, 1)).astype(np.float32)
    random = np.random.default_rng(SEED).standard_normal((known, options.dimension), dtype=np.float32)
    for name, rows in (("vectors", documents), ("query_vectors", queries)):
        np.save(options.out / f"{name}.npy", projected(rows, idf, random))


def counted(texts: Iterable[Sequence[str]], numbers: dict[str, int]) -> Any:
    """Return a sparse matrix of 1 + log(tf), one row a text; new terms get the next numbers."""
    indptr, indices = [0], []
    for text in texts:
        indices += [numbers.setdefault(term, len(numbers)) for term in text]
        indptr.append(len(indices))
    ones = np.ones(len(indices), np.float32)
    matrix = csr_matrix((ones, indices, indptr), shape=(len(indptr) - 1, len(numbers)))
    matrix.sum_duplicates()
    matrix.data = 1 + np.log(matrix.data)
    return matrix


def projected(rows: Any, idf: NDArray[np.float32], random: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the weighted sums of the terms' random vectors, of length 1 (0 for a text without terms)."""
    parts = []
    for start in range(0, rows.shape[0], PIECE):
        sums = rows[start : start + PIECE].multiply(idf).tocsr() @ random
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        parts.append((sums / np.where(lengths > 0, lengths, 1)).astype(np.float32))
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
