"""Check tuning without judgements: what `hybrid tune INDEX` recommends, measured on test judgements.

    python eval/unjudged.py --data FOLDER [--sets scifact cranfield ...] [--seeds 0 1]

For each set: each branch alone, the fixed default (TM2C2, alpha .8), RRF, the best fixed alpha (chosen on
the test judgements themselves: a ceiling), each query's own best alpha (the oracle), and what the
collection's own sentences recommend, for every seed. Then what was tried and is not offered: weights by
query (a logistic model of score distributions and agreement) and one fusion for every collection, both
learned on the judgements of all sets but one and measured on that one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance

import hybrid
from hybrid.evaluation import Scores, Setting, tune_unjudged

HERE = Path(__file__).resolve().parent
SETS = ("scifact", "cranfield", "cosqa", "xquad/en", "qmsum-longembed", "xquad/zh")
RULED = SETS[:5]
"""The sets that rules are learned on and tried on: an English model says little of Chinese."""

ALPHAS = np.round(np.arange(21) / 20, 2)
WAYS = {
    "tm2c2": (hybrid.TM2C2(), 1.0),
    "minmax": (hybrid.MinMax(), 1.0),
    "zscore": (hybrid.ZScore(depth=1000), 1.0),
    "raw": (hybrid.Raw(), 20.0),
}
"""Normalisers, and what BM25's scores are divided by before they are weighed."""

FEATURES = (
    "bm25 z",
    "dense z",
    "bm25 gap",
    "dense gap",
    "dense maximum",
    "dense in bm25",
    "bm25 in dense",
    "overlap",
)


def main() -> None:
    """Parse, measure, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--indexes", type=Path, help="a folder of indexes by set, to be reused")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "unjudged.json")
    options = parser.parse_args()
    record, results, learnt, ways = provenance(), {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        indexes = options.indexes or Path(folder)
        for name in options.sets:
            path = indexes / name.replace("/", "-")
            if not path.exists():
                hybrid.create(path, hybrid.read(options.data / name), pipeline(name)).close()
            with hybrid.open(path) as index:
                results[name], learnt[name], ways[name] = measured(index, options.data / name, options.seeds)
            print(name, json.dumps(results[name]), flush=True)
    ruled = [name for name in RULED if name in results]
    record |= {
        "measure": "nDCG@10",
        "results": results,
        "weights by query": by_query({name: learnt[name] for name in ruled}),
        "one fusion for all": fixed({name: ways[name] for name in ruled}),
    }
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record["one fusion for all"], indent=1))
    print(json.dumps(record["weights by query"], indent=1))


def pipeline(name: str) -> hybrid.Pipeline:
    """Return the default pipeline, with the analyzer that the set's language needs."""
    analyzer = "cjk" if name.endswith("/zh") else "english"
    return hybrid.Pipeline([hybrid.BM25(analyzer=analyzer), hybrid.Dense("all-MiniLM-L6-v2")])


def measured(
    index: hybrid.HybridIndex, folder: Path, seeds: list[int]
) -> tuple[dict[str, Any], tuple[np.ndarray, np.ndarray], dict[str, np.ndarray]]:
    """Return one set's figures; its features and table of alphas, by query; and means by way and alpha."""
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
    rounded = {name: round(float(v), 4) for name, v in figures.items()} | {"unjudged": chosen}
    return rounded, (features(scores), table), by_way(scores)


def by_way(scores: Scores) -> dict[str, np.ndarray]:
    """Return the mean for every normaliser and alpha: float64 (alphas,), the branches alone at the ends."""
    found = {}
    for way, (normalizer, scale) in WAYS.items():
        sums = [
            hybrid.Weighted(
                weights={"bm25": (1 - float(alpha)) / scale, "dense": float(alpha)}, normalizer=normalizer
            )
            for alpha in ALPHAS[1:-1]
        ]
        tried = [Setting((0,), None, ""), *(Setting((0, 1), f, "") for f in sums), Setting((1,), None, "")]
        found[way] = scores.measure(tried, "nDCG@10").mean(axis=1)
    return found


def fixed(sets: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    """Choose one normaliser and alpha on all sets but one, and say what it gains on that one.

    The gain is over the better branch alone. ``mean`` takes the best mean gain of the others, ``worst`` the
    best worst gain.
    """
    gains = {
        name: np.stack([curve - max(curve[0], curve[-1]) for curve in by_name.values()])
        for name, by_name in sets.items()
    }
    found: dict[str, Any] = {}
    for rule, summary in (("mean", np.mean), ("worst", np.min)) if len(sets) > 1 else ():
        found[rule] = {}
        for held_out in sets:
            others = np.stack([gain for name, gain in gains.items() if name != held_out])
            way, at = np.unravel_index(int(summary(others, axis=0).argmax()), others.shape[1:])
            gain = round(float(gains[held_out][way, at]), 4)
            found[rule][held_out] = {"way": list(WAYS)[way], "alpha": float(ALPHAS[at]), "gain": gain}
    found["curves"] = {
        name: {way: [round(float(v), 4) for v in curve] for way, curve in by_name.items()}
        for name, by_name in sets.items()
    }
    return found


def features(scores: Scores) -> np.ndarray:
    """Return what is known of each query without judgements: float64 (queries, features)."""
    rows = []
    for completed in scores.completed:
        tops = [column.summary.top for column in completed.columns]
        z = [(top[0] - top.mean()) / (top.std() + 1e-9) for top in tops]
        gap = [(top[0] - top[1:101].mean()) / (abs(top[0]) + 1e-9) for top in tops]
        bm25, dense = completed.columns
        first = [int(np.argmax(column.raw)) for column in completed.columns]
        seen = [
            (column.raw[at] - top.mean()) / (top.std() + 1e-9) / (abs(own) + 1e-9)
            for column, at, top, own in zip(completed.columns, first[::-1], tops, z, strict=True)
        ]
        both = ((bm25.ranks > 0) & (bm25.ranks <= 10) & (dense.ranks <= 10)).sum() / 10
        rows.append([*z, *gap, dense.summary.maximum, *seen, both])
    return np.array(rows)


def by_query(sets: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Learn alpha from features on all sets but one, and measure on that one; beside one learned alpha."""
    found: dict[str, Any] = {"features": FEATURES}
    together = np.concatenate([rows[:200] for rows, _ in sets.values()])
    mean, deviation = together.mean(axis=0), together.std(axis=0) + 1e-9
    scaled = {name: ((rows - mean) / deviation, table) for name, (rows, table) in sets.items()}
    for name in sets if len(sets) > 1 else ():
        others = [part for other, part in scaled.items() if other != name]
        one = learn([(rows[:, :0], table) for rows, table in others])
        many = learn(others)
        rows, table = scaled[name]
        found[name] = {
            "one alpha": round(float(value(one, rows[:, :0], table)), 4),
            "alpha by query": round(float(value(many, rows, table)), 4),
        }
    return found


def learn(parts: list[tuple[np.ndarray, np.ndarray]], steps: int = 1500) -> np.ndarray:
    """Return the weights of a logistic model of alpha, by hill climbing on the mean over the sets."""
    random, step = np.random.default_rng(0), 0.5
    weights = np.zeros(parts[0][0].shape[1] + 1)

    def objective(trial: np.ndarray) -> float:
        gains = [value(trial, rows, table) - table.mean(axis=1).max() for rows, table in parts]
        return float(np.mean(gains)) - 0.002 * float((trial[1:] ** 2).sum())

    best = objective(weights)
    for _ in range(steps):
        trial = weights + random.normal(0, step, len(weights)) * (random.random(len(weights)) < 0.4)
        reached = objective(trial)
        if reached > best:
            best, weights, step = reached, trial, min(1.0, 1.3 * step)
        else:
            step = max(0.03, 0.99 * step)
    return weights


def value(weights: np.ndarray, rows: np.ndarray, table: np.ndarray) -> float:
    """Return mean nDCG@10 where each query has the alpha of the model, read between the table's rows."""
    alpha = 1 / (1 + np.exp(-(weights[0] + rows @ weights[1:]))) * (len(ALPHAS) - 1)
    low = np.minimum(alpha.astype(int), len(ALPHAS) - 2)
    share, n = alpha - low, np.arange(table.shape[1])
    return float((table[low, n] * (1 - share) + table[low + 1, n] * share).mean())


if __name__ == "__main__":
    main()
