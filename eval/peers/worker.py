"""One phase of one peer, in a process of its own: `build`, or `search`. Run by peers/process.py.

    python -P -m peers.worker ORDER.json

The order says which module and task, the phase and where the report goes. Everything that the peer
imports is imported here, on the clock.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from peers.protocol import Mode, Query, Task


def main() -> None:
    """Do what the order says and write the report."""
    order = json.loads(Path(sys.argv[1]).read_text())
    os.sched_setaffinity(0, order["processors"])
    given = order["task"]
    paths = {name: Path(given[name]) for name in ("inputs", "folder")}
    task = Task(**(given | paths | {"ks": tuple(given["ks"])}))
    report = build(order, task) if order["phase"] == "build" else search(order, task)
    report["peak_rss_bytes"] = peak_rss()
    Path(order["report"]).write_text(json.dumps(report))
    sys.stdout.flush()
    os._exit(0)  # some engines' threads never end; the report is written


def build(order: dict[str, Any], task: Task) -> dict[str, Any]:
    """Index the inputs; imports count separately."""
    started = time.perf_counter()
    module = importlib.import_module(order["module"])
    imported = time.perf_counter()
    module.build(task)
    return {"import_seconds": imported - started, "build_seconds": time.perf_counter() - imported}


def search(order: dict[str, Any], task: Task) -> dict[str, Any]:
    """Open the index, ask the first query, then all of them in every mode."""
    queries = task.read_queries()
    started = time.perf_counter()
    module: ModuleType = importlib.import_module(order["module"])
    imported = time.perf_counter()
    engine = module.open(task)
    opened = time.perf_counter()
    first = next(iter(module.modes(engine, task, task.ks[0]).values()))
    first.search(first.prepare(queries[0]))
    ended = time.perf_counter()
    report: dict[str, Any] = {
        "import_seconds": imported - started,
        "open_seconds": opened - imported,
        "first_query_seconds": ended - opened,
        "since_start_seconds": time.time() - order["started"],
        "passes": {},
    }
    for k in task.ks if order["passes"] else ():
        for name, mode in module.modes(engine, task, k).items():
            report["passes"][f"{name} k={k}"] = measure(mode, queries, order)
    return report


def measure(mode: Mode, queries: list[Query], order: dict[str, Any]) -> dict[str, Any]:
    """Warm up, keeping the answers if they are wanted; then time every query by itself.

    Warming up is asking all queries, over and over, for some seconds: just-in-time compilers and caches
    settle. Passes end early when their seconds are over; then the later queries have no answer or time.
    """
    prepared = [mode.prepare(query) for query in queries]
    answers: list[Any] = []
    warm = time.perf_counter() + order["warm_up"]
    if order["answers"]:
        ends = time.perf_counter() + order["seconds"]
        for query in prepared:
            answers.append(mode.answer(mode.search(query)))
            if time.perf_counter() > ends:
                break
    while time.perf_counter() < warm:
        for query in prepared:
            mode.search(query)
            if time.perf_counter() > warm:
                break
    latencies = []
    ends = time.perf_counter() + order["seconds"]
    for query in prepared:
        before = time.perf_counter_ns()
        mode.search(query)
        latencies.append(time.perf_counter_ns() - before)
        if time.perf_counter() > ends:
            break
    rounded = [[(id, float(score)) for id, score in answer] for answer in answers]
    return {"nanoseconds": latencies, "answers": rounded}


def peak_rss() -> int:
    """Return the most memory that this process ever held, in bytes.

    Not ``ru_maxrss``, which also knows the process that started this one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM line; run the measurement on Linux")


if __name__ == "__main__":
    main()
