"""One writer and several readers on one index for a long time: is every answer right, and does anything grow?

    python eval/soak.py --minutes 21 --out eval/results/soak.json

The writer adds, updates, deletes and optimises; before each commit it writes down what the next
generation will hold. The readers, processes of their own, refresh and search all the while, and compare every
answer with a model made of that: BM25 and inner products computed over the documents one by one,
and fused by RRF. The model shares no code with the engine. What is counted: answers,
wrong ones, errors, each process's memory, latencies. The machine's other load is
in the latencies, and its average is told with them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pickle
import random
import tempfile
import time
from collections import Counter
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance

import hybrid

DIMENSION, VOCABULARY, K = 8, 300, 10
PIPELINE = hybrid.Pipeline(
    [hybrid.BM25(analyzer="simple"), hybrid.Dense(dimension=DIMENSION)], hybrid.RRF(k=60)
)
K1, B = 1.2, 0.75
KEPT_PLANS = 400
"""How many generations' contents are kept for readers that lag behind."""


def document(id: str, chosen: random.Random) -> hybrid.Document:
    """Return a document of words with a skewed distribution, and a vector."""
    words = [f"w{int(VOCABULARY * chosen.random() ** 2)}" for _ in range(20)]
    vector = np.array([chosen.gauss(0, 1) for _ in range(DIMENSION)], np.float32)
    return hybrid.Document(
        id, " ".join(words), metadata={"n": chosen.randrange(4)}, vectors={"dense": vector}
    )


class Model:
    """The documents of a generation, asked one by one."""

    def __init__(self, live: dict[str, tuple[str, Any]]) -> None:
        self.ids = sorted(live)
        self.bags = [Counter(live[id][0].split()) for id in self.ids]
        self.lengths = np.array([bag.total() for bag in self.bags], np.float64)
        self.vectors = np.array([live[id][1] for id in self.ids], np.float64).reshape(-1, DIMENSION)
        self.held: Counter[str] = Counter(term for bag in self.bags for term in bag)

    def answer(self, words: list[str], vector: Any) -> list[tuple[str, float]]:
        """Return the best K ids with their fused scores."""
        count, average = len(self.ids), float(self.lengths.mean()) if self.ids else 1.0
        # the terms are added from the heaviest down, as BM25's sums are defined
        weigh = {
            term: math.log(1 + (count - self.held[term] + 0.5) / (self.held[term] + 0.5)) for term in words
        }
        scores = np.zeros(count)
        for term in sorted(set(words), key=lambda term: (-weigh[term], term)):
            for n, bag in enumerate(self.bags):
                if tf := bag[term]:
                    scores[n] += weigh[term] * tf / (tf + K1 * (1 - B + B * self.lengths[n] / average))
        fused = np.zeros(count)
        for column, ranked in ((scores, scores > 0), (self.vectors @ vector, np.ones(count, np.bool_))):
            exact = column.astype(np.float32)
            order = sorted(np.flatnonzero(ranked).tolist(), key=lambda n: (-exact[n], self.ids[n]))
            for rank, n in enumerate(order, 1):
                fused[n] += 1 / (60 + rank)
        best = sorted(range(count), key=lambda n: (-np.float32(fused[n]), self.ids[n]))[:K]
        return [(self.ids[n], float(np.float32(fused[n]))) for n in best]


def write(folder: Path, plans: Path, until: float, out: Connection) -> None:
    """Change the index until time is up; tell what was done."""
    chosen = random.Random(11)
    with hybrid.open(folder, "w") as index:
        live: dict[str, tuple[str, Any]] = {d.id: (d.text, d.vectors["dense"]) for d in index.documents()}
        done: Counter[str] = Counter()
        fresh = len(live)
        memory = []
        while time.monotonic() < until:
            after, generation = dict(live), index.generation + 1
            name = chosen.choices(["add", "update", "delete", "optimize"], [4, 4, 3, 0.5])[0]
            size = chosen.randint(1, 20)
            if name == "add" and len(live) < 1500:
                batch = [document(f"d{fresh + n:07d}", chosen) for n in range(size)]
                fresh += size
            else:
                batch = [document(id, chosen) for id in chosen.sample([*live], min(size, len(live)))]
            gone = [d.id for d in batch] if name == "delete" and len(live) > 500 else []
            if name == "optimize":
                _plan(plans, generation, live)
                index.optimize()
            elif gone:
                after = {id: held for id, held in live.items() if id not in set(gone)}
                _plan(plans, generation, after)
                index.delete(gone)
            else:
                after |= {d.id: (d.text, d.vectors["dense"]) for d in batch}
                _plan(plans, generation, after)
                index.update(batch)
            live = after
            done[name] += 1
            memory.append(resident())
            (plans / f"{index.generation - KEPT_PLANS}.pickle").unlink(missing_ok=True)
            time.sleep(chosen.random() * 0.2)
        found = hybrid.verify(folder, deep=True)
        out.send({
            "commits": dict(done), "generation": index.generation, "documents": len(index),
            "memory_mib": _ends(memory), "verified": found.ok,
            "findings": [str(each) for each in found.findings],
        })  # fmt: skip


def _plan(plans: Path, generation: int, live: dict[str, tuple[str, Any]]) -> None:
    """Write down what a generation will hold."""
    path = plans / f"{generation}.pickle"
    path.with_suffix(".new").write_bytes(pickle.dumps(live, protocol=5))
    path.with_suffix(".new").replace(path)


def read(folder: Path, plans: Path, until: float, seed: int, out: Connection) -> None:
    """Search until time is up; compare every answer."""
    chosen = random.Random(seed)
    answers, generations = 0, set()
    wrong: list[Any] = []
    errors: list[str] = []
    latencies: list[tuple[float, float]] = []
    memory: list[float] = []
    started = time.monotonic()
    index = hybrid.open(folder)
    model, known = None, -1
    while time.monotonic() < until:
        try:
            index.refresh()
            if index.generation != known:
                known = index.generation
                model = Model(pickle.loads((plans / f"{known}.pickle").read_bytes()))
                generations.add(known)
            for _ in range(5):
                words = [f"w{int(VOCABULARY * chosen.random() ** 2)}" for _ in range(chosen.randint(1, 4))]
                words = [*dict.fromkeys(words)]
                vector = np.array([chosen.gauss(0, 1) for _ in range(DIMENSION)], np.float32)
                query = hybrid.Query(" ".join(words), {"dense": vector})
                begun = time.perf_counter()
                result = index.search(query, K)
                latencies.append((time.monotonic() - started, time.perf_counter() - begun))
                answers += 1
                found = [(hit.id, hit.score) for hit in result]
                expected = model.answer(words, vector.astype(np.float64)) if model else []
                if found != expected or result.generation != known:
                    wrong.append([known, words, found[:3], expected[:3]])
        except FileNotFoundError:
            known = -1  # this generation's plan was let go; refresh
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
        memory.append(resident())
    index.close()
    out.send({
        "answers": answers, "generations_seen": len(generations),
        "wrong": len(wrong), "wrong_first": wrong[:3],
        "errors": len(errors), "errors_first": errors[:3], "memory_mib": _ends(memory),
        "latency_ms": _latencies(latencies),
    })  # fmt: skip


def _latencies(found: list[tuple[float, float]]) -> dict[str, dict[str, float]]:
    """Return the median and the 99th percentile of the first and the last tenth of the time, in ms."""
    end = found[-1][0]
    parts = {
        "first_tenth": [each for at, each in found if at <= end / 10],
        "last_tenth": [each for at, each in found if at >= 0.9 * end],
    }
    return {
        name: {
            "p50": round(1e3 * float(np.median(part)), 2),
            "p99": round(1e3 * float(np.quantile(part, 0.99)), 2),
        }
        for name, part in parts.items()
    }


def _ends(memory: list[float]) -> dict[str, float]:
    """Return the median memory of each quarter of the time."""
    return {
        f"quarter_{n + 1}": round(float(np.median(q)), 1) for n, q in enumerate(np.array_split(memory, 4))
    }


def resident() -> float:
    """Return this process's own memory in MiB (what it maps of files is shared, and not counted)."""
    fields = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) / 1024


def main() -> None:
    """Run the soak and write its result."""
    parser = argparse.ArgumentParser(
        description="One writer and several readers on one index for a long time."
    )
    parser.add_argument("--minutes", type=float, default=21)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    context = get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        folder, plans = Path(place) / "index", Path(place) / "plans"
        plans.mkdir()
        chosen = random.Random(10)
        first = [document(f"d{n:07d}", chosen) for n in range(1000)]
        with hybrid.create(folder, first, PIPELINE) as index:
            _plan(plans, index.generation, {d.id: (d.text, d.vectors["dense"]) for d in first})
        load, origin = os.getloadavg(), provenance()
        until = time.monotonic() + 60 * options.minutes
        work = []
        for number in range(options.readers + 1):
            here, there = context.Pipe(duplex=False)
            arguments = (folder, plans, until, there) if not number else (folder, plans, until, number, there)
            process = context.Process(target=read if number else write, args=arguments)
            process.start()
            work.append((process, here))
        told = [here.recv() for _, here in work]
        for process, _ in work:
            process.join()
        result = {
            **origin,
            "minutes": options.minutes,
            "machine_shared": "yes: other work ran beside it, so latencies are not those of a quiet machine",
            "load_average": {"start": load, "end": os.getloadavg()},
            "answers": sum(each["answers"] for each in told[1:]),
            "wrong": sum(each["wrong"] for each in told[1:]),
            "errors": sum(each["errors"] for each in told[1:]),
            "writer": told[0],
            "readers": told[1:],
        }
        Path(options.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
