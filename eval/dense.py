"""Time dense search: every kind of ours beside faiss directly, on clustered vectors.

    python eval/dense.py [--documents 200000] [--queries 50] [--rounds 3] [--kinds flat,scan,...] [--decay 2]

The vectors are of unit length, 384 numbers each, around made-up centres, from a fixed seed. Ours is one
segment, written to a file and mapped as in an index; every query is asked alone. Figures are medians
over queries and rounds, in turns; recall is against exact search.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from provenance import provenance

import hybrid
from hybrid.index import Mask, Segment, SegmentView, SegmentWriter, Snapshot
from hybrid.index.dense import DenseRows, DenseScorer, Form

HERE = Path(__file__).resolve().parent
DIMENSION, K = 384, 10
IN_CLUSTER = 500
EXACT = {"flat": hybrid.Flat(), "scan": hybrid.Scan(), "tiered": hybrid.Tiered()}
APPROXIMATE = {
    "hnsw": hybrid.HNSW(),
    "ivf": hybrid.IVF(),
    "ivf sq8": hybrid.IVF(codes="sq8"),
    "ivf pq": hybrid.IVF(codes="pq"),
    "ivf rabitq": hybrid.IVF(codes="rabitq"),
    "sq8": hybrid.SQ8(),
    "pq": hybrid.PQ(),
    "rabitq": hybrid.RaBitQ(),
    "binary": hybrid.Binary(),
}
STORAGES = ("float16", "int8")
Ask = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Parse, measure, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--decay", type=float, default=0.0, help="0: all numbers weigh alike; 1: the first most"
    )
    parser.add_argument("--kinds", help="only these, with commas; faiss itself is 'faiss', 'faiss hnsw', ...")
    parser.add_argument("--note", help="anything a reader should know, such as other load")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "dense.json")
    options = parser.parse_args()
    wanted = options.kinds.split(",") if options.kinds else None
    load_before = os.getloadavg()[0]
    vectors, queries = collection(options.documents, options.queries, options.decay)
    with tempfile.TemporaryDirectory() as folder:
        systems = dict(ours(vectors, Path(folder), wanted)) | dict(peers(vectors, wanted))
        results = measured(systems, queries, options.rounds)
    record = {
        **provenance(),
        "documents": options.documents,
        "decay": options.decay,
        "dimension": DIMENSION,
        "queries": options.queries,
        "rounds": options.rounds,
        "k": K,
        "load_average_before": round(load_before, 2),
        **({"note": options.note} if options.note else {}),
        "results": results,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    print(table(results))


def collection(documents: int, queries: int, decay: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors around as many centres as give `IN_CLUSTER` documents each, and queries alike.

    With ``decay`` the n-th number shrinks as (1 + n/16)^-decay, as in Matryoshka representations.
    """
    shrink = (1 + np.arange(DIMENSION, dtype=np.float32) / 16) ** -decay
    random = np.random.default_rng(0)
    centres = random.standard_normal((max(1, documents // IN_CLUSTER), DIMENSION), np.float32)
    found = np.empty((documents + queries, DIMENSION), np.float32)
    for start in range(0, len(found), 50_000):
        part = found[start : start + 50_000]
        part[:] = centres[random.integers(len(centres), size=len(part))]
        part += random.standard_normal(part.shape, np.float32)
        part *= shrink
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return found[:documents], found[documents:]


def ours(
    vectors: np.ndarray, folder: Path, wanted: list[str] | None
) -> Iterator[tuple[str, tuple[Ask, float]]]:
    """Yield each of our kinds: its name, how to ask it, and the seconds that building took."""
    forms = {name: (Form(kind), kind) for name, kind in (EXACT | APPROXIMATE).items()}
    forms |= {f"scan {storage}": (Form("auto", storage), hybrid.Scan()) for storage in STORAGES}
    flags = np.zeros(len(vectors), np.bool_)
    for name, (form, kind) in forms.items():
        if wanted is not None and name not in wanted:
            continue
        path, started = folder / name, time.perf_counter()
        with SegmentWriter(path) as out:
            DenseRows.of(vectors, flags, form).write(out, "dense")
        took = time.perf_counter() - started
        view = SegmentView(Segment.open(path), name, 0, len(vectors), None)
        snapshot, mask = Snapshot(1, [view]), Mask((None,), len(vectors))

        def ask(query: np.ndarray, snapshot: Any = snapshot, mask: Any = mask, kind: Any = kind) -> Any:
            return DenseScorer(snapshot, "dense", query, True, mask, kind).top(K).docnums

        yield name, (ask, took)


def peers(vectors: np.ndarray, wanted: list[str] | None) -> Iterator[tuple[str, tuple[Ask, float]]]:
    """Yield faiss itself, in the same way."""
    lists, product = int(4 * len(vectors) ** 0.5), faiss.METRIC_INNER_PRODUCT
    makers: dict[str, Callable[[], tuple[Any, Any]]] = {
        "faiss": lambda: (faiss.IndexFlatIP(DIMENSION), None),
        "faiss hnsw": lambda: (
            faiss.IndexHNSWFlat(DIMENSION, 32, product),
            faiss.SearchParametersHNSW(efSearch=128),
        ),
        "faiss ivf": lambda: (
            faiss.IndexIVFFlat(faiss.IndexFlatIP(DIMENSION), DIMENSION, lists, product),
            faiss.SearchParametersIVF(nprobe=max(1, lists // 32)),
        ),
    }
    for name, make in makers.items():
        if wanted is not None and name not in wanted:
            continue
        started = time.perf_counter()
        index, parameters = make()
        if name == "faiss hnsw":
            index.hnsw.efConstruction = 200
        if name == "faiss ivf":
            index.cp.min_points_per_centroid = 1
        index.train(vectors)
        index.add(vectors)

        def ask(query: np.ndarray, index: Any = index, parameters: Any = parameters) -> Any:
            return index.search(query[None], K, params=parameters)[1][0]

        yield name, (ask, time.perf_counter() - started)


def measured(
    systems: dict[str, tuple[Ask, float]], queries: np.ndarray, rounds: int
) -> dict[str, dict[str, float]]:
    """Ask every system every query, in turns, with one thread and with two."""
    import hybrid.kernels.scan  # noqa: F401 - as in a process that has searched before

    results: dict[str, dict[str, float]] = {}
    best: list[set[int]] = []
    for name, (ask, took) in systems.items():
        found = [set(ask(query).tolist()) for query in queries]
        best = best or found  # the first system is an exact one
        recall = statistics.mean(len(a & b) / K for a, b in zip(best, found, strict=True))
        results[name] = {"recall": round(recall, 4), "build_s": round(took, 2)}
    for threads in (1, 2):
        os.environ["HYBRID_THREADS"] = str(threads)
        faiss.omp_set_num_threads(threads)
        times: dict[str, list[float]] = {name: [] for name in systems}
        for _ in range(rounds):
            for name, (ask, _) in systems.items():
                ask(queries[0])
                for query in queries:
                    started = time.perf_counter()
                    ask(query)
                    times[name].append(1000 * (time.perf_counter() - started))
        for name, values in times.items():
            results[name][f"ms_{threads}_threads"] = round(statistics.median(values), 3)
            results[name][f"p90_ms_{threads}_threads"] = round(float(np.percentile(values, 90)), 3)
    return results


def table(results: dict[str, dict[str, float]]) -> str:
    """Return the figures for people."""
    lines = [f"{'':14}{'1 thread, ms':>14}{'2 threads, ms':>15}{'recall@10':>11}{'build, s':>10}"]
    lines += [
        f"{name:14}{r['ms_1_threads']:>14}{r['ms_2_threads']:>15}{r['recall']:>11}{r['build_s']:>10}"
        for name, r in results.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
