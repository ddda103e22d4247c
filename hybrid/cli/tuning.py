"""What ``hybrid diagnose`` and ``hybrid tune`` do."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

import hybrid
from hybrid.cli import show
from hybrid.cli.tables import figure, table
from hybrid.errors import InputError
from hybrid.evaluation import Diagnosis, Tuned, diagnose, tune, tune_unjudged

SHOWN = 10


def tune_index(options: argparse.Namespace) -> None:
    """``hybrid tune INDEX [QUERIES QRELS] -o RECIPE``."""
    if options.queries is None:
        _tune_unjudged(options)
        return
    if options.qrels is None:
        raise InputError("QUERIES are given and QRELS are not; give both, or none to make queries")
    queries, qrels = hybrid.read_queries(options.queries), hybrid.read_qrels(options.qrels)
    with _opened(options) as index:
        tuned = tune(
            index,
            queries,
            qrels,
            options.measure,
            depth=options.depth,
            folds=options.folds,
            seed=options.seed,
        )
    hybrid.write_recipe(tuned.pipeline, options.output)
    if options.json:
        show.json_line(_tuned_record(tuned))
        return
    show.line(tuned.sentence)
    show.line("")
    rows = [[f"{tuned.best_branch} alone", "", figure(tuned.best_branch_mean)]]
    rows += [[family.name, f"{family.settings:,}", figure(family.held_out)] for family in tuned.families]
    rows.append(["recommended", "", figure(tuned.held_out)])
    table([show.count(tuned.queries, "query"), "settings", f"{tuned.measure}, held out"], rows)
    low, high = tuned.interval
    show.line(f"95% interval of what is recommended: [{figure(low)}, {figure(high)}]")
    show.line(f"recipe in {options.output}")


def _opened(options: argparse.Namespace) -> hybrid.HybridIndex:
    """Return the index with the recipe to be tuned."""
    recipe = None if options.recipe is None else hybrid.read_recipe(options.recipe)
    return hybrid.open(options.index, pipeline=recipe)


def _tune_unjudged(options: argparse.Namespace) -> None:
    with _opened(options) as index:
        found = tune_unjudged(index, seed=options.seed)
    hybrid.write_recipe(found.pipeline, options.output)
    if options.json:
        show.json_line(
            {
                "sentence": found.sentence,
                "recipe": hybrid.format_recipe(found.pipeline),
                "made_queries": found.queries,
                "alone": dict(found.alone),
                "fused": found.fused,
                "weights": dict(found.weights),
            }
        )
        return
    show.line(found.sentence)
    show.line("")
    rows = [
        [f"{name} alone", figure(value), f"{found.weights[name]:g}"] for name, value in found.alone.items()
    ]
    rows.append(["recommended", figure(found.fused), ""])
    table([show.count(found.queries, "made query"), "nDCG@10", "weight"], rows)
    show.line(f"recipe in {options.output}")


def _tuned_record(tuned: Tuned) -> dict[str, Any]:
    return {
        "sentence": tuned.sentence,
        "recipe": hybrid.format_recipe(tuned.pipeline),
        "measure": tuned.measure,
        "queries": tuned.queries,
        "settings": tuned.settings,
        "held_out": tuned.held_out,
        "interval": list(tuned.interval),
        "fitted": tuned.fitted,
        "best_branch": {"name": tuned.best_branch, "mean": tuned.best_branch_mean},
        "gain": None if tuned.gain is None else asdict(tuned.gain),
        "families": [asdict(family) for family in tuned.families],
    }


def diagnose_index(options: argparse.Namespace) -> None:
    """``hybrid diagnose INDEX QUERIES QRELS``."""
    queries, qrels = hybrid.read_queries(options.queries), hybrid.read_qrels(options.qrels)
    with hybrid.open(options.index) as index:
        found = diagnose(index, queries, qrels, options.measure)
    if options.json:
        show.json_line(_diagnosis_record(found))
        return
    depths = list(found.union_recall)
    rows = [
        [one.name, figure(one.mean), *(figure(one.recall[d]) for d in depths), f"{one.judged:.0%}"]
        for one in found.branches
    ]
    rows.append(["union", "", *(figure(found.union_recall[d]) for d in depths), ""])
    head = [show.count(found.queries, "query"), found.measure, *(f"R@{d}" for d in depths), "judged@10"]
    table(head, rows)
    if found.curve:
        best = max(found.curve, key=lambda point: point.mean)
        show.line(f"best fixed weights: {figure(best.mean)} with {best.fusion!r}")
        show.line(f"oracle, each query its own weights: {figure(found.oracle)}")
    shown = found.disagreements[:SHOWN]
    if shown and len(found.branches) > 1:
        show.line("")
        names = [one.name for one in found.branches]
        rows = [[one.query, *(figure(one.values[name]) for name in names)] for one in shown]
        table(["branches disagree most on", *names], rows)
    for warning in found.warnings:
        show.line(f"note: {warning}")


def _diagnosis_record(found: Diagnosis) -> dict[str, Any]:
    return {
        "measure": found.measure,
        "queries": found.queries,
        "branches": [asdict(one) for one in found.branches],
        "union_recall": dict(found.union_recall),
        "curve": [
            {"fusion": repr(one.fusion), "mean": one.mean, "interval": list(one.interval)}
            for one in found.curve
        ],
        "best_fixed": found.best_fixed,
        "oracle": found.oracle,
        "disagreements": [asdict(one) for one in found.disagreements],
        "warnings": list(found.warnings),
    }
