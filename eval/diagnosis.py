"""What there is to be won on each set: alpha curves with intervals, recall by depth, the oracle.

    python eval/diagnosis.py --data FOLDER [--indexes FOLDER] [--sets scifact cranfield ...]

What `hybrid diagnose` prints, for plots (eval/report.py draws them). The curves are read on the test
judgements: they show what fusing could win, and choose nothing.
"""

from __future__ import annotations

import json
from typing import Any

from provenance import provenance
from sets import opened, parser

import hybrid
from hybrid.evaluation import Diagnosis, diagnose

SETS = ("scifact", "cranfield", "cosqa", "xquad/en", "qmsum-longembed")
DEPTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def main() -> None:
    """Parse, measure, write and print."""
    options = parser(__doc__, SETS, "diagnosis.json").parse_args()
    record: dict[str, Any] = {**provenance(), "measure": "nDCG@10", "results": {}}
    for name, index, folder in opened(options):
        queries, qrels = hybrid.read_queries(folder), hybrid.read_qrels(folder / "qrels" / "test.tsv")
        record["results"][name] = figures(diagnose(index, queries, qrels, depths=DEPTHS))
        print(name, json.dumps(record["results"][name]["oracle"]), flush=True)
    options.output.write_text(json.dumps(record, indent=2) + "\n")


def figures(found: Diagnosis) -> dict[str, Any]:
    """Return what is drawn: by branch, by weight of the dense branch, by depth."""
    return {
        "queries": found.queries,
        "branches": {
            one.name: {
                "mean": round(one.mean, 4),
                "interval": [round(end, 4) for end in one.interval],
                "recall": {str(depth): round(value, 4) for depth, value in one.recall.items()},
                "judged": round(one.judged, 4),
            }
            for one in found.branches
        },
        "union recall": {str(depth): round(value, 4) for depth, value in found.union_recall.items()},
        "curve": [
            {
                "alpha": weights(point.fusion)["dense"],
                "mean": round(point.mean, 4),
                "interval": [round(end, 4) for end in point.interval],
            }
            for point in found.curve
        ],
        "best fixed": round(found.best_fixed, 4),
        "oracle": round(found.oracle, 4),
        "warnings": list(found.warnings),
    }


def weights(fusion: object) -> dict[str, float]:
    """Return the weights of a point of the curve."""
    return dict(getattr(fusion, "weights", None) or {})


if __name__ == "__main__":
    main()
