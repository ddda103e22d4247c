"""Write eval/REPORT.md, its tables and its plots, from what stands in eval/results.

    python eval/report.py [--results FOLDER] [-o eval/REPORT.md]

Nothing is measured here. Every table says which command gave its figures, and on what.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compare
import figures
import plots

HERE = Path(__file__).resolve().parent
HEAD = """# Measurements

Written by `python eval/report.py` from `eval/results`; nothing here is typed by hand. Sets are in BEIR
layout. Figures are of their test queries unless a table says otherwise. Intervals are 95% bootstrap
intervals over queries. `*` marks a significant difference: paired randomisation test, Holm's correction,
p < .05.
"""


def main() -> None:
    """Parse, read, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "REPORT.md")
    options = parser.parse_args()
    records = {path.stem: json.loads(path.read_text()) for path in sorted(options.results.glob("*.json"))}
    folder = options.results / "plots"
    folder.mkdir(exist_ok=True)
    report = Report(records, folder, os.path.relpath(folder, options.output.resolve().parent))
    options.output.write_text("\n\n".join([HEAD.strip(), *report.parts()]) + "\n", "utf-8")


class Report:
    """The parts of the report; one whose results are not there is left out."""

    def __init__(self, records: dict[str, dict[str, Any]], folder: Path, shown: str) -> None:
        """Take the results by file name, the folder of plots, and what the report calls that folder."""
        self.records, self.folder, self.shown = records, folder, shown

    def parts(self) -> Iterator[str]:
        """Yield every part, in order."""
        makers = (("quality", self.quality), ("diagnosis", self.diagnosis))
        for name, make in makers:
            if name in self.records:
                yield from make(self.records[name])
        for name, record in self.records.items():
            if name.startswith("compare-"):
                yield from self.comparison(name, record)
        for name, make in (("tuning", self.tuning), ("unjudged", self.unjudged), ("rules", self.rules)):
            if name in self.records:
                yield from make(self.records[name])
        for name, record in self.records.items():
            if name.startswith("speed-"):
                yield f"## Speed: {name.removeprefix('speed-')}"
                yield plots.tables(record)
                for path in sorted(self.folder.glob(f"{name.removeprefix('speed-')}-[0-9g]*.svg")):
                    yield f"![{path.stem}]({self.shown}/{path.name})"

    def quality(self, record: dict[str, Any]) -> Iterator[str]:
        """Yield the table of the default recipe and its parts."""
        yield "## The default recipe and its parts"
        yield origin(record)
        for measure in record["measures"]:
            names = list(dict.fromkeys(name for one in record["results"].values() for name in one["runs"]))
            rows = [
                [name, *(f"{one['runs'][run][measure]:.4f}" if run in one["runs"] else "" for run in names)]
                for name, one in record["results"].items()
            ]
            yield compare.markdown([measure, *names], rows)

    def diagnosis(self, record: dict[str, Any]) -> Iterator[str]:
        """Yield the alpha curves, recall by depth, and the oracle."""
        yield "## What fusing and reranking could win"
        yield origin(record)
        yield self._plot(figures.alpha_curves, record, "alpha-curves")
        yield self._plot(figures.recall_by_depth, record, "recall-by-depth")
        rows = []
        for name, one in record["results"].items():
            alone = [f"{branch['mean']:.4f}" for branch in one["branches"].values()]
            ceiling = [f"{one['union recall'][depth]:.3f}" for depth in ("10", "100")]
            rows.append([name, *alone, f"{one['best fixed']:.4f}", f"{one['oracle']:.4f}", *ceiling])
        branches = next(iter(record["results"].values()))["branches"]
        head = [record["measure"], *branches, "best fixed weights", "best weights per query"]
        yield compare.markdown([*head, "union's R@10", "union's R@100"], rows)
        yield (
            "The union's recall is the ceiling of any reranker of that many documents of each branch. "
            "The best weights, fixed or per query, were read on these same queries: ceilings, not results."
        )

    def comparison(self, name: str, record: dict[str, Any]) -> Iterator[str]:
        """Yield one experiment's tables, and latency against quality."""
        yield f"## Compared: {record['name']}"
        yield origin(record)
        for one, found in record["results"].items():
            yield compare.table(one, found, record["measures"]).strip()
        timed = any(s["median_ms"] for one in record["results"].values() for s in one["systems"].values())
        if timed:
            yield self._plot(figures.latency_against_quality, record, f"{name}-latency")

    def tuning(self, record: dict[str, Any]) -> Iterator[str]:
        """Yield what tuning with judgements recommends, held out."""
        yield "## Tuned with judgements"
        yield origin(record)
        rows = []
        for name, one in record["results"].items():
            found = one["cross-validated"]
            low, high = found["interval"]
            branch, alone = found["best branch"]
            held_out = [f"{alone:.4f} ({branch})", f"{found['held out']:.4f}", f"[{low:.4f}, {high:.4f}]"]
            rows.append([name, *held_out, f"{found['held out'] - alone:+.4f}", found["sentence"]])
        head = [record["measure"], "best branch", "tuned, held out", "interval", "gain", "recommendation"]
        yield compare.markdown(head, rows)
        for name, one in record["results"].items():
            if "on test" in one:
                test = ", ".join(f"{what} {value:.4f}" for what, value in one["on test"].items())
                yield f"{name}, tuned on its training queries and searched on its test queries: {test}."
        if "time" in record:
            yield "{settings:,} settings on {queries:,} queries: {seconds} s, searching included.".format(
                **record["time"]
            )

    def unjudged(self, record: dict[str, Any]) -> Iterator[str]:
        """Yield what tuning without judgements recommends."""
        yield "## Tuned without judgements"
        yield origin(record)
        names = ["bm25", "dense", "alpha .8", "alpha .9", "rrf"]
        rows = []
        for name, one in record["results"].items():
            chosen = one["unjudged"]
            value = " ".join(f"{found['nDCG@10']:.4f}" for found in chosen)
            gain = " ".join(f"{found['over best branch']:+.4f}" for found in chosen)
            cells = [f"{one[key]:.4f}" for key in (*names, "best alpha", "oracle alpha")]
            rows.append([name, *cells, value, gain])
        head = [record["measure"], *names, "best alpha", "oracle", "**unjudged**", "over best branch"]
        yield compare.markdown(head, rows)

    def rules(self, record: dict[str, Any]) -> Iterator[str]:
        """Yield what was tried and does not hold."""
        yield "## Rules learned on other collections"
        yield origin(record)
        yield from _not_held(record)

    def _plot(self, draw: Any, record: dict[str, Any], name: str) -> str:
        path = draw(record, self.folder / f"{name}.svg")
        return f"![{name}]({self.shown}/{path.name})"


def _not_held(record: dict[str, Any]) -> Iterator[str]:
    """Yield what was learned on all sets but one, measured on that one."""
    learnt = {name: one for name, one in record["weights by query"].items() if isinstance(one, dict)}
    if learnt:
        yield "Weights by query, learned on the judgements of the other sets and measured on the one named:"
        rows = []
        for name, one in learnt.items():
            best = max(record["branches"][name].values())
            gains = [f"{one[key]:.4f} ({one[key] - best:+.4f})" for key in ("one alpha", "alpha by query")]
            rows.append([name, f"{best:.4f}", *gains])
        yield compare.markdown(["set", "best branch", "one learned alpha", "alpha by query"], rows)
    fixed = record.get("one fusion for all", {})
    for rule in ("mean", "worst"):
        if rule in fixed:
            yield f"One fusion for all, of the best {rule} gain on the other sets:"
            rows = [
                [name, one["way"], f"{one['alpha']:g}", f"{one['gain']:+.4f}"]
                for name, one in fixed[rule].items()
            ]
            yield compare.markdown(["set held out", "normaliser", "alpha", "gain over its best branch"], rows)


def origin(record: dict[str, Any]) -> str:
    """Return the line that says where figures come from."""
    machine = record["machine"]
    changed = ", with uncommitted changes" if record["uncommitted_changes"] else ""
    return (
        f"`{record['command']}` at revision {record['revision']}{changed}, {record['date']}; "
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB."
    )


if __name__ == "__main__":
    main()
