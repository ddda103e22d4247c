"""Measure pseudo-relevance feedback (RM3) for BM25, alone and fused with the default dense branch.

    python eval/feedback.py --data FOLDER [--fused cranfield] [-o eval/results/feedback.json]

The parameters are chosen from the grid below by nDCG@10 of BM25 on scifact's train judgements, and measured
as they are on the test judgements of every set, beside Anserini's defaults. Fused: Weighted at its default.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from provenance import provenance

import hybrid
from hybrid import RM3, evaluation

HERE = Path(__file__).resolve().parent
MEASURES = ["nDCG@10", "R@100"]
GRID = {"documents": (3, 10), "terms": (10, 30), "weight": (0.5, 0.7, 0.9)}
SETS = ("scifact", "cranfield")


def main() -> None:
    """Parse, choose, measure, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--fused", nargs="*", default=(), choices=SETS, help="where to measure fusion too")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "feedback.json")
    options = parser.parse_args()
    record: dict[str, Any] = {**provenance(), "grid": GRID, "results": {}}
    chosen = RM3()
    for name in SETS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "index"
            fused = name in options.fused
            hybrid.create(
                path, hybrid.read(options.data / name / "corpus.jsonl"), pipeline(None, fused)
            ).close()
            if name == "scifact":
                record["train"] = tried(path, options.data / name)
                chosen = RM3(**max(record["train"], key=lambda row: row["nDCG@10"])["rm3"] or {"weight": 1.0})
                record["chosen"] = repr(chosen)
            record["results"][name] = measured(path, options.data / name, chosen, fused)
        print(name, json.dumps(record["results"][name], indent=2), flush=True)
        options.output.write_text(json.dumps(record, indent=2) + "\n")


def tried(path: Path, folder: Path) -> list[dict[str, Any]]:
    """Return what each setting gives on the training judgements."""
    rows: list[dict[str, Any]] = [{"rm3": None, **figures(path, folder, "train", None, alone=True)[0]}]
    for values in product(*GRID.values()):
        rm3 = dict(zip(GRID, values, strict=True))
        rows.append({"rm3": rm3, **figures(path, folder, "train", RM3(**rm3), alone=True)[0]})
        print(rows[-1], flush=True)
    return rows


def pipeline(rm3: RM3 | None, fused: bool) -> hybrid.Pipeline:
    """Return BM25 with feedback, alone or fused with the default dense branch."""
    bm25 = hybrid.BM25(feedback=rm3)
    return hybrid.Pipeline([bm25, hybrid.Dense()] if fused else [bm25])


def measured(path: Path, folder: Path, chosen: RM3, fused: bool) -> dict[str, Any]:
    """Return the test figures without feedback, with Anserini's parameters and with those chosen."""
    found: dict[str, Any] = {}
    qrels = hybrid.read_qrels(folder / "qrels" / "test.tsv")
    for alone in (True, False)[: 1 + fused]:
        tables = []
        for label, rm3 in {"none": None, "Anserini's": RM3(), "chosen": chosen}.items():
            row, run = figures(path, folder, "test", rm3, alone=alone)
            found[f"{'BM25' if alone else 'fused'}, {label}"] = row
            tables.append(evaluation.evaluate(replace(run, name=label), qrels, MEASURES))
        differences = evaluation.compare(tables, MEASURES[:1], "none")
        found[f"{'BM25' if alone else 'fused'}, compared"] = [
            {"run": each.name, "difference": round(each.difference, 4), "p": round(each.p_holm, 4)}
            for each in differences
        ]
    return found


def figures(
    path: Path, folder: Path, split: str, rm3: RM3 | None, *, alone: bool
) -> tuple[dict[str, float], evaluation.Run]:
    """Return the measures of one setting, and its run."""
    qrels = hybrid.read_qrels(folder / "qrels" / f"{split}.tsv")
    asked = [(key, text) for key, text in hybrid.read_queries(folder / "queries.jsonl") if key in qrels]
    with hybrid.open(path, pipeline=pipeline(rm3, fused=not alone)) as index:
        results = index.search_many([text for _, text in asked], 100)
    scores = {
        key: {hit.id: hit.score for hit in result} for (key, _), result in zip(asked, results, strict=True)
    }
    run = evaluation.Run(repr(rm3), scores)
    table = evaluation.evaluate(run, qrels, MEASURES)
    return {measure: round(float(table.mean(measure)), 4) for measure in MEASURES}, run


if __name__ == "__main__":
    main()
