"""Rules that need no judgements of the collection they are used on, learned on the other collections.

    python eval/rules.py --data FOLDER [--indexes FOLDER] [--sets scifact cranfield ...]

Two kinds, neither of which holds where it was not learned, so neither is offered: weights by query (a
logistic model of score distributions and agreement), and one normaliser and alpha for every collection.
Each is chosen on the test judgements of all sets but one, and measured on that one.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from provenance import provenance
from sets import opened, parser

import hybrid
from hybrid.evaluation import Scores, Setting

SETS = ("scifact", "cranfield", "cosqa", "xquad/en", "qmsum-longembed")
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
    """Parse, measure, learn, write and print."""
    options = parser(__doc__, SETS, "rules.json").parse_args()
    record, learnt, ways = provenance(), {}, {}
    for name, index, folder in opened(options):
        qrels = hybrid.read_qrels(folder / "qrels" / "test.tsv")
        scores = Scores.of(index, hybrid.read_queries(folder), qrels)
        ways[name] = by_way(scores)
        learnt[name] = features(scores), by_alpha(scores, hybrid.TM2C2(), 1.0)
        print(name, {way: float(curve.max()) for way, curve in ways[name].items()}, flush=True)
    record |= {
        "measure": "nDCG@10",
        "branches": {
            name: {"bm25": round(float(found["tm2c2"][0]), 4), "dense": round(float(found["tm2c2"][-1]), 4)}
            for name, found in ways.items()
        },
        "weights by query": by_query(learnt),
        "one fusion for all": fixed(ways),
    }
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    print(
        json.dumps(record["weights by query"], indent=1), json.dumps(record["one fusion for all"], indent=1)
    )


def by_alpha(scores: Scores, normalizer: Any, scale: float) -> np.ndarray:
    """Return nDCG@10 for every alpha, the branches alone at the ends: float64 (alphas, queries)."""
    sums = [
        hybrid.Weighted(
            weights={"bm25": (1 - float(alpha)) / scale, "dense": float(alpha)}, normalizer=normalizer
        )
        for alpha in ALPHAS[1:-1]
    ]
    tried = [Setting((0,), None, ""), *(Setting((0, 1), f, "") for f in sums), Setting((1,), None, "")]
    return scores.measure(tried, "nDCG@10")


def by_way(scores: Scores) -> dict[str, np.ndarray]:
    """Return the mean for every normaliser and alpha: float64 (alphas,)."""
    return {way: by_alpha(scores, *what).mean(axis=1) for way, what in WAYS.items()}


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


if __name__ == "__main__":
    main()
