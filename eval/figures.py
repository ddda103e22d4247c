"""Plots of quality for the report: alpha curves, recall by depth, latency against quality."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

COLOURS = {"bm25": "#b5541c", "dense": "#2f6db3", "union": "#222222"}
SHADE = "#cfdceb"


def alpha_curves(record: dict[str, Any], path: Path) -> Path:
    """Draw the measure against the dense branch's weight, with 95% intervals; the oracle as a line."""
    return _panels(record["results"], path, lambda axes, found: _curve(axes, found, record["measure"]))


def recall_by_depth(record: dict[str, Any], path: Path) -> Path:
    """Draw what share of the relevant documents each branch, and all together, list within a depth."""
    return _panels(record["results"], path, _recall)


def latency_against_quality(record: dict[str, Any], path: Path) -> Path:
    """Draw each system's measure against the median time of a search."""
    measure = record["measures"][0]
    return _panels(record["results"], path, lambda axes, found: _tradeoff(axes, found, measure))


def _curve(axes: Any, found: dict[str, Any], measure: str) -> None:
    branches = found["branches"]
    curve = sorted(((point["alpha"], point) for point in found["curve"]), key=lambda pair: pair[0])
    ends = [(0.0, branches["bm25"]), *curve, (1.0, branches["dense"])]
    alphas = [alpha for alpha, _ in ends]
    low, high = zip(*(one["interval"] for _, one in ends), strict=True)
    axes.fill_between(alphas, low, high, color=SHADE, linewidth=0, label="95% interval")
    axes.plot(alphas, [one["mean"] for _, one in ends], color=COLOURS["dense"], label="one alpha for all")
    axes.axhline(found["oracle"], color="#777777", linestyle="--", linewidth=1, label="best alpha per query")
    axes.plot([0.8], [_at(found["curve"], 0.8)], "o", color=COLOURS["bm25"], label="default, .8")
    axes.set(xlabel="weight of the dense branch", ylabel=measure)


def _at(curve: list[dict[str, Any]], alpha: float) -> float:
    return float(min(curve, key=lambda point: abs(point["alpha"] - alpha))["mean"])


def _recall(axes: Any, found: dict[str, Any]) -> None:
    lines = {name: one["recall"] for name, one in found["branches"].items()}
    lines["union"] = found["union recall"]
    for name, recall in lines.items():
        depths = [int(depth) for depth in recall]
        style = "--" if name == "union" else "-"
        axes.plot(depths, list(recall.values()), style, marker=".", color=COLOURS.get(name), label=name)
    axes.set(xscale="log", xlabel="depth of each list", ylabel="recall", ylim=(0, 1.02))
    axes.set_xticks(depths[::2], [str(depth) for depth in depths[::2]])
    axes.minorticks_off()


def _tradeoff(axes: Any, found: dict[str, Any], measure: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    timed = {name: one for name, one in found["systems"].items() if one["median_ms"] is not None}
    for n, (name, one) in enumerate(timed.items()):
        low, high = one["intervals"][measure]
        axes.errorbar(
            one["median_ms"],
            one[measure],
            yerr=[[one[measure] - low], [high - one[measure]]],
            fmt="o",
            capsize=2,
            color=f"C{n}",
            label=name,
        )
    axes.set(xscale="log", xlabel="median milliseconds a search", ylabel=measure)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _panels(results: dict[str, Any], path: Path, paint: Callable[[Any, dict[str, Any]], None]) -> Path:
    """Draw one panel for each set, under one legend, and return the file."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "hybrid"  # the same picture gives the same file
    from matplotlib import pyplot as plt

    across = min(3, len(results))
    down = math.ceil(len(results) / across)
    figure, grid = plt.subplots(
        down, across, figsize=(4.2 * across, 3.4 * down + 0.6), layout="constrained", squeeze=False
    )
    panels = list(grid.flat)
    for axes, (name, found) in zip(panels, results.items(), strict=False):
        paint(axes, found)
        axes.set_title(f"{name}, {found['queries']:,} queries", fontsize="medium")
        axes.grid(color="#e8e8e8", linewidth=0.6)
        axes.set_axisbelow(True)
    for axes in panels[len(results) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=across + 1, frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    return path
