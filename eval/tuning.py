"""Check tuning with judgements: what `hybrid tune` recommends, on queries that had no say in it.

    python eval/tuning.py --data FOLDER [--sets scifact cranfield ...] [-o eval/results/tuning.json]

Nested cross-validation on the test judgements of each set. Where a set has training judgements
(scifact), they are tuned on as well, and what comes out is searched with and measured on the test
judgements. Last, the time that 10,000 settings take on scifact's 300 test
queries, searching included.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from provenance import provenance
from sets import opened, parser

import hybrid
from hybrid.evaluation import Grid, Run, evaluate, settings, tune, variants

SETS = ("scifact", "cranfield", "cosqa", "qmsum-longembed", "xquad/en")


def main() -> None:
    """Parse, measure, write and print."""
    options = parser(__doc__, SETS, "tuning.json").parse_args()
    record: dict[str, Any] = {**provenance(), "measure": "nDCG@10", "results": {}}
    for name, index, folder in opened(options):
        record["results"][name] = measured(index, folder)
        if name == "scifact":
            record["time"] = timed(index, folder)
        print(name, json.dumps(record["results"][name]), flush=True)
    options.output.write_text(json.dumps(record, indent=2) + "\n")
    print(record.get("time"))


def measured(index: hybrid.HybridIndex, folder: Path) -> dict[str, Any]:
    """Tune on the test judgements, cross-validated; and on training judgements where there are any."""
    queries, qrels = hybrid.read_queries(folder), hybrid.read_qrels(folder / "qrels" / "test.tsv")
    found = {"cross-validated": outcome(tune(index, queries, qrels))}
    if (folder / "qrels" / "train.tsv").exists():
        tuned = tune(index, queries, hybrid.read_qrels(folder / "qrels" / "train.tsv"))
        found["tuned on train"] = outcome(tuned)
        names = [branch.name for branch in index.pipeline.branches]
        with hybrid.open(index.path, pipeline=tuned.pipeline) as reader:
            found["on test"] = {"recipe": searched(reader, queries, qrels)}
        found["on test"] |= {name: searched(index, queries, qrels, branches=[name]) for name in names}
    return found


def searched(
    index: hybrid.HybridIndex,
    queries: list[tuple[str, str]],
    qrels: dict[str, dict[str, int]],
    **options: Any,
) -> float:
    """Return the measure of real searches."""
    asked = [(qid, text) for qid, text in queries if qid in qrels]
    results = index.search_many([text for _, text in asked], 10, **options)
    run = {qid: {h.id: h.score for h in r} for (qid, _), r in zip(asked, results, strict=True)}
    return round(evaluate(Run("run", run), qrels).mean("nDCG@10"), 4)


def outcome(tuned: Any) -> dict[str, Any]:
    """Return what there is to say of one tuning."""
    return {
        "sentence": tuned.sentence,
        "queries": tuned.queries,
        "settings": tuned.settings,
        "held out": round(tuned.held_out, 4),
        "interval": [round(end, 4) for end in tuned.interval],
        "fitted": round(tuned.fitted, 4),
        "best branch": [tuned.best_branch, round(tuned.best_branch_mean, 4)],
        "families": {family.name: round(family.held_out, 4) for family in tuned.families},
    }


def timed(index: hybrid.HybridIndex, folder: Path) -> dict[str, Any]:
    """Return how long tuning over 10,000 settings takes, searching included."""
    queries, qrels = hybrid.read_queries(folder), hybrid.read_qrels(folder / "qrels" / "test.tsv")
    grid = Grid(steps=81)
    count = len(settings(index.pipeline, variants(index.pipeline, grid), grid))
    started = time.perf_counter()
    tune(index, queries, qrels, grid=grid)
    return {"settings": count, "queries": len(qrels), "seconds": round(time.perf_counter() - started, 1)}


if __name__ == "__main__":
    main()
