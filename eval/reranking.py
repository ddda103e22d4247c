"""Measure rerank stages on BEIR folders: MaxSim over MiniLM's token vectors, neighbours, and diversity.

    python eval/reranking.py --data FOLDER --cache FOLDER [--sets cranfield …] [-o FILE]

The first stage is the default pipeline. The bundled model was not trained for late interaction; its token
vectors (the last hidden states, scaled to length 1, of 256 tokens at most) are encoded once and kept in
``--cache``. Weights are laid down beforehand, not chosen on the test queries. R@100 is the ceiling of what a
stage over 100 documents can reach, and the oracle's nDCG@10 that of their best order. Differences are to
"hybrid", query by query, with p of a paired randomisation test
after Holm's correction.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import token_vectors
from provenance import provenance

import hybrid
from hybrid.evaluation import Run, compare, evaluate

HERE = Path(__file__).resolve().parent
SETS = ("cranfield", "scifact")
TOP = 100
MEASURES = ("nDCG@10", "RR@10", "R@100")


def stages() -> dict[str, tuple[Any, ...]]:
    """Return what is measured: rerank stages by name."""

    def maxsim(**options: Any) -> hybrid.MaxSim:
        return hybrid.MaxSim(dimension=384, top=TOP, **options)

    return {
        "hybrid": (),
        "maxsim alone": (maxsim(),),
        "maxsim .5": (maxsim(weight=0.5),),
        "maxsim .2": (maxsim(weight=0.2),),
        "maxsim alone, dense neighbours": (maxsim(expand=hybrid.Neighbours("dense")),),
        "maxsim .5, dense neighbours": (maxsim(weight=0.5, expand=hybrid.Neighbours("dense")),),
        "maxsim .5, bm25 neighbours": (maxsim(weight=0.5, expand=hybrid.Neighbours("bm25")),),
        "mmr .9": (hybrid.MMR(top=50, weight=0.9),),
        "mmr .7": (hybrid.MMR(top=50, weight=0.7),),
        "mmr .5": (hybrid.MMR(top=50, weight=0.5),),
    }


def main() -> None:
    """Parse, measure each set, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--cache", type=Path, required=True, help="where token vectors are kept")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "reranking.json")
    options = parser.parse_args()
    record = provenance()
    record["results"] = {name: measure_set(options.data / name, options.cache) for name in options.sets}
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    for name, rows in record["results"].items():
        print(name)
        for way, row in rows.items():
            print(f"  {way:34}", "  ".join(f"{key} {value}" for key, value in row.items()))


def measure_set(folder: Path, cache: Path) -> dict[str, dict[str, float]]:
    """Return the figures of every configuration on one set."""
    qrels = hybrid.read_qrels(folder / "qrels" / "test.tsv")
    asked = [(qid, text) for qid, text in texts_of(folder / "queries.jsonl") if qid in qrels]
    vectors = token_vectors.documents(folder.parent, folder.name, cache).each()
    about = token_vectors.queries(folder.parent, folder.name, cache).each()
    queries = [hybrid.Query(text, {"maxsim": about[qid]}) for qid, text in asked]
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "index"
        brought = (
            hybrid.Document(d.id, d.text, d.title, vectors={"maxsim": vectors[d.id]})
            for d in hybrid.read(folder)
        )
        hybrid.create(path, brought, hybrid.Pipeline(rerank=stages()["maxsim alone"])).close()
        runs, rows = {}, {}
        for name, chosen in stages().items():
            plain = chosen if any(isinstance(s, hybrid.MaxSim) for s in chosen) else ()
            asking = queries if plain else [hybrid.Query(query.text) for query in queries]
            with hybrid.open(path, pipeline=hybrid.Pipeline(rerank=chosen)) as index:
                runs[name], rows[name] = run(index, name, chosen, [qid for qid, _ in asked], asking, qrels)
        add_differences(rows, runs, qrels)
    return rows


def run(
    index: hybrid.HybridIndex,
    name: str,
    chosen: tuple[Any, ...],
    qids: list[str],
    queries: list[hybrid.Query],
    qrels: dict[str, dict[str, int]],
) -> tuple[Run, dict[str, float]]:
    """Return a run to depth 100 and its figures; the median of what stages took, in milliseconds."""
    index.search(queries[0], TOP)
    results = [index.search(query, TOP) for query in queries]
    found = {q: {hit.id: hit.score for hit in result} for q, result in zip(qids, results, strict=True)}
    one = Run(name, found)
    measured = evaluate(one, qrels, list(MEASURES))
    ideal = {q: {id: float(qrels[q].get(id, 0)) for id in hits} for q, hits in found.items()}
    row = {measure: round(measured.mean(measure), 4) for measure in MEASURES}
    oracle = evaluate(Run("oracle", ideal), qrels, ["nDCG@10"])
    row["oracle nDCG@10"] = round(oracle.mean("nDCG@10"), 4)
    if chosen:
        took = [result.timings[chosen[0].name] for result in results]
        row["stage ms"] = round(float(np.median(took)) * 1e3, 2)
    return one, row


def add_differences(
    rows: dict[str, dict[str, float]], runs: dict[str, Run], qrels: dict[str, dict[str, int]]
) -> None:
    """Add to each row how nDCG@10 and R@100 differ from "hybrid", with p after Holm's correction."""
    evaluations = [evaluate(one, qrels, ["nDCG@10", "R@100"]) for one in runs.values()]
    for pair in compare(evaluations, baseline="hybrid"):
        rows[pair.name][f"{pair.measure} difference"] = round(pair.difference, 4)
        rows[pair.name][f"{pair.measure} p"] = round(pair.p_holm, 4)


def texts_of(path: Path) -> list[tuple[str, str]]:
    """Return the queries of a file, judged or not."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [(row["_id"], row["text"]) for row in rows]


if __name__ == "__main__":
    main()
