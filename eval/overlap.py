"""Measure whether analysis and encoding overlap while an index is built: BM25 beside a model that waits.

    python eval/overlap.py [--documents 40000] [--rate 8000] [--rounds 5] [-o eval/results/overlap.json]

The model waits as one behind an API or on an accelerator does: ``rate`` texts a second, and no core. Perfect
overlap takes as long as the longer of the two, none as long as their sum. Medians over rounds in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance

import hybrid
from hybrid.batches import DenseBatch
from hybrid.threads import thread_count

HERE = Path(__file__).resolve().parent
DIMENSION = 384


class Waiting:
    """A dense encoder that takes its time and no core."""

    dimension, normalized = DIMENSION, True

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def fingerprint(self) -> dict[str, str]:
        """Return its name."""
        return {"model": "waiting"}

    def encode_queries(self, texts: Sequence[str]) -> DenseBatch:
        """Return the same vector for each text, at once."""
        return DenseBatch(
            np.full((len(texts), DIMENSION), DIMENSION**-0.5, np.float32), np.zeros(len(texts), bool)
        )

    def encode_documents(self, texts: Sequence[str], progress: Any = None) -> DenseBatch:
        """Return the same vector for each text, after a while."""
        time.sleep(len(texts) / self.rate)
        return self.encode_queries(texts)


def main() -> None:
    """Parse, measure, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=40_000)
    parser.add_argument("--rate", type=float, default=8_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "overlap.json")
    options = parser.parse_args()
    documents = made(options.documents)
    bm25, dense = hybrid.BM25(), hybrid.Dense("m")
    ways: dict[str, tuple[list[Any], float]] = {
        "bm25": ([bm25], np.inf),
        "model": ([dense], options.rate),
        "both": ([bm25, dense], options.rate),
    }
    build(documents[:1000], *ways["both"])
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            seconds[name].append(build(documents, *way))
    medians = {name: round(statistics.median(found), 2) for name, found in seconds.items()}
    result = {
        "documents": options.documents,
        "texts_per_second_of_the_model": options.rate,
        "threads": thread_count(),
        "seconds": medians,
        "sum": round(medians["bm25"] + medians["model"], 2),
        "longest": max(medians["bm25"], medians["model"]),
        "rounds": {name: [round(value, 2) for value in found] for name, found in seconds.items()},
    }
    options.output.write_text(json.dumps({**provenance(), **result}, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def made(count: int) -> list[hybrid.Document]:
    """Return documents of 80 words whose frequencies follow Zipf's law."""
    rng = np.random.default_rng(0)
    return [
        hybrid.Document(str(n), " ".join(f"w{word}" for word in rng.zipf(1.3, 80) % 50_000))
        for n in range(count)
    ]


def build(documents: Sequence[hybrid.Document], branches: list[Any], rate: float) -> float:
    """Return the seconds that building takes."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        hybrid.create(
            folder + "/index",
            documents,
            hybrid.Pipeline(branches),
            encoders={"m": Waiting(rate)},
            cache="off",
        ).close()
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
