"""Compare configurations or run files on the same queries: intervals, and corrected significance.

    python eval/compare.py eval/configs/fusion.toml --data FOLDER [--indexes FOLDER] [-o RESULTS.json]
    python eval/compare.py A.toml B.toml other.run --data FOLDER --sets scifact --baseline A

One file with a table `systems` is an experiment; anything else is a recipe (.toml) or a run file of any
system. In an experiment a system is `branches` and `fusion` in the words of a recipe, over the recipe
that `index` names, or a `recipe`, or a `run`, in whose path `{set}` stands for the collection. Each
collection is indexed once (or found under --indexes); a latency is the median over queries of the fastest of
three searches for 10 hits, the query's encoding included.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from provenance import provenance

import hybrid
from hybrid.evaluation import Evaluation, Run, compare, evaluate, judged_warning, read_run

HERE = Path(__file__).resolve().parent
RECIPES = HERE.parent / "indexes" / "recipes"
TIMED = 30
"""How many queries a latency is the median of."""
PASSES = 3
"""How often each is timed, after a pass that is not: the fastest counts, others may share the machine."""


@dataclass(frozen=True)
class Experiment:
    """What is compared: systems by name, on which sets, in which measures, with which baseline."""

    name: str
    sets: tuple[str, ...]
    systems: dict[str, dict[str, Any]]
    index: str = "default.toml"
    measures: tuple[str, ...] = ("nDCG@10", "R@100", "RR@10")
    baseline: str | None = None
    k: int = 100


def main() -> None:
    """Parse, measure each set, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", type=Path, nargs="+", help="an experiment, or recipes and run files")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets")
    parser.add_argument("--indexes", type=Path, help="a folder of indexes by set, to be reused")
    parser.add_argument("--sets", nargs="+", help="(default: those of the experiment)")
    parser.add_argument("--baseline", help="compare each system with this one only")
    parser.add_argument("--untimed", action="store_true", help="measure no latency: the machine is busy")
    parser.add_argument("-o", "--output", type=Path, help="(default: eval/results/compare-NAME.json)")
    options = parser.parse_args()
    experiment = read_experiment(options.what)
    given = {name: value for name, value in vars(options).items() if name in ("sets", "baseline") and value}
    experiment = replace(experiment, **{n: tuple(v) if n == "sets" else v for n, v in given.items()})
    record = provenance() | {
        name: value for name, value in asdict(experiment).items() if name not in ("sets", "k")
    }
    record["results"] = {}
    if not options.untimed:
        os.environ["HYBRID_CACHE"] = "off"  # encoding is part of what is timed
    with tempfile.TemporaryDirectory() as folder:
        for name in experiment.sets:
            indexes = options.indexes or Path(folder)
            found = measure_set(experiment, options.data / name, indexes, name, timed=not options.untimed)
            record["results"][name] = found
            print(table(name, found, experiment.measures), flush=True)
    output = options.output or HERE / "results" / f"compare-{experiment.name}.json"
    output.write_text(json.dumps(record, indent=2) + "\n")


def read_experiment(paths: Sequence[Path]) -> Experiment:
    """Return the experiment of one file, or one made of recipes and run files."""
    if len(paths) == 1 and paths[0].suffix == ".toml":
        found = tomllib.loads(paths[0].read_text("utf-8"))
        if "systems" in found:
            lists = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
            return Experiment(**{"name": paths[0].stem} | found | lists)
    systems = {
        path.stem: {"recipe" if path.suffix == ".toml" else "run": str(path.resolve())} for path in paths
    }
    if len(systems) < 2:
        raise SystemExit(f"{', '.join(map(str, paths))}: give an experiment, or two systems of other names")
    return Experiment("files", (), systems)


def measure_set(
    experiment: Experiment, folder: Path, indexes: Path, name: str, timed: bool = True
) -> dict[str, Any]:
    """Run every system on the judged test queries of one set, and compare them."""
    qrels = hybrid.read_qrels(folder / "qrels" / "test.tsv")
    queries = [(qid, text) for qid, text in hybrid.read_queries(folder) if qid in qrels]
    evaluations: list[Evaluation] = []
    latencies: dict[str, float] = {}
    for system, what in experiment.systems.items():
        if "run" in what:
            run = read_run(what["run"].format(set=name.replace("/", "-")), system)
        else:
            with opened(experiment, what, folder, indexes / name.replace("/", "-")) as index:
                run = searched(index, system, queries, experiment.k)
                if timed:
                    latencies[system] = latency(index, [text for _, text in queries[:TIMED]])
        evaluations.append(evaluate(run, qrels, [*experiment.measures, "Judged@10"]))
    pairs = compare(evaluations, list(experiment.measures), experiment.baseline)
    return {
        "queries": len(qrels),
        "systems": {
            one.name: {
                **{measure: round(one.mean(measure), 4) for measure in one.values},
                "intervals": {m: [round(e, 4) for e in one.interval(m)] for m in experiment.measures},
                "median_ms": latencies.get(one.name),
            }
            for one in evaluations
        },
        "comparisons": [asdict(pair) | {"significant": pair.significant} for pair in pairs],
        "note": judged_warning(evaluations),
    }


def opened(experiment: Experiment, what: dict[str, Any], folder: Path, path: Path) -> hybrid.HybridIndex:
    """Return the set's index with a system's pipeline; it is made where it is not there."""
    if not path.exists():
        stored = hybrid.read_recipe(recipe_path(experiment.index))
        hybrid.create(path, hybrid.read(folder), stored).close()
    if "recipe" in what:
        return hybrid.open(path, pipeline=hybrid.read_recipe(recipe_path(what["recipe"])))
    base = tomllib.loads(recipe_path(experiment.index).read_text("utf-8"))
    pipeline = hybrid.parse_recipe(
        tomli_w.dumps(base | {key: value for key, value in what.items() if key == "fusion"})
    )
    if "bm25" in what:
        branches = [
            replace(branch, **what["bm25"]) if isinstance(branch, hybrid.BM25) else branch
            for branch in pipeline.branches
        ]
        pipeline = replace(pipeline, branches=tuple(branches))
    if "branches" in what:
        pipeline = pipeline.only(tuple(what["branches"]))
    return hybrid.open(path, pipeline=pipeline)


def recipe_path(name: str) -> Path:
    """Return where a recipe is: at its path, or among the tracked ones."""
    return Path(name) if Path(name).exists() else RECIPES / name


def searched(index: hybrid.HybridIndex, name: str, queries: Sequence[tuple[str, str]], k: int) -> Run:
    """Return the best ``k`` of every query as a run."""
    results = index.search_many([text for _, text in queries], k, strict=True)
    return Run(name, {q: {h.id: h.score for h in r} for (q, _), r in zip(queries, results, strict=True)})


def latency(index: hybrid.HybridIndex, texts: Sequence[str]) -> float:
    """Return the median over queries of the fastest of `PASSES` searches, in milliseconds."""
    taken = np.empty((PASSES + 1, len(texts)))
    for one in taken:
        for n, text in enumerate(texts):
            started = time.perf_counter()
            index.search(text, 10)
            one[n] = time.perf_counter() - started
    return round(1000 * float(np.median(taken[1:].min(axis=0))), 3)


def table(name: str, found: dict[str, Any], measures: Sequence[str]) -> str:
    """Return one set's systems as a Markdown table, each with its difference from another."""
    first = measures[0]
    against = {
        pair["name"]: f"{pair['difference']:+.4f}{'*' if pair['significant'] else ''} ({pair['baseline']})"
        for pair in reversed(found["comparisons"])
        if pair["measure"] == first
    }
    head = [f"{name}, {found['queries']:,} queries", *measures, f"95% interval, {first}", "difference", "ms"]
    rows = [
        [
            system,
            *(f"{one[measure]:.4f}" for measure in measures),
            "[{:.4f}, {:.4f}]".format(*one["intervals"][first]),
            against.get(system, ""),
            "" if one["median_ms"] is None else f"{one['median_ms']:.2f}",
        ]
        for system, one in found["systems"].items()
    ]
    return markdown(head, rows) + (f"\n\nNote: {found['note']}" if found["note"] else "") + "\n"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
