"""Fuzz what takes input from strangers: analyzers, filters, JSONL, recipes, cursors (atheris, by coverage).

    python eval/fuzz.py [--seconds 30] [TARGET …]        → eval/results/fuzz.json

It needs the package atheris. Each target runs in a process of its own. Errors of the package (`HybridError`)
are right answers; any other exception, a crash, or an input that takes over 10 seconds is a finding, and its
input is shown.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provenance import provenance

RESULTS = Path(__file__).resolve().parent / "results" / "fuzz.json"
SLOW = 10
"""Seconds that one input may take."""


def _analyzers(folder: Path) -> Callable[[Any], None]:
    import hybrid

    known = [hybrid.analyzer(name) for name in hybrid.analyzer_names()]

    def run(data: Any) -> None:
        chosen = known[data.ConsumeIntInRange(0, len(known) - 1)]
        text = data.ConsumeUnicodeNoSurrogates(4000)
        if [*chosen.terms(text)] != [*chosen.terms(text)]:
            raise AssertionError("two answers to one text")

    return run


def _filters(folder: Path) -> Callable[[Any], None]:
    import hybrid

    pipeline = hybrid.Pipeline(branches=[hybrid.BM25(analyzer="simple")])
    documents = [
        hybrid.Document(str(n), "word", metadata={"a": [n, str(n), None], "b": {"c": n % 2 == 0}})
        for n in range(9)
    ]
    index = hybrid.create(folder / "index", documents, pipeline)

    def run(data: Any) -> None:
        try:
            where = json.loads(data.ConsumeUnicodeNoSurrogates(2000))
        except (ValueError, RecursionError):
            where = _value(data, 0)
        found = {hit.id for hit in index.search("word", 20, where)}
        if isinstance(where, dict):
            rest = {hit.id for hit in index.search("word", 20, {"$not": where})}
            if found & rest or len(found | rest) != len(documents):
                raise AssertionError("a filter and its complement do not make up all documents")

    return run


def _value(data: Any, depth: int) -> Any:
    """Return a filter that is nearly right."""
    keys = (
        "$and",
        "$or",
        "$nor",
        "$not",
        "$eq",
        "$ne",
        "$in",
        "$nin",
        "$gt",
        "$lte",
        "$exists",
        "a",
        "b",
        "b.c",
    )
    kind = data.ConsumeIntInRange(0, 6 if depth < 6 else 3)
    if kind == 0:
        return data.ConsumeInt(4)
    if kind == 1:
        return data.ConsumeFloat()
    if kind == 2:
        return data.ConsumeBool()
    if kind == 3:
        return data.ConsumeUnicodeNoSurrogates(5)
    if kind == 4:
        return [_value(data, depth + 1) for _ in range(data.ConsumeIntInRange(0, 3))]
    return {data.PickValueInList(keys): _value(data, depth + 1) for _ in range(data.ConsumeIntInRange(0, 3))}


def _jsonl(folder: Path) -> Callable[[Any], None]:
    import hybrid

    path = folder / "corpus.jsonl"

    def run(data: Any) -> None:
        path.write_bytes(data.ConsumeBytes(4000))
        for document in hybrid.read(path):
            if not document.id:
                raise AssertionError("a document without an id")

    return run


def _recipes(folder: Path) -> Callable[[Any], None]:
    import hybrid

    def run(data: Any) -> None:
        pipeline = hybrid.parse_recipe(data.ConsumeUnicodeNoSurrogates(2000))
        if hybrid.parse_recipe(hybrid.format_recipe(pipeline)) != pipeline:
            raise AssertionError("a recipe that does not come back")

    return run


def _cursors(folder: Path) -> Callable[[Any], None]:
    import hybrid

    pipeline = hybrid.Pipeline(branches=[hybrid.BM25(analyzer="simple")])
    documents = [hybrid.Document(str(n), "word") for n in range(9)]
    index = hybrid.create(folder / "index", documents, pipeline)
    right = index.search("word", 3).cursor

    def run(data: Any) -> None:
        content = bytearray(base64.urlsafe_b64decode(str(right) + "=="))
        for _ in range(data.ConsumeIntInRange(0, 4)):
            content[data.ConsumeIntInRange(0, len(content) - 1)] = data.ConsumeIntInRange(0, 255)
        text = base64.urlsafe_b64encode(content).decode() + data.ConsumeUnicodeNoSurrogates(9)
        result = index.search("word", 3, cursor=text)
        if text.rstrip("=") != right and len(result):
            raise AssertionError("a changed cursor was taken")

    return run


TARGETS = {
    "analyzers": _analyzers,
    "filters": _filters,
    "jsonl": _jsonl,
    "recipes": _recipes,
    "cursors": _cursors,
}


def fuzz(name: str, seconds: int, folder: str) -> None:
    """Run one target until the time is over; called in a process of its own."""
    import atheris

    with atheris.instrument_imports(include=["hybrid"]):
        from hybrid.errors import HybridError

        target = TARGETS[name](Path(folder))

    def once(content: bytes) -> None:
        try:
            target(atheris.FuzzedDataProvider(content))
        except HybridError:
            return

    options = [
        f"-max_total_time={seconds}",
        f"-timeout={SLOW}",
        f"-artifact_prefix={folder}/",
        "-max_len=4096",
    ]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1"], once)
    atheris.Fuzz()


def main() -> None:
    """Run targets one after the other, and write down what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--inside", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        fuzz(options.targets[0], options.seconds, options.inside)
        return
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"targets": {}}
    for name in options.targets or TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, name, "--seconds", str(options.seconds), "--inside", folder]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        runs = re.findall(r"stat::number_of_executed_units: (\d+)|Done (\d+) runs", done.stderr)
        found = {
            "executions": max((int(a or b) for a, b in runs), default=0),
            "seconds": options.seconds,
            "findings": 0 if done.returncode == 0 else 1,
        }
        print(name, found, flush=True)
        if done.returncode:
            print(done.stderr[-3000:], flush=True)
        kept["targets"][name] = found
    kept |= {"provenance": provenance(), "seconds_allowed_for_one_input": SLOW}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
