"""Measure this package and its peers on the same data, machine and run.

    python eval/speed.py TASK --data FOLDER [--peers a,b] [--runs 5] [--out FILE]

Tasks: bm25 (win32-docs), bm25-scale (synthetic, --sizes), sparse (synthetic, --sizes), hybrid
(win32-docs and scifact) and build (win32-docs). Each peer builds its index in one process; then, round
after round, each opens it in a fresh process and answers all queries one at a time, the order of
the peers moving on by one every round. One process runs at a time, on one core unless --threads says
otherwise. A peer that cannot be installed, or fails, stands in the results with its reason. Tables
and plots come from the results: `python eval/plots.py FILE`.

Large collections take hours to index. With --keep FOLDER the indexes stay, each with the figures of
its building; a later command with the same folder measures only what asking takes. `--runs 0` builds only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provenance import provenance

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from peers import environments, inputs  # noqa: E402
from peers.process import PeerError, run  # noqa: E402
from peers.protocol import Task  # noqa: E402
from peers.registry import OURS, TASKS, Peer  # noqa: E402
from peers.summary import Measured, summarise  # noqa: E402

SIZES = {"bm25-scale": [200_000, 1_000_000, 10_000_000], "sparse": [1_000_000]}
KS = {"bm25": [10, 100], "bm25-scale": [10, 100]}


def main() -> None:
    """Parse, prepare the inputs, measure, write."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # ends the peer's process too
    record = provenance()
    record |= {"task": options.task, "settings": settings(options), "collections": []}
    for folder in collections(options):
        print(f"== {inputs.about(folder)['name']}", file=sys.stderr)
        record["collections"].append(measure(options, folder))
        if options.out:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(record, indent=1) + "\n")
    if not options.out:
        print(json.dumps(record, indent=1))


def parse() -> argparse.Namespace:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("task", choices=TASKS)
    add("--data", type=Path, default=os.environ.get("HYBRID_DATA"), help="the folder that holds the sets")
    add("--peers", type=lambda names: names.split(","), help="only these, and ours in any case")
    add("--runs", type=int, default=5, help="rounds (default 5)")
    add("--keep", type=Path, help="a folder in which indexes stay, to be asked again by later commands")
    add("--busy", action="store_true", help="note of kept indexes that other work ran beside their building")
    add("--out", type=Path, help="the file for the results; the screen, if it is not given")
    add("--size", type=int, help="only so many documents of a real collection")
    add("--sizes", type=int, nargs="+", help="sizes of the synthetic collections")
    add("--queries", type=int, default=500, help="at most so many queries (default 500)")
    add("--k", type=int, nargs="+", help="results a query (default 10, for BM25 alone 10 and 100)")
    add("--threads", type=int, default=1, help="processors and threads for each peer (default 1)")
    add("--seconds", type=float, default=60, help="longest pass over the queries (default 60)")
    add("--warm-up", type=float, default=2, help="seconds to ask before a timed pass (default 2)")
    add("--timeout", type=float, default=3600, help="longest phase of a peer in seconds (default 3600)")
    add("--memory", type=float, default=16, help="most memory of a peer in GiB (default 16)")
    add("--seed", type=int, default=0, help="of the synthetic collections")
    add("--vectors", type=Path, help="a folder with vectors.npy and query_vectors.npy for win32-docs")
    add("--encode", action="store_true", help="encode win32-docs with the bundled MiniLM (about 40 minutes)")
    options = parser.parse_args()
    if options.task in ("bm25", "hybrid", "build") and options.data is None:
        parser.error(f"the task {options.task} needs --data, or HYBRID_DATA set to the folder of the sets")
    if options.task == "build" and options.keep:
        parser.error("the task build makes every index anew, so it cannot --keep them")
    known = {peer.name for peer in TASKS[options.task]}
    if unknown := set(options.peers or ()) - known:
        parser.error(f"no peer {', '.join(sorted(unknown))} in {options.task}: {', '.join(sorted(known))}")
    return options


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return what decides the figures, for the record."""
    names = ("runs", "queries", "threads", "seconds", "warm_up", "timeout", "memory", "seed")
    return {name: getattr(options, name) for name in names} | {"k": ks(options)}


def ks(options: argparse.Namespace) -> list[int]:
    """Return the numbers of results to ask for."""
    return options.k or KS.get(options.task, [10])


def collections(options: argparse.Namespace) -> list[Path]:
    """Return the folders of inputs, made if they are not there."""
    task, sizes = options.task, options.sizes or SIZES.get(options.task, [])
    if task == "bm25":
        return [inputs.real_terms(options.data / "win32-docs", options.size)]
    if task == "bm25-scale":
        return [inputs.synthetic_terms(size, options.queries, options.seed) for size in sizes]
    if task == "sparse":
        return [inputs.synthetic_sparse(size, options.queries, options.seed) for size in sizes]
    vectors = "encode" if options.encode else options.vectors or "random"
    found = [inputs.real_texts(options.data / "win32-docs", options.size, vectors)]
    if task == "hybrid":
        found.append(inputs.real_texts(options.data / "scifact", None, "encode", judged=True))
    return found


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Build every peer's index, then ask in rounds; return the summary of one collection.

    The task "build" builds anew in every round and asks only the first query, from a cold start.
    """
    limits = {name: getattr(options, name) for name in ("seconds", "warm_up", "timeout")}
    limits |= {"memory": options.memory * 2**30, "passes": options.task != "build"}
    chosen = [p for p in TASKS[options.task] if not options.peers or p.name in (OURS, *options.peers)]
    measured = {peer.name: Measured(peer) for peer in chosen}
    with workplace(options, folder) as work:
        tasks = {peer.name: order(options, peer, folder, work) for peer in chosen}
        if options.task != "build":
            for peer in chosen:
                prepare(options, measured[peer.name], tasks[peer.name], limits)
        for turn in range(options.runs):
            start = turn % len(chosen)
            for peer in chosen[start:] + chosen[:start]:
                if options.task == "build":
                    build(measured[peer.name], tasks[peer.name], limits)
                cold = turn == 0 or options.task == "build"
                ask(measured[peer.name], tasks[peer.name], limits, cold, answers=turn == 0)
    return summarise(inputs.about(folder), measured, folder)


def order(options: argparse.Namespace, peer: Peer, folder: Path, work: Path) -> Task:
    """Return what one peer is told."""
    return Task(
        inputs=folder,
        folder=work / peer.name,
        ks=tuple(ks(options)),
        threads=options.threads,
        pretokenised=options.task in ("bm25", "bm25-scale"),
        text_only=peer.text_only,
        queries=options.queries,
        options=peer.options,
    )


@contextmanager
def workplace(options: argparse.Namespace, folder: Path) -> Iterator[Path]:
    """Yield where a collection's indexes are made: a folder that goes in the end, or the one to keep."""
    if options.keep:
        place = options.keep.resolve() / folder.name
        place.mkdir(parents=True, exist_ok=True)
        yield place
    else:
        environments.cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=environments.cache(), prefix="work-") as work:
            yield Path(work)


def prepare(options: argparse.Namespace, measured: Measured, task: Task, limits: dict[str, Any]) -> None:
    """Build one peer's index, or take the one that was kept, with how its building went."""
    if not options.keep:
        build(measured, task, limits)
        return
    kept = task.folder.with_name(f"{task.folder.name}.json")
    if not kept.exists():
        build(measured, task, limits)
        how = {name: value for name, value in provenance().items() if name in ("revision", "date")}
        how |= {"threads": options.threads, "beside_other_work": options.busy}
        builds = [report | {"how": how} for report in measured.builds]
        kept.write_text(json.dumps({"builds": builds, "failure": measured.failure}))
    found = json.loads(kept.read_text())
    measured.builds, measured.failure = found["builds"], found["failure"]


def build(measured: Measured, task: Task, limits: dict[str, Any]) -> None:
    """Build one peer's index in an empty folder, and measure it."""
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir()
    report = attempt(measured, task, "build", limits)
    sizes = (path.stat().st_size for path in task.folder.rglob("*") if path.is_file())
    if report:
        measured.builds.append(report | {"index_bytes": sum(sizes)})
    else:  # what there is of the index is of no use
        shutil.rmtree(task.folder, ignore_errors=True)


def ask(measured: Measured, task: Task, limits: dict[str, Any], cold: bool, answers: bool) -> None:
    """Open one peer's index in a fresh process and ask; ``cold``: with none of its files in memory."""
    if cold:
        evict(task.folder)
    if report := attempt(measured, task, "search", limits, answers):
        measured.searches.append(report | {"cold": cold})


def attempt(
    measured: Measured, task: Task, phase: str, limits: dict[str, Any], answers: bool = False
) -> dict[str, Any] | None:
    """Run one phase of one peer and return its report; None once it has failed, and why is kept."""
    if measured.failure:
        return None
    print(f"{phase} {measured.peer.name}", file=sys.stderr, flush=True)
    try:
        return run(measured.peer, task, phase, limits, answers)
    except PeerError as error:
        measured.failure = f"{phase}: {error}"
        print(f"  {measured.peer.name} failed: {error}", file=sys.stderr)
        return None


def evict(folder: Path) -> None:
    """Write a folder's files to disk and drop them from the page cache, so that opening them is cold."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
