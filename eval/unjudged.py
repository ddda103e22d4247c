"""Check tuning without judgements: what `hybrid tune INDEX` recommends, measured on test judgements.

    python eval/unjudged.py --data FOLDER [--sets scifact cranfield ...] [--seeds 0 1]

For each set: each branch alone, the fixed default (TM2C2, alpha .8), RRF, the best fixed alpha (chosen on
the test judgements themselves: a ceiling), each query's own best alpha (the oracle), and what the
collection's own sentences recommend, for every seed. What was tried and does
not hold is in rules.py.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance
from sets import opened, parser

import hybrid
from hybrid.evaluation import Scores, Setting, tune_unjudged

SETS = ("scifact", "cranfield", "cosqa", "xquad/en", "qmsum-longembed", "xquad/zh")

ALPHAS = np.round(np.arange(21) / 20, 2)


def main() -> None:
    """Parse, measure, write and print."""
    asked = parser(__doc__, SETS, "unjudged.json")
    asked.add_argument("--seeds", nargs="+", type=int, default=[0])
    options = asked.parse_args()
    record, results = provenance(), {}
    for name, index, folder in opened(options, pipeline):
        results[name] = measured(index, folder, options.seeds)
        print(name, json.dumps(results[name]), flush=True)
    record |= {"measure": "nDCG@10", "results": results}
    options.output.write_text(json.dumps(record, indent=2) + "\n")


def pipeline(name: str) -> hybrid.Pipeline:
    """Return the default pipeline, with the analyzer that the set's language needs."""
    analyzer = "cjk" if name.endswith("/zh") else "english"
    return hybrid.Pipeline([hybrid.BM25(analyzer=analyzer), hybrid.Dense("all-MiniLM-L6-v2")])


def measured(index: hybrid.HybridIndex, folder: Path, seeds: list[int]) -> dict[str, Any]:
    """Return one set's figures."""
    qrels, queries = hybrid.read_qrels(folder / "qrels" / "test.tsv"), hybrid.read_queries(folder)
    scores = Scores.of(index, queries, qrels)
    alone = [Setting((n,), None, "") for n in (0, 1)]
    sums = [Setting((0, 1), hybrid.Weighted(alpha=float(alpha)), "") for alpha in ALPHAS[1:-1]]
    table = scores.measure([alone[0], *sums, alone[1]], "nDCG@10")
    means = table.mean(axis=1)
    rrf = scores.measure([Setting((0, 1), hybrid.RRF(), "")], "nDCG@10").mean()
    chosen = []
    for seed in seeds:
        started = time.perf_counter()
        found = tune_unjudged(index, seed=seed)
        columns = tuple(n for n, weight in enumerate(found.weights.values()) if weight)
        fusion = found.pipeline.fusion if len(columns) > 1 else None
        value = scores.measure([Setting(columns, fusion, "")], "nDCG@10").mean()
        chosen.append(
            {
                "seed": seed,
                "queries": found.queries,
                "weights": dict(found.weights),
                "nDCG@10": round(float(value), 4),
                "over best branch": round(float(value) - max(means[0], means[-1]), 4),
                "seconds": round(time.perf_counter() - started, 1),
            }
        )
    figures = {
        "bm25": means[0], "dense": means[-1], "alpha .8": means[16], "alpha .9": means[18], "rrf": rrf,
        "best alpha": means.max(), "oracle alpha": table.max(axis=0).mean(),
    }  # fmt: skip
    return {name: round(float(v), 4) for name, v in figures.items()} | {"unjudged": chosen}


if __name__ == "__main__":
    main()
