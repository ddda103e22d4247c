"""Killing an indexing process at every step and at random times, many times over, and checking what is left.

    python -m tests.crash.campaign --seeds 40 --out eval/results/kills.json

Each seed is a history of changes. It is carried out once undisturbed, to know what each state holds; then

- killed before every step (``steps``), and in the middle of every write (``torn``),
- killed after a random time, without being traced (``random``),
- refused at a step, once or from there on, with ENOSPC, EIO, EMFILE, EROFS or a short write (``errors``),
- replayed up to a step, with what was not fsynced lost, torn or kept (``power``).

A failure is listed with its seed, its kind and its step: ``--only KIND SEED STEP`` runs it again.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import hybrid
from tests.crash import tracer, workload
from tests.crash.disk import Disk, Fate
from tests.crash.tracer import KILL, Fault, Step

KINDS = ("steps", "torn", "random", "errors", "power")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EROFS)
_REFUSABLE = ("open", "write", "pwrite", "fsync", "fdatasync", "ftruncate", "rename", "mkdir")
_FATES: tuple[Fate, ...] = ("nothing", "everything", "some", "some")


@dataclass
class Case:
    """One history: its changes, what they lead to, and its steps, in a folder of its own."""

    seed: int
    place: Path
    length: int = 8
    steps: list[Step] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        os.environ["HYBRID_THREADS"] = "1"
        self.operations = workload.history(self.seed, self.length)
        self.expected = workload.states(self.operations, self.place / "reference" / "index")
        self.steps = []
        ended = self._run("record", lambda number, step: self.steps.append(step))
        assert ended == ("exit", 0)

    def _run(
        self, name: str, fault: Callable[[int, Step], Fault | None], *, recover: bool = False
    ) -> tracer.Ending:
        """Carry the history out in a traced child, in a folder of that name."""
        root = self._fresh(name)
        numbers = iter(range(10**9))

        def handler(step: Step) -> Fault | None:
            here = step.path.startswith(f"{root}/") or step.path in (
                str(root),
                str(self.place / f"{name}.acks"),
            )
            return fault(next(numbers), step) if here and not step.path.endswith("(deleted)") else None

        return tracer.run(lambda: self._work(name, recover=recover), handler)

    def _fresh(self, name: str) -> Path:
        root = self.place / name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        for suffix in ("acks", "errors"):
            (self.place / f"{name}.{suffix}").unlink(missing_ok=True)
        return root

    def _work(self, name: str, *, recover: bool = False) -> None:
        done = workload.acknowledging(self.place / f"{name}.acks")
        told = self.place / f"{name}.errors"

        def note(error: hybrid.HybridError, number: int) -> None:
            with told.open("a") as file:
                file.write(f"{number}: {type(error).__name__}: {error}\n")

        workload.perform(
            self.place / name / "new" / "index", self.operations, done, note if recover else None
        )

    def _check(self, name: str, *, counted: bool = True) -> None:
        self._holds(name, workload.acknowledged(self.place / f"{name}.acks"), counted=counted)

    def _holds(self, name: str, count: int, *, counted: bool = True) -> None:
        """Check what is left after so many acknowledged changes."""
        found = workload.check(self.place / name / "new" / "index", self.expected, count, counted=counted)
        texts = self.expected[found].texts
        self.checked["states"] += 1
        self.checked["acknowledged_documents_found"] += len(texts.keys() & self.expected[count].texts.keys())

    def killed(self, at: int) -> None:
        """Kill before a step, and check."""
        ended = self._run("killed", lambda number, step: KILL if number == at else None)
        assert ended[0] == "signal"
        self._check("killed")

    def torn(self, at: int, chosen: random.Random) -> None:
        """Kill in the middle of a write, and check."""
        part = chosen.randrange(max(1, len(self.steps[at].data)))
        ended = self._run("torn", lambda n, step: Fault(kill=True, size=part) if n == at else None)
        assert ended[0] == "signal"
        self._check("torn")

    def at_random(self, chosen: random.Random, longest: float) -> None:
        """Kill after a random time, without tracing, and check."""
        self._fresh("random")
        pid = os.fork()
        if pid == 0:
            try:
                self._work("random")
            finally:
                os._exit(0)
        time.sleep(chosen.random() * longest)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._check("random")

    def refused(self, at: int, fault: Fault, lasting: bool) -> None:
        """Refuse a step, and with ``lasting`` all of its kind until the error was told; check the end."""
        told = self.place / "refused.errors"

        def handler(number: int, step: Step) -> Fault | None:
            mine = number == at or (lasting and number > at and step.call in _REFUSABLE and not told.exists())
            return fault if mine and step.call in _REFUSABLE and "acks" not in step.path else None

        ended = self._run("refused", handler, recover=True)
        assert ended == ("exit", 0), told.read_text() if told.exists() else "no HybridError was raised"
        messages = told.read_text() if told.exists() else ""
        assert messages.count("\n") <= 1, messages
        if fault.error and messages:
            assert "StorageError" in messages or "ReadOnlyError" in messages, messages
        self._check("refused", counted=False)

    def lost_power(self, at: int, fate: Fate, chosen: random.Random) -> None:
        """Replay the steps before ``at``, lose what may be lost, and check what is left."""
        disk = Disk(self.place / "record")
        acks = str(self.place / "record.acks")
        count = 0
        for step in self.steps[:at]:
            if step.path == acks:
                count += step.call == "write"
            else:
                disk.take(step)
        root = self._fresh("power")
        disk.crashed(root, fate, chosen)
        self._holds("power", count)

    def one(self, kind: str, at: int) -> None:
        """Run one experiment; the same again for the same numbers."""
        chosen = random.Random(f"{kind} {self.seed} {at}")
        match kind:
            case "steps":
                self.killed(at)
            case "torn":
                self.torn(at, chosen)
            case "random":
                self.at_random(chosen, 1.5 * self.duration)
            case "errors":
                short = self.steps[at].call == "write" and chosen.random() < 0.3
                size = chosen.randrange(1, max(2, len(self.steps[at].data)))
                fault = Fault(size=size) if short else Fault(error=chosen.choice(ERRORS))
                self.refused(at, fault, lasting=not short and chosen.random() < 0.5)
            case "power":
                for fate in _FATES:
                    self.lost_power(at, fate, chosen)

    @property
    def duration(self) -> float:
        """How long the history takes undisturbed, in seconds, measured now."""
        self._fresh("timed")
        started = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            try:
                self._work("timed")
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        return time.perf_counter() - started

    def places(self, kind: str) -> list[int]:
        """Return the steps at which a kind of experiment can be made."""
        acks = str(self.place / "record.acks")
        mine = [n for n, step in enumerate(self.steps) if step.path != acks]
        match kind:
            case "torn":
                return [n for n in mine if self.steps[n].call == "write" and len(self.steps[n].data) > 1]
            case "errors":
                return [n for n in mine if self.steps[n].call in _REFUSABLE]
            case "power":
                return [*range(1, len(self.steps) + 1)]
        return mine

    def distinct(self, kind: str, chosen: random.Random) -> list[int]:
        """Return one step of every name and change, chosen at random, in order."""
        groups: dict[tuple[str, int], list[int]] = {}
        acks = str(self.place / "record.acks")
        change, number = 0, {}
        for n, step in enumerate(self.steps):
            number[n] = change
            change += step.path == acks and step.call == "write"
        for n in self.places(kind):
            step = self.steps[min(n, len(self.steps) - 1)]
            groups.setdefault((step.kind, number.get(n, change)), []).append(n)
        return sorted(chosen.choice(group) for group in groups.values())


def campaign(
    seeds: Sequence[int], kinds: Sequence[str], place: Path, *, per_seed: int, until: float
) -> dict[str, object]:
    """Run experiments on each seed until there are enough or time is up; return what came of them."""
    counts: Counter[str] = Counter()
    names: Counter[str] = Counter()
    failures: list[dict[str, object]] = []
    checked: Counter[str] = Counter()
    documents = used = 0
    for seed in seeds:
        if time.monotonic() > until:
            break
        chosen = random.Random(seed)
        root = place / str(seed)
        root.mkdir()
        case = Case(seed, root)
        used += 1
        documents += sum(len(operation.documents) for operation in case.operations)
        for kind, at in _experiments(case, kinds, chosen, per_seed):
            if time.monotonic() > until:
                break
            counts[kind] += len(_FATES) if kind == "power" else 1
            if kind != "random":
                names[case.steps[min(at, len(case.steps) - 1)].kind] += 1
            try:
                case.one(kind, at)
            except Exception as error:
                failures.append({"kind": kind, "seed": seed, "step": at, "error": repr(error)[:400]})
        checked += case.checked
        shutil.rmtree(root)
    return {
        "histories": used,
        "documents_written": documents,
        "experiments": dict(sorted(counts.items())),
        "kills": sum(counts[kind] for kind in ("steps", "torn", "random")),
        "checked": dict(checked),
        "steps_by_name": dict(sorted(names.items())),
        "failures": failures,
    }


def _experiments(
    case: Case, kinds: Sequence[str], chosen: random.Random, per_seed: int
) -> Iterator[tuple[str, int]]:
    for kind in kinds:
        places = case.places(kind) if kind != "random" else [*range(per_seed // 4)]
        if len(places) > per_seed:
            first = case.distinct(kind, chosen)
            rest = [n for n in places if n not in set(first)]
            places = sorted([*first, *chosen.sample(rest, max(0, min(len(rest), per_seed - len(first))))])
        yield from ((kind, at) for at in places)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign and write its result; return 1 if anything was lost or torn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=40, help="how many histories (default 40)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--per-seed", type=int, default=200, help="experiments of a kind and seed")
    parser.add_argument("--minutes", type=float, default=600, help="stop after so long")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--only", nargs=3, metavar=("KIND", "SEED", "STEP"), help="run one experiment again")
    parser.add_argument("--out", help="the result file to write")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        if options.only:
            kind, seed, step = options.only
            Case(int(seed), Path(folder)).one(kind, int(step))
            return 0
        seeds = range(options.first, options.first + options.seeds)
        started = time.monotonic()
        until = started + 60 * options.minutes
        result = campaign(seeds, options.kinds, Path(folder), per_seed=options.per_seed, until=until)
    result["minutes"] = round((time.monotonic() - started) / 60, 1)
    if options.out:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "eval"))
        from provenance import provenance

        command = " ".join(["python -m tests.crash.campaign", *(arguments or sys.argv[1:])])
        Path(options.out).write_text(
            json.dumps({**provenance(), "command": command, **result}, indent=1) + "\n"
        )
    else:
        sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 1 if result["failures"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
