"""Measure retrieval quality on BEIR folders, through the command line, with ir-measures.

    python eval/quality.py --data FOLDER [--sets scifact cranfield …] [-o eval/results/quality.json]

For each set the index is created and run with `hybrid create` and `hybrid run` in their own
processes, exactly as a user would; the runs are measured on the set's test judgements. BM25 is
also run with Anserini's parameters, on the same index. Nothing is tuned here (see alpha.py).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from provenance import provenance

HERE = Path(__file__).resolve().parent
SETS = ("scifact", "cranfield", "cosqa", "xquad/en", "xquad/zh")
MEASURES = ("nDCG@10", "R@100", "RR@10")
RECIPES = HERE.parent / "indexes" / "recipes"
_ANSERINI = (
    'name = "bm25-anserini"\n[[branches]]\ntype = "bm25"\nk1 = 0.9\nb = 0.4\nanalyzer = "{analyzer}"\n'
)


def main() -> None:
    """Parse, measure each set, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "quality.json")
    options = parser.parse_args()
    record = provenance()
    results = {name: measure_set(options.data / name) for name in options.sets}
    record |= {"measures": MEASURES, "results": results}
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    print(table(results))


def measure_set(folder: Path) -> dict[str, object]:
    """Create one set's index, run every configuration, and measure them."""
    analyzer = "cjk" if folder.name == "zh" else "english"
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        index, anserini = work / "index", work / "anserini.toml"
        anserini.write_text(_ANSERINI.format(analyzer=analyzer))
        recipe = RECIPES / ("cjk.toml" if analyzer == "cjk" else "default.toml")
        seconds = hybrid("create", index, folder, "--recipe", recipe)
        runs = {"bm25": ["--branches", "bm25"], "bm25 k1=.9 b=.4": ["--recipe", anserini]}
        if analyzer != "cjk":
            runs |= {
                "dense": ["--branches", "dense"],
                "hybrid": [],
                "rrf": ["--recipe", RECIPES / "rrf.toml"],
            }
        found = {name: run_and_measure(index, folder, extra, work) for name, extra in runs.items()}
    return {"analyzer": analyzer, "create_seconds": round(seconds, 1), "runs": found}


def run_and_measure(index: Path, folder: Path, extra: list[object], work: Path) -> dict[str, object]:
    """Run the judged test queries to depth 100 and return the measures and the wall time."""
    import ir_measures

    queries, qrels, run = folder / "queries.jsonl", folder / "qrels" / "test.tsv", work / "out.run"
    seconds = hybrid("run", index, queries, "-k", 100, "-o", run, "--qrels", qrels, *extra)
    judged = [
        ir_measures.Qrel(qid, docid, int(score))
        for qid, docid, score in (row.split("\t") for row in qrels.read_text().splitlines()[1:])
    ]
    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    found = ir_measures.calc_aggregate(measures, judged, ir_measures.read_trec_run(str(run)))
    return {
        **{str(name): round(value, 4) for name, value in sorted(found.items(), key=str)},
        "run_seconds": round(seconds, 2),
    }


def hybrid(*arguments: object) -> float:
    """Run one `hybrid` command in its own process; return the seconds it took."""
    command = [sys.executable, "-m", "hybrid", *map(str, arguments)]
    print("$", shlex.join(["hybrid", *command[3:]]), file=sys.stderr)
    started = time.perf_counter()
    environment = {**os.environ, "HYBRID_CACHE": "off"}  # encoding is part of what is timed
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - started


def table(results: dict[str, dict[str, object]]) -> str:
    """Return nDCG@10 as a Markdown table, sets by configurations."""
    names = list(dict.fromkeys(name for found in results.values() for name in found["runs"]))
    rows = ["| nDCG@10 | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for collection, found in results.items():
        cells = [f"{found['runs'][name]['nDCG@10']:.4f}" if name in found["runs"] else "" for name in names]
        rows.append(f"| {collection} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
