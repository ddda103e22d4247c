"""Measure whether the weight of meaning should fall where documents are long.

    python eval/lengths.py --set FOLDER/scifact [-o FILE]

Abstracts are put together into longer and longer documents (1, 2, 4 ... 64 each), at random or with those
that are about the same things. A training question is answered by the document that holds its abstract.
BM25 scores whole documents, dense their best passage; both are fused as by default (TM2C2) at several weights
of the dense branch. Only training judgements are read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from provenance import provenance

import hybrid
from hybrid import evaluation
from hybrid.engine.completing import complete
from hybrid.fusion import Column, Summary

HERE = Path(__file__).resolve().parent
ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TOGETHER = (1, 2, 4, 8, 16, 32, 64)


def main() -> None:
    """Score once by meaning, then build and score the words of every length."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", type=Path, required=True, help="a BEIR folder with training judgements")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "lengths.json")
    options = parser.parse_args()
    qrels = hybrid.read_qrels(options.set / "qrels" / "train.tsv")
    queries = [
        (key, text) for key, text in hybrid.read_queries(options.set / "queries.jsonl") if key in qrels
    ]
    documents = list(hybrid.read(options.set / "corpus.jsonl"))
    dense = scores(documents, hybrid.Dense(), [text for _, text in queries])
    orders = {
        "at random": np.random.default_rng(0).permutation(len(documents)),
        "by subject": by_subject(dense.T, np.arange(len(documents))),
    }
    found: dict[str, Any] = {}
    for name, order in orders.items():
        found[name] = {}
        for size in TOGETHER:
            found[name][size] = measured(documents, order, size, dense, queries, qrels)
            print(name, size, found[name][size], flush=True)
    record = {**provenance(), "set": options.set.name, "measure": "nDCG@10, training questions"}
    options.output.write_text(json.dumps({**record, "results": found}, indent=2) + "\n")


def scores(documents: list[hybrid.Document], branch: Any, texts: list[str]) -> NDArray[np.float32]:
    """Return every document's score under one branch: float32, shape (texts, documents)."""
    at = {document.id: n for n, document in enumerate(documents)}
    found = np.zeros((len(texts), len(documents)), np.float32)
    with (
        tempfile.TemporaryDirectory() as place,
        hybrid.create(place + "/index", documents, hybrid.Pipeline([branch])) as index,
    ):
        for n, text in enumerate(texts):
            (completed,) = complete(index, [text], depth=len(documents))
            found[n, [at[id] for id in completed.ids]] = completed.columns[0].raw
    return found


def by_subject(profiles: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order documents so that neighbours are alike: halve them along where they differ most, and so on."""
    if len(rows) <= 2:
        return rows
    centred = profiles[rows] - profiles[rows].mean(axis=0)
    main = np.ones(centred.shape[1], np.float32)
    for _ in range(8):  # power iteration: the first principal component
        main = centred.T @ (centred @ main)
        main /= max(float(np.linalg.norm(main)), 1e-30)
    halves = np.array_split(rows[np.argsort(centred @ main, kind="stable")], 2)
    return np.concatenate([by_subject(profiles, half) for half in halves])


def measured(
    documents: list[hybrid.Document],
    order: NDArray[np.int64],
    size: int,
    dense: NDArray[np.float32],
    queries: list[tuple[str, str]],
    qrels: Any,
) -> dict[str, Any]:
    """Return the figures of documents that are put together so many at a time."""
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    home = {documents[n].id: f"{at:05}" for at, group in enumerate(groups) for n in group}
    together = [
        hybrid.Document(f"{at:05}", "\n\n".join(f"{documents[n].title}\n{documents[n].text}" for n in group))
        for at, group in enumerate(groups)
    ]
    words = scores(together, hybrid.BM25(), [text for _, text in queries])
    meaning = np.stack([dense[:, group].max(axis=1) for group in groups], axis=1)
    judged = {key: {home[id]: 1 for id, grade in qrels[key].items() if grade > 0} for key, _ in queries}
    figures = {}
    for alpha in ALPHAS:
        run = {key: fused(together, words[n], meaning[n], alpha) for n, (key, _) in enumerate(queries)}
        figures[alpha] = round(
            evaluation.evaluate(evaluation.Run(str(alpha), run), judged).mean("nDCG@10"), 4
        )
    return {
        "documents": len(groups),
        "best": max(figures, key=lambda alpha: figures[alpha]),
        "alpha": figures,
    }


def fused(
    documents: list[hybrid.Document], words: NDArray[Any], meaning: NDArray[Any], alpha: float
) -> dict[str, float]:
    """Return the ten best of one question by the default fusion at a weight."""
    columns = [
        Column(name, kind, raw.astype(np.float64), np.zeros(len(raw), np.int64), summary)
        for name, kind, raw, summary in (
            ("bm25", "sparse", words, Summary(0.0, float(words.max()), None, words[:0].astype(np.float64))),
            (
                "dense",
                "dense",
                meaning,
                Summary(-1.0, float(meaning.max()), None, meaning[:0].astype(np.float64)),
            ),
        )
    ]
    total = hybrid.Weighted(alpha).fuse(columns).scores
    best = np.argsort(-total, kind="stable")[:10]
    return {documents[n].id: float(total[n]) for n in best}


if __name__ == "__main__":
    main()
