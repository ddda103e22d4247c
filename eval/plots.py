"""Tables and plots of speed, from the results alone.

    python eval/plots.py RESULTS.json [--to FOLDER]

Prints Markdown tables. With --to, also writes plots as SVG: latencies of every peer; for several
sizes, their growth; for learned sparse vectors, recall against latency. Where this Python has no
matplotlib, the plots are drawn by one in an environment of its own, as the peers have.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers import environments

MIB = 1 << 20


def main() -> None:
    """Read, print, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("--to", type=Path, help="the folder for plots")
    options = parser.parse_args()
    if options.to and find_spec("matplotlib") is None:
        command = [environments.python("plots"), __file__, options.results, "--to", options.to]
        raise SystemExit(subprocess.run(command, check=False).returncode)
    record = json.loads(options.results.read_text())
    print(tables(record))
    if options.to:
        options.to.mkdir(parents=True, exist_ok=True)
        for path in draw(record, options.to):
            print(f"plot: {path}")


def tables(record: dict[str, Any]) -> str:
    """Return every collection's tables, under one heading that says where they come from."""
    machine = record["machine"]
    head = (
        f"`{record['command']}` at revision {record['revision'] or 'unknown'}, {record['date']}; "
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; "
        f"{record['settings']['threads']} thread(s), {record['settings']['runs']} rounds"
    )
    return "\n\n".join([head, *(part for found in record["collections"] for part in _collection(found))])


def _collection(found: dict[str, Any]) -> Iterator[str]:
    collection = found["collection"]
    yield f"### {collection['name']} ({collection['documents']:,} documents)"
    if any(peer["passes"] for peer in found["peers"].values()):
        yield latency_table(found)
    yield resource_table(found)
    if any(_beside(peer) for peer in found["peers"].values()):
        yield "\\* built beside other work on the machine; the results say how"
    for name, reason in found["failed"].items():
        yield f"{name} failed: {reason}"


def latency_table(found: dict[str, Any]) -> str:
    """Return one row for each peer and way of asking."""
    rows = []
    for name, peer in found["peers"].items():
        for asked, one in peer["passes"].items():
            ratio = one.get("ratio")
            rows.append(
                [
                    name,
                    asked,
                    f"{one['median_ms']:.3g}",
                    f"{one['p99_ms']:.3g}",
                    "1" if ratio is None else f"{ratio['of_medians']:.3g}",
                    str(one["queries"]),
                    agreement(one),
                ]
            )
    return _markdown(["peer", "asked", "median ms", "p99 ms", "× ours", "queries", "answers"], rows)


def agreement(one: dict[str, Any]) -> str:
    """Return how one pass's answers compare with ours, in a few words."""
    parts = []
    if "agreement" in one:
        found = one["agreement"]
        parts.append(f"scores within {found['largest relative score difference']:.1g}")
        parts.append(f"untied ids equal in {found['same untied ids']:.1%} of queries")
    for name in ("recall", "overlap"):
        if name in one:
            parts.append(f"{name} {one[name]['recall']:.3f}")
    if "nDCG@10" in one:
        parts.append(f"nDCG@10 {one['nDCG@10']:.4f}")
    return ", ".join(parts)


def resource_table(found: dict[str, Any]) -> str:
    """Return one row for each peer: building, memory, size, opening."""
    rows = [
        [
            name,
            f"{peer['build_seconds']:.1f}{'*' if _beside(peer) else ''}",
            f"{peer['build_peak_rss_bytes'] / MIB:.0f}",
            f"{peer['search_peak_rss_bytes'] / MIB:.0f}",
            f"{peer['index_bytes_per_document']:.0f}",
            *(
                f"{peer[state]['since_start_seconds']:.2f}" if peer[state] else ""
                for state in ("cold", "warm")
            ),
        ]
        for name, peer in found["peers"].items()
    ]
    columns = [
        "peer",
        "build s",
        "build MiB",
        "search MiB",
        "bytes a document",
        "first answer, cold s",
        "warm s",
    ]
    return _markdown(columns, rows)


def _beside(peer: dict[str, Any]) -> bool:
    """Whether other work disturbed the building of a peer's index."""
    return bool(peer.get("built", {}).get("beside_other_work"))


def _markdown(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def points(found: dict[str, Any]) -> dict[str, list[tuple[float, float, str]]]:
    """Return recall, median ms and the way of asking, by peer; exact answers have recall 1."""
    return {
        name: sorted(
            (one.get("recall", {}).get("recall", 1.0), one["median_ms"], asked)
            for asked, one in peer["passes"].items()
        )
        for name, peer in found["peers"].items()
    }


def frontier(curve: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Return the points that no other of the curve beats in both recall and time, by recall."""
    return [
        point
        for point in sorted(curve)
        if not any(
            other[0] >= point[0] and other[1] <= point[1] and other[:2] != point[:2] for other in curve
        )
    ]


def growth(record: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
    """Return (documents, median ms) by peer, in its first way of asking."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for found in record["collections"]:
        for name, peer in found["peers"].items():
            first = next(iter(peer["passes"].values()))
            curves.setdefault(name, []).append((found["collection"]["documents"], first["median_ms"]))
    return {name: sorted(curve) for name, curve in curves.items()}


def draw(record: dict[str, Any], folder: Path) -> Iterator[Path]:
    """Draw what the record holds and yield the files."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "hybrid"  # the same picture gives the same file
    task = record["task"]
    for number, found in enumerate(record["collections"]):
        if task != "build":
            yield _save(folder / f"{task}-{number}-latency.svg", _bars, found)
        if task == "sparse":
            yield _save(folder / f"{task}-{number}-recall.svg", _curves, found)
    if len(record["collections"]) > 1 and task == "bm25-scale":
        yield _save(folder / f"{task}-growth.svg", _growth, record)


def _save(path: Path, paint: Any, what: dict[str, Any]) -> Path:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    paint(axes, what)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def _bars(axes: Any, found: dict[str, Any]) -> None:
    bars = [
        (f"{name}: {asked}", one["median_ms"], one["p99_ms"])
        for name, peer in found["peers"].items()
        for asked, one in list(peer["passes"].items())[:2]
    ]
    bars.sort(key=lambda bar: -bar[1])
    names, medians, tails = zip(*bars, strict=True)
    axes.barh(names, tails, color="#cfd8e3", label="p99")
    axes.barh(names, medians, color="#2f6db3", label="median")
    axes.set(xscale="log", xlabel="milliseconds a query", title=found["collection"]["name"])
    axes.legend()


def _curves(axes: Any, found: dict[str, Any]) -> None:
    for name, curve in points(found).items():
        best = frontier(curve)
        axes.plot([point[1] for point in best], [point[0] for point in best], "o-", label=name)
    axes.set(xscale="log", xlabel="median milliseconds a query", ylabel="recall")
    axes.set_title(found["collection"]["name"])
    axes.legend()


def _growth(axes: Any, record: dict[str, Any]) -> None:
    for name, curve in growth(record).items():
        axes.plot(*zip(*curve, strict=True), "o-", label=name)
    axes.set(xscale="log", yscale="log", xlabel="documents", ylabel="median milliseconds a query")
    axes.legend()


if __name__ == "__main__":
    main()
