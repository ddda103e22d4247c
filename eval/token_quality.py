"""Measure what kept token vectors are worth as a rerank stage, and what they take, for each way to keep them.

    python eval/token_quality.py --data FOLDER --cache FOLDER [--sets cranfield scifact] [--forms …]

The first stage is the embedded default, BM25 and MiniLM fused; a MaxSim stage over MiniLM's own token
vectors rescores its best 100, alone (weight 1) and interpolated. The weight is chosen on scifact's training
judgements, for each form by itself, and is used as it is on cranfield, which has none. Where scifact was not
measured there is no weight. Test judgements choose nothing.
Token vectors are kept under --cache once they are made; results of sets and forms are added to the output.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import token_vectors
from provenance import provenance

import hybrid

HERE = Path(__file__).resolve().parent
FORMS: dict[str, dict[str, Any]] = {
    "float32": {"storage": "float32"},
    "float16": {"storage": "float16"},
    "int8": {"storage": "int8"},
    "128 components, int8": {"storage": "int8", "project": 128},
    "128 components, 4 bits": {"storage": "residual4", "project": 128},
    "128 components, 2 bits": {"storage": "residual2", "project": 128},
    "4 bits": {"storage": "residual4"},
    "2 bits": {"storage": "residual2"},
    "pooled by 2, float16": {"storage": "float16", "pool": 2},
}
WEIGHTS = [round(0.05 * n, 2) for n in range(21)]
TOP, DEPTH = 100, 100
MEASURE = ir_measures.nDCG @ 10


def main() -> None:
    """Measure, write after each form, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--cache", type=Path, required=True, help="where token vectors are kept")
    parser.add_argument("--sets", nargs="+", default=["scifact", "cranfield"])
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=FORMS)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "token-quality.json")
    options = parser.parse_args()
    record: dict[str, Any] = {**provenance(), "measure": str(MEASURE), "top": TOP, "results": {}}
    if options.output.exists():
        record["results"] = json.loads(options.output.read_text())["results"]
    for form in options.forms:
        for name in options.sets:
            found = measured(options.data, options.cache, name, FORMS[form])
            record["results"].setdefault(name, {})[form] = found
            with_chosen_weights(record["results"])
            options.output.write_text(json.dumps(record, indent=2) + "\n")
            print(name, form, json.dumps({k: v for k, v in found.items() if k != "by weight"}), flush=True)


def measured(data: Path, cache: Path, name: str, form: dict[str, Any]) -> dict[str, Any]:
    """Build an index with token vectors in a form; return sizes, and the measure by weight and split."""
    texts = token_vectors.documents(data, name, cache).each()
    queries = token_vectors.queries(data, name, cache).each()
    dimension = next(iter(queries.values())).shape[1]
    stage = hybrid.MaxSim(dimension=dimension, name="tokens", top=TOP, **form)
    pipeline = hybrid.Pipeline(rerank=[stage], depth=DEPTH, passages=None)
    documents = (
        hybrid.Document(d.id, d.text, d.title, d.metadata, {"tokens": texts[d.id]})
        for d in hybrid.read(data / name)
    )
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        index = hybrid.create(Path(temporary) / "index", documents, pipeline)
        seconds = time.monotonic() - started
        stats = index.stats().branches["tokens"]
        splits = {path.stem: path for path in (data / name / "qrels").glob("*.tsv")}
        curves = {split: curve(index, data / name, path, queries) for split, path in splits.items()}
        index.close()
    return {
        "build seconds, all branches": round(seconds, 1),
        "bytes a token": bytes_a_token(form, dimension, stats),
        "vectors": stats.get("tokens"),
        "projection keeps": round(stats["projection_kept"], 4) if "project" in form else None,
        "by weight": curves,
        "fused alone": curves["test"][0],
        "tokens alone": curves["test"][-1],
    }


def bytes_a_token(form: dict[str, Any], dimension: int, stats: Any) -> float:
    """Return the bytes of a token that is kept."""
    if "bytes_per_token" in stats:
        return round(float(stats["bytes_per_token"]), 2)
    return {"float32": 4.0 * dimension, "float16": 2.0 * dimension, "int8": dimension + 4.0}[form["storage"]]


def curve(index: Any, folder: Path, qrels_path: Path, queries: dict[str, Any]) -> list[float]:
    """Return the measure of every weight of the stage, in the order of `WEIGHTS`."""
    lines = (folder / "queries.jsonl").read_text("utf-8").splitlines()
    texts = {said["_id"]: said["text"] for said in map(json.loads, lines)}
    rows = [line.split("\t") for line in qrels_path.read_text().splitlines()[1:]]
    qrels = [ir_measures.Qrel(query, document, int(grade)) for query, document, grade in rows]
    runs: list[list[Any]] = [[] for _ in WEIGHTS]
    for id in sorted({qrel.query_id for qrel in qrels}):
        hits = index.search(hybrid.Query(texts[id], vectors={"tokens": queries[id]}), k=TOP).hits
        before, after = (unit(np.array([hit.scores[n] for hit in hits])) for n in ("fused", "tokens"))
        for run, weight in zip(runs, WEIGHTS, strict=True):
            mixed = weight * after + (1 - weight) * before
            run += [ir_measures.ScoredDoc(id, hit.id, float(s)) for hit, s in zip(hits, mixed, strict=True)]
    return [round(ir_measures.calc_aggregate([MEASURE], qrels, run)[MEASURE], 4) for run in runs]


def unit(scores: Any) -> Any:
    """Map scores to [0, 1], as a rerank stage does."""
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros(len(scores))


def with_chosen_weights(results: dict[str, Any]) -> None:
    """Add each form's weight by scifact's training judgements, and what it gives on the tests."""
    for form, trained in results.get("scifact", {}).items():
        weight = int(np.argmax(trained["by weight"]["train"]))
        for found in (results[name][form] for name in results if form in results[name]):
            found["weight"] = WEIGHTS[weight]
            found["interpolated"] = found["by weight"]["test"][weight]


if __name__ == "__main__":
    main()
