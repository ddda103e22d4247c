"""Measure MaxSim of one query against stored documents: ours, PyLate's rerank, torch, and one matrix product.

    python eval/maxsim.py [--rounds 5] [-o eval/results/maxsim.json]

32 query tokens, 100 of 1,000 stored documents of about 120 tokens (90 to 150), 128 dimensions, 2 threads:
the documents are chosen anew for each call, as a first stage would. Each way runs in a process of its own,
PyLate in an environment of its own (`peers/environments.py`); processes take turns, so that what else the
machine does falls on all. Scores are compared with float64 ones. The limit is one product in float32 of
the documents' tokens, already together, with the query's, by the library under numpy. With
``--device cuda`` our ways and torch's run on a GPU besides, what each call copies there and back included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
WAYS = (
    "hybrid float32",
    "hybrid float16",
    "hybrid int8",
    "one matrix product",
    "torch, padded einsum",
    "torch, gathered rows",
    "pylate rerank",
)
ON_DEVICE = tuple(way for way in WAYS if way.startswith(("hybrid", "torch")))
QUERY_TOKENS, CANDIDATES, STORED, DIMENSION, THREADS = 32, 100, 1000, 128, 2
CALLS = 200

Call = Callable[[Any], Any]


def main() -> None:
    """Measure every way in turns, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "maxsim.json")
    parser.add_argument("--device", help="where torch's ways and ours run besides: cuda")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way)))
        return
    from peers import environments
    from provenance import provenance

    record = provenance()
    there = [f"{way} on {options.device}" for way in ON_DEVICE] if options.device else []
    rounds: dict[str, list[dict[str, Any]]] = {way: [] for way in (*WAYS, *there)}
    for _ in range(options.rounds):
        for way, found in rounds.items():
            found.append(in_own_process(way))
    results = {way: summary(found) for way, found in rounds.items()}
    record |= {
        "versions of peers": environments.versions("pylate"),
        "size": {"query tokens": QUERY_TOKENS, "documents": CANDIDATES, "dimension": DIMENSION},
        "threads": THREADS,
        "calls": CALLS * options.rounds,
        "milliseconds": results,
        "ratios": ratios(results),
    }
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps({"milliseconds": results, "ratios": record["ratios"]}, indent=2))


def summary(rounds: list[dict[str, Any]]) -> dict[str, float]:
    """Return the best round's median, all calls' minimum, and the worst error of a score."""
    return {
        "median of the best round": round(min(r["median"] for r in rounds), 3),
        "minimum": round(min(r["minimum"] for r in rounds), 3),
        "largest error": max(r["error"] for r in rounds),
    }


def ratios(results: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return how much faster than PyLate each of our ways is, and how much slower than the product."""
    found = {}
    for name in ("median of the best round", "minimum"):
        for way in (way for way in WAYS if way.startswith("hybrid")):
            ours = results[way][name]
            found[f"pylate / {way}, {name}"] = round(results["pylate rerank"][name] / ours, 2)
            product = results["one matrix product"][name]
            found[f"{way} / one matrix product, {name}"] = round(ours / product, 2)
    return found


def in_own_process(way: str) -> dict[str, Any]:
    """Measure a way in a process with as many threads as all have."""
    from peers import environments, process

    theirs = way.startswith("pylate")
    python = environments.python("pylate") if theirs else Path(sys.executable)
    with tempfile.TemporaryDirectory() as temporary:
        done = subprocess.run(
            [python, HERE / "maxsim.py", "--way", way],
            env=process.environment(THREADS, not theirs),
            cwd=temporary,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(way: str) -> dict[str, float]:
    """Time one way; milliseconds a call."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(90, 151, STORED)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    tokens, query = (
        unit(rng.standard_normal((bounds[-1], DIMENSION))),
        unit(rng.standard_normal((QUERY_TOKENS, DIMENSION))),
    )
    choices = [np.sort(rng.choice(STORED, CANDIDATES, replace=False)) for _ in range(CALLS)]
    calls = prepared(way, tokens, bounds, query, choices)
    error, taken = 0.0, []
    for n, (call, chosen) in enumerate(calls):
        before = time.perf_counter()
        scores = call(chosen)
        taken.append(time.perf_counter() - before)
        if n < 3 and way != "one matrix product":
            true = [
                (query.astype(float) @ tokens[bounds[d] : bounds[d + 1]].astype(float).T).max(1).sum()
                for d in choices[n]
            ]
            error = max(error, float(np.abs(np.sort(np.asarray(scores)) - np.sort(true)).max()))
    times = 1000 * np.array(taken[10:])
    return {"median": float(np.median(times)), "minimum": float(times.min()), "error": error}


def prepared(
    way: str, tokens: Any, bounds: Any, query: Any, choices: list[Any]
) -> Iterator[tuple[Call, Any]]:
    """Yield what to call with what; preparing is not on the clock."""
    if way == "one matrix product":
        asked = np.ascontiguousarray(query.T)
        for chosen in choices:
            yield asked.__rmatmul__, np.concatenate([tokens[bounds[d] : bounds[d + 1]] for d in chosen])
        return
    way, _, device = way.partition(" on ")
    if way.startswith("hybrid"):
        call = ours(way.split()[1], tokens, bounds, query, device)
        yield from ((call, chosen) for chosen in choices)
    else:
        import torch

        torch.set_num_threads(THREADS)
        torch.set_grad_enabled(False)
        torch.set_default_device(device or "cpu")
        kind = {"torch, padded einsum": padded, "torch, gathered rows": gathered, "pylate rerank": pylate}[
            way
        ]
        call = kind(torch, tokens, bounds, query)
        yield from ((call, chosen) for chosen in choices)


def ours(storage: Any, tokens: Any, bounds: Any, query: Any, device: str) -> Call:
    """Return this package's way: what a stage calls for stored documents."""
    from hybrid.branches.devices import StoredOnDevice
    from hybrid.index.dense.vectors import Vectors
    from hybrid.index.multivector.codec import Kept
    from hybrid.index.multivector.maxsim import StoredTokens, TokenQuery

    kept = Kept.plain(Vectors.of(tokens, storage))
    stored = StoredOnDevice(bounds, kept, None, device) if device else StoredTokens(bounds, kept)
    return lambda chosen: stored.scores(chosen, TokenQuery(query))


def padded(torch: Any, tokens: Any, bounds: Any, query: Any) -> Call:
    """Return the plain way: documents padded to the longest, one einsum."""
    pieces = [torch.tensor(tokens[a:b]) for a, b in pairwise(bounds)]
    asked = torch.tensor(query)

    def call(chosen: Any) -> Any:
        lengths = torch.tensor([len(pieces[d]) for d in chosen])
        documents = torch.nn.utils.rnn.pad_sequence([pieces[d] for d in chosen], batch_first=True)
        products = torch.einsum("qd,ntd->nqt", asked, documents)
        outside = torch.arange(products.shape[2])[None] >= lengths[:, None]
        return products.masked_fill_(outside[:, None], -torch.inf).max(-1).values.sum(-1).cpu().numpy()

    return call


def gathered(torch: Any, tokens: Any, bounds: Any, query: Any) -> Call:
    """Return the way without padding: rows gathered, one product, a maximum for each document."""
    stored, asked = torch.tensor(tokens), torch.tensor(query)

    def call(chosen: Any) -> Any:
        rows = np.concatenate([np.arange(bounds[d], bounds[d + 1]) for d in chosen])
        owner = torch.tensor(np.repeat(np.arange(len(chosen)), bounds[chosen + 1] - bounds[chosen]))
        products = stored[torch.tensor(rows)] @ asked.T
        best = torch.full((len(chosen), len(asked)), -torch.inf)
        best.scatter_reduce_(0, owner[:, None].expand_as(products), products, "amax")
        return best.sum(1).cpu().numpy()

    return call


def pylate(torch: Any, tokens: Any, bounds: Any, query: Any) -> Call:
    """Return PyLate's way: `pylate.rank.rerank` over tensors that are in memory."""
    from pylate import rank

    pieces = [torch.from_numpy(tokens[a:b]) for a, b in pairwise(bounds)]
    asked = torch.from_numpy(query)[None]

    def call(chosen: Any) -> Any:
        found = rank.rerank(
            documents_ids=[chosen.tolist()],
            queries_embeddings=asked,
            documents_embeddings=[[pieces[d] for d in chosen]],
            device="cpu",
        )
        return [result["score"] for result in found[0]]

    return call


def unit(rows: Any) -> Any:
    """Return rows scaled to length 1, as float32."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main()
