"""Measure late interaction over a whole collection: our exact and centroid search beside fast-plaid's.

    python eval/plaid.py --data FOLDER --cache FOLDER [--set scifact] [--queries 100] [--dimension 128]
                         [--indexes FOLDER]

The same token vectors for both, kept in 4 bits a number beside as many centroids by both: MiniLM's own (see
`token_vectors.py`), or their first principal components, scaled to length 1 (``--dimension``: ColBERT's have
128 numbers, and fast-plaid's k-means takes long over 384). One query at a time, 2 threads. Recall is the
share of the true best ten, by MaxSim over the unquantised vectors, that a way finds; what 4 bits cost is part
of it, so the exact search over our 4-bit vectors is shown too. Each side runs in a process of its own,
fast-plaid in an environment of its own (`peers/environments.py`). Indexes are built anew, or kept in
``--indexes`` and found there: ``--queries 0`` only builds them, so that building and asking can be apart.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
THREADS, K = 2, 10
PROBES = (1, 2, 4, 8, 16)
DEPTHS = (64, 256, 1024)
SAMPLED = 4
"""fast-plaid's k-means sees one of so many documents: over all it takes long, and ours sees fewer."""


def main() -> None:
    """Measure both sides, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--cache", type=Path, required=True, help="where token vectors are kept")
    parser.add_argument("--set", default="scifact")
    parser.add_argument("--queries", type=int, default=100, help="of the test queries, the first")
    parser.add_argument("--dimension", type=int, help="how many principal components; without it, all")
    parser.add_argument("--indexes", type=Path, help="where indexes stay, each under the set's name")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "plaid.json")
    parser.add_argument("--fast-plaid", type=int, metavar="CENTROIDS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["HYBRID_THREADS"] = str(THREADS)
    documents, queries = vectors(options)
    if options.fast_plaid:
        with place(options, "fast-plaid") as folder:
            print(json.dumps(fast_plaid(documents, queries, folder, options.fast_plaid)))
        return
    from peers import environments
    from provenance import provenance

    with place(options, "hybrid") as folder:
        ours, truth = hybrid_ways(documents, queries, folder)
    theirs = json.loads(
        subprocess.run(
            [
                *(str(environments.python("fast_plaid")), __file__, *sys.argv[1:]),
                *("--fast-plaid", str(ours["centroids"])),
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.splitlines()[-1]
    )
    if not queries:
        return
    record = {
        **provenance(),
        "versions of peers": environments.versions("fast_plaid"),
        "set": options.set,
        "documents": len(documents),
        "tokens": sum(map(len, documents)),
        "dimension": documents[0].shape[1],
        "centroids": ours["centroids"],
        "queries": len(queries),
        "threads": THREADS,
        "hybrid": {"ways": judged(ours["ways"], truth)},
        "fast-plaid": {"ways": judged(theirs["ways"], truth)},
    }
    if options.indexes is None:  # else they may have been built beside other work
        record["hybrid"]["seconds to build"] = ours["seconds"]
        record["fast-plaid"]["seconds to build"] = theirs["seconds"]
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps({side: record[side] for side in ("hybrid", "fast-plaid")}, indent=2))


def vectors(options: argparse.Namespace) -> tuple[list[Any], list[Any]]:
    """Return the token vectors of the documents and of the first test queries, as lists of arrays."""
    import numpy as np

    def kept(name: str) -> dict[str, Any]:
        place = options.cache / f"{options.set}-{name}"
        bounds, rows = np.load(place / "bounds.npy"), np.load(place / "vectors.npy", mmap_mode="r")
        ids = json.loads((place / "ids.json").read_text())
        return {id: np.array(rows[a:b]) for id, a, b in zip(ids, bounds[:-1], bounds[1:], strict=True)}

    judged_rows = (options.data / options.set / "qrels" / "test.tsv").read_text().splitlines()[1:]
    wanted = list(dict.fromkeys(row.split("\t")[0] for row in judged_rows))[: options.queries]
    asked = kept("queries")
    documents, queries = list(kept("documents").values()), [asked[id] for id in wanted]
    if options.dimension is None:
        return documents, queries
    whole = np.concatenate(documents)
    axes = np.linalg.eigh(whole.T @ whole)[1][:, : -options.dimension - 1 : -1]

    def projected(rows: Any) -> Any:
        near = rows @ axes
        return np.ascontiguousarray(near / np.linalg.norm(near, axis=1, keepdims=True), np.float32)

    return [projected(each) for each in documents], [projected(each) for each in queries]


@contextlib.contextmanager
def place(options: argparse.Namespace, side: str) -> Iterator[Path]:
    """Yield the folder of a side's indexes."""
    if options.indexes is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        folder = options.indexes / f"{options.set}-{options.dimension or 'all'}" / side
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def built(folder: Path, build: Any) -> float:
    """Build what is not there yet; return the seconds that it took."""
    said = folder / "seconds.json"
    if not said.exists():
        started = time.perf_counter()
        build()
        said.write_text(json.dumps(time.perf_counter() - started))
    return float(json.loads(said.read_text()))


def hybrid_ways(
    documents: list[Any], queries: list[Any], folder: Path
) -> tuple[dict[str, Any], list[list[int]]]:
    """Return our ways' times and answers, and the true best ten of each query."""
    import hybrid

    dimension = documents[0].shape[1]

    def pipeline(storage: Any, **options: Any) -> hybrid.Pipeline:
        branch = hybrid.Multivector(dimension=dimension, name="tokens", storage=storage, **options)
        return hybrid.Pipeline([branch], fusion=hybrid.RRF())

    def build(name: str, storage: Any) -> None:
        made = (hybrid.Document(f"{n:07}", vectors={"tokens": v}) for n, v in enumerate(documents))
        hybrid.create(folder / name / "index", made, pipeline(storage)).close()

    def asked(index: Any) -> dict[str, Any]:
        times, found = [], []
        for vector in [*queries[:1], *queries]:
            query = hybrid.Query("", {"tokens": vector})
            started = time.perf_counter()
            answer = index.retrieve(query, K)
            times.append(time.perf_counter() - started)
            found.append([int(id) for id in answer.ids])
        return {"ms": statistics.median(times[1:]) * 1e3, "found": found[1:]}

    for name in ("true", "coded"):
        (folder / name).mkdir(exist_ok=True)
    built(folder / "true", lambda: build("true", "float32"))
    seconds = built(folder / "coded", lambda: build("coded", "residual4"))
    with hybrid.open(folder / "coded" / "index", pipeline=pipeline("residual4")) as index:
        centroids = index.stats().branches["tokens"]["clusters"]
    if not queries:
        return {"centroids": centroids}, []
    settings: dict[str, dict[str, Any]] = {"exact, 4 bits": {}}
    settings |= {
        f"probes {probes}, candidates {depth}": {"search": "plaid", "probes": probes, "candidates": depth}
        for probes in PROBES
        for depth in DEPTHS
    }
    with hybrid.open(folder / "true" / "index") as index:
        ways = {"exact, float32": asked(index)}
    for name, options in settings.items():
        with hybrid.open(folder / "coded" / "index", pipeline=pipeline("residual4", **options)) as index:
            ways[name] = asked(index)
    made = {"seconds": round(seconds, 1), "centroids": centroids, "ways": ways}
    return made, ways["exact, float32"]["found"]


def fast_plaid(documents: list[Any], queries: list[Any], folder: Path, centroids: int) -> dict[str, Any]:
    """Return fast-plaid's times and answers, with so many centroids."""
    import torch
    from fast_plaid import search
    from fast_plaid.search import fast_plaid as library

    # it has no parameter for that, and would take four times as many from scifact
    library.compute_kmeans = functools.partial(library.compute_kmeans, num_partitions=centroids)
    torch.set_num_threads(THREADS)
    index = search.FastPlaid(index=str(folder / "index"), device="cpu")
    tensors = [torch.from_numpy(each) for each in documents]
    sample = -(-len(tensors) // SAMPLED)
    seconds = built(
        folder, lambda: index.create(documents_embeddings=tensors, nbits=4, n_samples_kmeans=sample)
    )
    ways: dict[str, Any] = {}
    asked = [torch.from_numpy(each)[None] for each in queries]
    for probes in PROBES if asked else ():
        for depth in DEPTHS:
            times, found = [], []
            for query in [asked[0], *asked]:
                started = time.perf_counter()
                answer = index.search(
                    query, top_k=K, n_full_scores=depth, n_ivf_probe=probes, show_progress=False
                )
                times.append(time.perf_counter() - started)
                found.append([number for number, _ in answer[0]])
            name = f"probes {probes}, candidates {depth}"
            ways[name] = {"ms": statistics.median(times[1:]) * 1e3, "found": found[1:]}
    return {"seconds": round(seconds, 1), "ways": ways}


def judged(ways: dict[str, Any], truth: list[list[int]]) -> dict[str, Any]:
    """Return each way's median milliseconds and its recall of the true best ten."""
    return {
        name: {
            "ms": round(way["ms"], 2),
            f"recall@{K}": round(
                sum(len({*found} & {*true}) for found, true in zip(way["found"], truth, strict=True))
                / (K * len(truth)),
                4,
            ),
        }
        for name, way in ways.items()
    }


if __name__ == "__main__":
    main()
