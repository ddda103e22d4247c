"""Calibrate the threshold of near-duplicates: edited copies against different documents about the same thing.

    python eval/duplicates.py --data FOLDER [-o eval/results/duplicates.json]

Copies are made of the sets' own documents, with a share of the words replaced by others of the set, dropped
or doubled, or with sentences dropped. Different documents are each document's nearest other one by BM25.
Written: how many pairs of each kind a threshold calls duplicates, and a plot of it.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance

import hybrid
from hybrid import Document, NearDuplicates

HERE = Path(__file__).resolve().parent
SETS = ("scifact", "cranfield", "cosqa")
EDITS = {"5% of words": 0.05, "10% of words": 0.1, "20% of words": 0.2, "one sentence in five dropped": None}
THRESHOLDS = np.round(np.arange(1, 20) / 20, 2)
COUNT = 1000


def main() -> None:
    """Parse, compare, write and plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "duplicates.json")
    options = parser.parse_args()
    results = {name: measured(options.data / name) for name in SETS}
    record = {**provenance(), "thresholds": THRESHOLDS.tolist(), "results": results}
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    plot(results, HERE / "results" / "plots" / "duplicates.svg")
    for name, found in results.items():
        print(name, {kind: row["share"][9] for kind, row in found.items()})


def measured(folder: Path) -> dict[str, Any]:
    """Return one set's shares of pairs, by kind, that each threshold calls duplicates."""
    rng, finder = random.Random(0), NearDuplicates()
    documents = [d for d in hybrid.read(folder) if len(d.text.split()) >= 20]
    chosen = rng.sample(documents, min(COUNT, len(documents)))
    words = [word for document in documents for word in document.text.split()]
    pairs = {label: [(d, edited(d, share, words, rng)) for d in chosen] for label, share in EDITS.items()}
    with tempfile.TemporaryDirectory() as place:
        bm25 = hybrid.Pipeline([hybrid.BM25()])
        with hybrid.create(place + "/index", documents, bm25) as index:
            nearest = index.search_many([d.content for d in chosen], 2)
            others = [
                next((hit.id for hit in r if hit.id != d.id), None)
                for d, r in zip(chosen, nearest, strict=True)
            ]
            pairs["nearest other document"] = [
                (d, index.get(id)) for d, id in zip(chosen, others, strict=True) if id is not None
            ]
    found = {}
    for label, both in pairs.items():
        alike = np.array([finder.similarity(one, other) for one, other in both])
        found[label] = {
            "pairs": len(both),
            "share": [round(float((alike >= threshold).mean()), 4) for threshold in THRESHOLDS],
            "highest": sorted((round(float(value), 3) for value in alike), reverse=True)[:10],
        }
    return found


def edited(document: Document, share: float | None, words: list[str], rng: random.Random) -> Document:
    """Return a copy with a share of its words changed, or with a fifth of its sentences dropped."""
    if share is None:
        sentences = document.text.split(". ")
        kept = [each for each in sentences if rng.random() >= 0.2] or sentences
        return Document("copy", ". ".join(kept), document.title)
    changed: list[str] = []
    for word in document.text.split():
        if rng.random() >= share:
            changed.append(word)
            continue
        changed += rng.choice(([], [word, word], [rng.choice(words)]))
    return Document("copy", " ".join(changed), document.title)


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw, for each set, the share of pairs of each kind above every threshold."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(results), figsize=(4 * len(results), 3.4), sharey=True)
    for axis, (name, found) in zip(axes, results.items(), strict=True):
        for label, row in found.items():
            style = "--" if label == "nearest other document" else "-"
            axis.plot(THRESHOLDS, row["share"], style, label=label)
        axis.axvline(NearDuplicates().threshold, color="grey", linewidth=1, linestyle=":")
        axis.set(title=name, xlabel="threshold (Jaccard of 3-word shingles)")
    axes[0].set_ylabel("share of pairs called duplicates")
    axes[-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
