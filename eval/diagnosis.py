"""What there is to be won on each set: alpha curves with intervals, recall by depth, the oracle.

    python eval/diagnosis.py --data FOLDER [--indexes FOLDER] [--sets scifact cranfield ...]

What `hybrid diagnose` prints, for plots (eval/report.py draws them). The curves are read on the test
judgements: they show what fusing could win, and choose nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from provenance import provenance

import hybrid
from hybrid.evaluation import Diagnosis, diagnose

HERE = Path(__file__).resolve().parent
SETS = ("scifact", "cranfield", "cosqa", "xquad/en", "qmsum-longembed")
DEPTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def main() -> None:
    """Parse, measure, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--indexes", type=Path, help="a folder of indexes by set, to be reused")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "diagnosis.json")
    options = parser.parse_args()
    record: dict[str, Any] = {**provenance(), "measure": "nDCG@10", "results": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.sets:
            path = (options.indexes or Path(folder)) / name.replace("/", "-")
            if not path.exists():
                hybrid.create(path, hybrid.read(options.data / name)).close()
            queries = hybrid.read_queries(options.data / name)
            qrels = hybrid.read_qrels(options.data / name / "qrels" / "test.tsv")
            with hybrid.open(path) as index:
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
