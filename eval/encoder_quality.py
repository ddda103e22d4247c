"""Measure what a runtime and a dtype do to retrieval: the bundled model on one BEIR folder.

    python eval/encoder_quality.py --set FOLDER [--only NAME …] [-o eval/results/encoder-quality.json]

Each way of running the model builds an index of its own (the default recipe) through the public API; dense
alone and hybrid are measured on the test judgements. Nothing is tuned. With ``--only``, the other rows of an
existing result file stay.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import ir_measures
from encoders import KINDS, open_encoder
from provenance import provenance

import hybrid

HERE = Path(__file__).resolve().parent
MODEL = "all-MiniLM-L6-v2"
MEASURES = [ir_measures.parse_measure(name) for name in ("nDCG@10", "R@100")]


def main() -> None:
    """Parse, measure each way, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", type=Path, required=True, help="a BEIR folder")
    parser.add_argument("--only", nargs="+", choices=[*KINDS], default=[*KINDS])
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "encoder-quality.json")
    options = parser.parse_args()
    os.environ["HYBRID_CACHE"] = "off"  # every way encodes for itself
    before = json.loads(options.output.read_text())["results"] if options.output.exists() else {}
    found = {**before, **{name: measured(options.set, name) for name in options.only}}
    record = {**provenance(), "set": options.set.name, "results": {n: found[n] for n in KINDS if n in found}}
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record["results"], indent=2))


def measured(folder: Path, name: str) -> dict[str, Any]:
    """Build an index with the model run in one way, and measure it."""
    judged = [
        ir_measures.Qrel(query, document, int(score))
        for query, document, score in (
            row.split("\t") for row in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]
        )
    ]
    wanted = {entry.query_id for entry in judged}
    queries = [(key, text) for key, text in hybrid.read_queries(folder / "queries.jsonl") if key in wanted]
    encoders = {MODEL: open_encoder(name)}
    with tempfile.TemporaryDirectory() as place:
        index = hybrid.create(place + "/index", hybrid.read(folder / "corpus.jsonl"), encoders=encoders)
        scores = {
            "dense": measure(index, queries, judged, ["dense"]),
            "hybrid": measure(index, queries, judged, None),
        }
    return {"documents": len(index), **scores}


def measure(index: Any, queries: Any, judged: Any, branches: list[str] | None) -> dict[str, float]:
    """Search for each query to depth 100."""
    run = [
        ir_measures.ScoredDoc(key, hit.id, hit.score)
        for key, text in queries
        for hit in index.search(text, k=100, branches=branches).hits
    ]
    found = ir_measures.calc_aggregate(MEASURES, judged, run)
    return {str(name): round(value, 4) for name, value in sorted(found.items(), key=str)}


if __name__ == "__main__":
    main()
