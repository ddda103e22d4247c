"""Compare answers and latencies of peers with ours. Numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

TOLERANCE = 1e-5
Answers = Sequence[Sequence[tuple[str, float]]]


def agreement(ours: Answers, theirs: Answers, scale: float = 1.0) -> dict[str, Any]:
    """Compare exact answers, query by query.

    Returns how many queries were compared; the largest difference of the scores at one rank,
    relative to ours, their scores divided by ``scale``; the share of queries whose lists are of one
    length; and the share whose ids are the same wherever scores are not tied with the last.
    """
    pairs = list(zip(ours, theirs, strict=False))
    differences, lengths, same = [0.0], 0, 0
    for a, b in pairs:
        scaled = [(id, score / scale) for id, score in b]
        differences += [abs(x - y) / max(abs(x), 1e-30) for (_, x), (_, y) in zip(a, scaled, strict=False)]
        lengths += len(a) == len(b)
        same += _untied_ids_agree(a, scaled)
    count = max(1, len(pairs))
    return {
        "queries": len(pairs),
        "largest relative score difference": float(f"{max(differences):.3g}"),
        "same length": round(lengths / count, 4),
        "same untied ids": round(same / count, 4),
    }


def _untied_ids_agree(a: Sequence[tuple[str, float]], b: Sequence[tuple[str, float]]) -> bool:
    """Whether every id clearly above the other list's last score is in the other list, both ways."""
    if not a or not b:
        return not a and not b
    for one, other in ((a, b), (b, a)):
        known = {id for id, _ in other}
        floor = other[-1][1] * (1 + TOLERANCE)
        if any(score > floor and id not in known for id, score in one):
            return False
    return True


def recall(truth: Answers, found: Answers) -> dict[str, Any]:
    """Return the mean share of the true ids that were found, over the queries that both have."""
    pairs = [(a, b) for a, b in zip(truth, found, strict=False) if a]
    shares = [len({id for id, _ in a} & {id for id, _ in b}) / len(a) for a, b in pairs]
    return {"queries": len(pairs), "recall": round(float(np.mean(shares)), 4) if shares else 0.0}


def per_query(rounds: Sequence[Sequence[int]]) -> list[float]:
    """Return each query's median over the rounds, in milliseconds; later queries may have fewer rounds."""
    longest = max(map(len, rounds), default=0)
    return [
        float(np.median([times[query] for times in rounds if query < len(times)])) / 1e6
        for query in range(longest)
    ]


def latency(rounds: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Summarise nanoseconds by round and query as milliseconds."""
    pooled = np.concatenate([np.asarray(times, np.float64) for times in rounds]) / 1e6
    return {
        "queries": max(map(len, rounds)),
        "median_ms": _short(np.median(per_query(rounds))),
        "mean_ms": _short(pooled.mean()),
        "p99_ms": _short(np.percentile(pooled, 99)),
        "rounds_median_ms": [_short(np.median(times) / 1e6) for times in rounds],
    }


def ratio(theirs: Sequence[Sequence[int]], ours: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return their median over ours, on the queries that both were asked, and its range over the rounds."""
    queries = min(map(len, (*theirs, *ours)))
    a, b = per_query(theirs)[:queries], per_query(ours)[:queries]
    by_round = [
        float(np.median(x[:queries]) / np.median(y[:queries])) for x, y in zip(theirs, ours, strict=False)
    ]
    return {
        "queries": queries,
        "of_medians": _short(np.median(a) / np.median(b)),
        "rounds": [_short(min(by_round)), _short(max(by_round))],
    }


def ndcg(answers: Answers, qrels: Sequence[dict[str, int]], depth: int = 10) -> float:
    """Return the mean nDCG at ``depth`` (Järvelin and Kekäläinen 2002), gains as judged."""
    import ir_measures

    judged = {str(n): grades for n, grades in enumerate(qrels[: len(answers)])}
    run = {str(n): {id: float(-rank) for rank, (id, _) in enumerate(row)} for n, row in enumerate(answers)}
    measure = ir_measures.nDCG @ depth
    return round(float(ir_measures.calc_aggregate([measure], judged, run)[measure]), 4)


def _short(value: Any) -> float:
    return float(f"{float(value):.4g}")
