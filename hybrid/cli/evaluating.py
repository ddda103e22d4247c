"""What ``hybrid eval`` does."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hybrid
from hybrid.cli import show
from hybrid.cli.tables import figure, probability, table
from hybrid.errors import InputError
from hybrid.evaluation import (
    Comparison,
    Evaluation,
    Run,
    compare,
    evaluate,
    judged_warning,
    parse_measures,
    query_differences,
    read_run,
)

JUDGED = "Judged@10"
EXTREMES = 5


def evaluate_runs(options: argparse.Namespace) -> None:
    """``hybrid eval QRELS RUN...``."""
    wanted = list(parse_measures(options.measures))
    qrels = hybrid.read_qrels(options.qrels)
    found = [evaluate(run, qrels, [*wanted, JUDGED]) for run in _runs(options.runs)]
    baseline = options.baseline
    pairs = compare(found, wanted, baseline) if options.compare or baseline is not None else []
    if options.json:
        show.json_line(_record(found, wanted, pairs, options.by_query))
        return
    _means(found, wanted)
    if pairs:
        _comparisons(pairs)
    if options.by_query:
        _by_query(found, wanted)
    elif pairs:
        _extremes(found, pairs)
    _notes(found)


def _runs(paths: Sequence[str]) -> list[Run]:
    """Read runs; where two have one name, the names of the files stand for them."""
    runs = [read_run(path) for path in paths]
    if max(Counter(run.name for run in runs).values()) > 1:
        runs = [Run(Path(path).name, run.results) for path, run in zip(paths, runs, strict=True)]
    if max(Counter(run.name for run in runs).values()) > 1:
        runs = [Run(path, run.results) for path, run in zip(paths, runs, strict=True)]
    repeated = [name for name, times in Counter(run.name for run in runs).items() if times > 1]
    if repeated:
        raise InputError(f"the run {repeated[0]!r} is given twice; give each once")
    return runs


def _means(found: Sequence[Evaluation], measures: Sequence[str]) -> None:
    rows = []
    for one in found:
        cells = [one.name]
        for measure in measures:
            low, high = one.interval(measure)
            cells += [figure(one.mean(measure)), f"[{figure(low)}, {figure(high)}]"]
        rows.append(cells)
    head = [cell for measure in measures for cell in (measure, "95% interval")]
    table([show.count(len(found[0].queries), "query"), *head], rows)


def _comparisons(pairs: Sequence[Comparison]) -> None:
    show.line("")
    head = [
        "compared",
        "measure",
        "difference",
        "95% interval",
        "p",
        "p (Holm)",
        "p (t)",
        "d",
        "win/loss/tie",
    ]
    rows = [
        [
            f"{pair.name} - {pair.baseline}",
            pair.measure,
            figure(pair.difference, signed=True) + ("*" if pair.significant else " "),
            f"[{figure(pair.interval.low, signed=True)}, {figure(pair.interval.high, signed=True)}]",
            *map(probability, (pair.p_randomisation, pair.p_holm, pair.p_t)),
            f"{pair.effect:+.2f}",
            f"{pair.wins}/{pair.losses}/{pair.ties}",
        ]
        for pair in pairs
    ]
    table(head, rows)
    show.line("* significant: Holm's correction of the paired randomisation test, p < 0.05")


def _extremes(found: Sequence[Evaluation], pairs: Sequence[Comparison]) -> None:
    """Print where the greatest wins and losses of the first comparison come from."""
    first = pairs[0]
    by_name = {one.name: one for one in found}
    rows = query_differences(by_name[first.name], by_name[first.baseline], first.measure)
    moved = [row for row in rows if row.difference]
    shown = moved if len(moved) <= 2 * EXTREMES else moved[:EXTREMES] + moved[-EXTREMES:]
    if not shown:
        return
    show.line("")
    table(
        [f"greatest wins and losses, {first.measure}", first.name, first.baseline, "difference"],
        [[row.query, *map(figure, (row.ours, row.baseline)), figure(row.difference, True)] for row in shown],
    )


def _by_query(found: Sequence[Evaluation], measures: Sequence[str]) -> None:
    for measure in measures:
        show.line("")
        rows = [
            [query, *(figure(float(one.values[measure][n])) for one in found)]
            for n, query in enumerate(found[0].queries)
        ]
        table([measure, *(one.name for one in found)], rows)


def _notes(found: Sequence[Evaluation]) -> None:
    notes = [
        f"{one.name} lacks {show.count(len(one.missing), 'judged query')} (counted as 0): "
        f"{', '.join(one.missing[:3])}{', …' if len(one.missing) > 3 else ''}"
        for one in found
        if one.missing
    ]
    notes += [
        f"{one.name} has {show.count(one.unjudged, 'query')} without judgements, left out"
        for one in found
        if one.unjudged
    ]
    warning = judged_warning(found, JUDGED)
    for note in [*notes, *([warning] if warning else [])]:
        show.line(f"note: {note}")


def _record(
    found: Sequence[Evaluation], measures: Sequence[str], pairs: Sequence[Comparison], by_query: bool
) -> dict[str, Any]:
    runs = []
    for one in found:
        record: dict[str, Any] = {"name": one.name, "missing": list(one.missing), "unjudged": one.unjudged}
        record["measures"] = {
            name: {"mean": one.mean(name), "interval": list(one.interval(name))}
            for name in [*measures, JUDGED]
        }
        if by_query:
            record["queries"] = {
                query: {name: float(one.values[name][n]) for name in measures}
                for n, query in enumerate(one.queries)
            }
        runs.append(record)
    return {
        "queries": len(found[0].queries),
        "runs": runs,
        "comparisons": [asdict(pair) | {"significant": pair.significant} for pair in pairs],
    }
