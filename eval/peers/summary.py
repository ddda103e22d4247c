"""From the reports of a collection's peers to what stands in the results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from peers import environments
from peers.compare import agreement, latency, ndcg, ratio, recall
from peers.registry import OURS, Peer

OUR_PACKAGES = ("hybrid-retrieval", "numpy", "numba", "faiss-cpu")
STEPS = ("import_seconds", "open_seconds", "first_query_seconds", "since_start_seconds")


@dataclass
class Measured:
    """What one peer's processes reported, and why it stopped, if it did."""

    peer: Peer
    builds: list[dict[str, Any]] = field(default_factory=list)
    searches: list[dict[str, Any]] = field(default_factory=list)
    failure: str | None = None


def summarise(about: dict[str, Any], measured: Mapping[str, Measured], folder: Path) -> dict[str, Any]:
    """Return one collection's results: a summary by peer, and the reason of each that failed.

    Peers are compared with the first of ours at the same k, in its first mode. Where the scores are not
    comparable, the share of our ids that they found is given, as overlap.
    """
    qrels = folder / "qrels.json"
    judged = json.loads(qrels.read_text()) if qrels.exists() else None
    ours = passes(measured[OURS])
    found: dict[str, Any] = {"collection": about, "peers": {}, "failed": {}}
    for name, one in measured.items():
        if one.failure:
            found["failed"][name] = one.failure
        if one.searches:
            found["peers"][name] = _peer(one, about["documents"], ours, judged)
    return found


def passes(measured: Measured) -> dict[str, dict[str, Any]]:
    """Return the passes by "mode k=…": nanoseconds by round, and the answers of the first round."""
    if not measured.searches:
        return {}
    return {
        key: {
            "rounds": [report["passes"][key]["nanoseconds"] for report in measured.searches],
            "answers": first["answers"],
        }
        for key, first in measured.searches[0]["passes"].items()
    }


def _peer(
    one: Measured, documents: int, ours: dict[str, dict[str, Any]], judged: list[dict[str, int]] | None
) -> dict[str, Any]:
    asked = {}
    for key, own in passes(one).items():
        asked[key] = latency(own["rounds"])
        base = next((item for name, item in ours.items() if _k(name) == _k(key)), None)
        if base is not None and base["rounds"] is not own["rounds"]:
            asked[key]["ratio"] = ratio(own["rounds"], base["rounds"])
            asked[key] |= _compared(one.peer, key, base["answers"], own["answers"])
        if judged is not None:
            asked[key]["nDCG@10"] = ndcg(own["answers"], judged)
    size = one.builds[-1]["index_bytes"]
    return {
        "versions": _versions(one.peer),
        "scores": one.peer.scores,
        "build_seconds": round(median(report["build_seconds"] for report in one.builds), 2),
        "builds_seconds": [round(report["build_seconds"], 2) for report in one.builds],
        **({"built": one.builds[-1]["how"]} if "how" in one.builds[-1] else {}),
        "build_peak_rss_bytes": max(report["peak_rss_bytes"] for report in one.builds),
        "search_peak_rss_bytes": max(report["peak_rss_bytes"] for report in one.searches),
        "index_bytes": size,
        "index_bytes_per_document": round(size / max(1, documents), 1),
        "cold": _steps([report for report in one.searches if report["cold"]]),
        "warm": _steps([report for report in one.searches if not report["cold"]]),
        "passes": asked,
    }


def _steps(reports: list[dict[str, Any]]) -> dict[str, float]:
    """Return the medians of the steps to the first answer; nothing if there was no such search."""
    if not reports:
        return {}
    return {step: round(median(report[step] for report in reports), 4) for step in STEPS}


def _compared(peer: Peer, key: str, ours: Any, theirs: Any) -> dict[str, Any]:
    """Compare answers in the way that the peer's kind of scores allows."""
    if peer.name == OURS and key.startswith("search"):  # fused scores, though of one branch
        return {"overlap": recall(ours, theirs)}
    if peer.scores == "equal" and "query_cut" not in key:
        return {"agreement": agreement(ours, theirs, peer.scale)}
    if peer.scores == "rounded":
        return {"agreement": agreement(ours, theirs, peer.scale), "overlap": recall(ours, theirs)}
    kind = "overlap" if peer.scores == "other" else "recall"
    return {kind: recall(ours, theirs)}


def _k(key: str) -> str:
    return key.rsplit(" ", 1)[1]


def _versions(peer: Peer) -> dict[str, str]:
    if peer.environment:
        return environments.versions(peer.environment)
    return {name: version(name) for name in OUR_PACKAGES}
