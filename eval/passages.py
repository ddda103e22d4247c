"""Measure what cutting documents does to retrieval: chunkers, and ways of scoring documents by passages.

    python eval/passages.py --set FOLDER [--train] [--chunkers recursive …] [--ways best …] [-o FILE]

For each chunker an index of the bundled model and BM25 is built. Each way of putting passages' scores
together is then measured on the test judgements, or with ``--train`` on those that a default may be chosen
by: each branch alone, fused at the default alpha and at others (shown to see the shape, not chosen from),
and with the weights that `hybrid.evaluation.tune` chooses, whose figure is held out by cross-validation
(BM25's k1 and b as they are; chosen too where ``--k1-b`` asks for it), and, where asked for, with those that
it chooses without judgements (which encodes changed documents: slow for long ones).

"whole" cuts nothing, and "long" what is longer than the model reads, for the model; "long (default)" has the
opening of each such document besides its parts, and the default counts its "mean of 2". The others cut every
document for every branch. Where "whole" is measured, too, the others are compared with it at the default
alpha, question by question (p: a randomisation test).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from provenance import provenance

import hybrid
from hybrid import evaluation
from hybrid.branches.passages import LONG
from hybrid.types import Doubles

HERE = Path(__file__).resolve().parent
CHUNKERS: dict[str, hybrid.Passages | None] = {
    "whole": None,
    "long, parts alone": hybrid.Passages(cut="long"),
    "long (default)": LONG,
    "recursive": hybrid.Passages(),
    "recursive, overlap 48": hybrid.Passages(hybrid.Recursive(overlap=48)),
    "recursive 128": hybrid.Passages(hybrid.Recursive(128)),
    "fixed, overlap 48": hybrid.Passages(hybrid.Fixed(overlap=48)),
    "sentences": hybrid.Passages(hybrid.Sentences(5, 1)),
}
WAYS = {
    "best": {"best": 1},
    "mean of 2": {"best": 2},
    "mean of 3": {"best": 3},
    "sum of 3": {"best": 3, "aggregate": "sum"},
    "mean of 5": {"best": 5},
}
ALPHAS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8)
MEASURE = "nDCG@10"


def main() -> None:
    """Parse, measure each chunker, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", type=Path, required=True, help="a BEIR folder")
    parser.add_argument("--train", action="store_true", help="measure on the training judgements")
    parser.add_argument("--chunkers", nargs="+", choices=[*CHUNKERS], default=[*CHUNKERS])
    ways = ["whole", *WAYS]
    parser.add_argument("--ways", nargs="+", choices=ways, default=ways, help="only these")
    parser.add_argument("--k1-b", nargs="*", choices=ways, default=(), help="of these tune k1 and b, too")
    parser.add_argument(
        "--unjudged", nargs="*", choices=ways, default=(), help="also tune these without judgements"
    )
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    split = "train" if options.train else "test"
    place = f"passages-{options.set.name}{'-train' * options.train}.json"
    output = options.output or HERE / "results" / place
    results = json.loads(output.read_text())["results"] if output.exists() else {}
    qrels = hybrid.read_qrels(options.set / "qrels" / f"{split}.tsv")
    queries = [
        (key, text) for key, text in hybrid.read_queries(options.set / "queries.jsonl") if key in qrels
    ]
    whole: Doubles | None = None
    about = {"set": options.set.name, "split": split, "measure": MEASURE}
    for name in (each for each in CHUNKERS if each in options.chunkers):
        results[name], values = measured(name, queries, qrels, options)
        whole = values["whole"] if name == "whole" else whole
        for way in values if whole is not None and name != "whole" else ():
            difference = values[way] - whole
            results[name][way]["against whole"] = {
                "difference": round(float(difference.mean()), 4),
                "p": round(evaluation.randomisation_test(difference), 4),
            }
        print(name, json.dumps(results[name], indent=2), flush=True)
        ordered = {key: results[key] for key in CHUNKERS if key in results}
        output.write_text(json.dumps({**provenance(), **about, "results": ordered}, indent=2) + "\n")


def measured(
    name: str, queries: list[tuple[str, str]], qrels: Any, options: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, Doubles]]:
    """Build one index; return what each way of scoring documents gives, and what it gives each question."""
    passages = CHUNKERS[name]
    base = hybrid.Pipeline(passages=passages)
    found: dict[str, Any] = {}
    values: dict[str, Doubles] = {}
    with tempfile.TemporaryDirectory() as place:
        with hybrid.create(place + "/index", hybrid.read(options.set / "corpus.jsonl"), base) as index:
            stats = index.stats()
            found["documents"], found["truncated"] = stats.documents, dict(stats.truncated)
        for way, settings in WAYS.items() if passages is not None else [("whole", {})]:
            if way not in options.ways:
                continue
            pipeline = base if passages is None else replace(base, passages=replace(passages, **settings))
            with hybrid.open(place + "/index", pipeline=pipeline) as index:
                found[way], values[way] = scores(index, queries, qrels, way in options.unjudged)
                if way in options.k1_b:
                    tuned = evaluation.tune(index, queries, qrels, MEASURE)
                    found[way] |= {
                        "tuned with k1 and b, held out": round(tuned.held_out, 4),
                        "recipe with k1 and b": tuned.sentence,
                    }
    return found, values


def scores(
    index: Any, queries: list[tuple[str, str]], qrels: Any, unjudged: bool
) -> tuple[dict[str, Any], Doubles]:
    """Return the figures of one open index, and each question's at the default alpha.

    Every branch answers every query once.
    """
    completed = evaluation.Scores.of(index, queries, qrels)

    def each(columns: tuple[int, ...], fusion: Any = None) -> Doubles:
        return completed.measure([evaluation.Setting(columns, fusion, "")], MEASURE)[0]

    def mean(columns: tuple[int, ...], fusion: Any = None) -> float:
        return round(float(each(columns, fusion).mean()), 4)

    found: dict[str, Any] = {"bm25": mean((0,)), "dense": mean((1,))}
    found |= {f"alpha {alpha}": mean((0, 1), hybrid.Weighted(alpha)) for alpha in ALPHAS}
    tuned = evaluation.tune(index, queries, qrels, MEASURE, grid=evaluation.Grid(k1=(), b=()))
    found |= {"tuned, held out": round(tuned.held_out, 4), "recipe": tuned.sentence}
    if unjudged:
        chosen = evaluation.tune_unjudged(index)
        columns = tuple(n for n, weight in enumerate(chosen.weights.values()) if weight)
        fusion = chosen.pipeline.fusion if len(columns) > 1 else None
        found["tuned without judgements"] = mean(columns, fusion)
        found["recipe without judgements"] = chosen.sentence
    return found, each((0, 1), hybrid.Weighted())


if __name__ == "__main__":
    main()
