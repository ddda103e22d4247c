"""Fuzz what takes input from strangers, guided by coverage (atheris); `fuzzing.py` has the targets.

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
import time
from pathlib import Path
from typing import Any

from fuzzing import TARGETS
from provenance import provenance

RESULTS = Path(__file__).resolve().parent / "results" / "fuzz.json"
SLOW = 10
"""Seconds that one input may take."""


def inside(name: str, folder: Path, options: list[str]) -> None:
    """Let libFuzzer call one target; called in a process of its own."""
    import atheris

    with atheris.instrument_imports(include=["hybrid"]):
        from hybrid.errors import HybridError

        place = folder / "place"
        place.mkdir()
        target = TARGETS[name](place)

    def once(content: bytes) -> None:
        try:
            target(atheris.FuzzedDataProvider(content))
        except HybridError:
            return

    atheris.Setup([sys.argv[0], *options], once)
    atheris.Fuzz()


def fuzz(name: str, seconds: int) -> dict[str, Any]:
    """Fuzz one target; an input that failed is tried once more, as the machine may have stood still."""
    executions, began = 0, time.monotonic()

    def told(finding: str | None) -> dict[str, Any]:
        spent = round(time.monotonic() - began)
        return {"executions": executions, "seconds": spent, "finding": finding}

    with tempfile.TemporaryDirectory() as kept:
        (inputs := Path(kept) / "inputs").mkdir()
        while (left := int(began + seconds - time.monotonic())) > 0:
            done = _run(name, Path(kept), [f"-max_total_time={left}", str(inputs)])
            counts = re.findall(r"stat::number_of_executed_units: (\d+)|Done (\d+) runs", done.stderr)
            executions += max((int(a or b) for a, b in counts), default=0)
            failed = [path for path in Path(kept).glob("*-*") if path.is_file()]
            if done.returncode and not failed:
                return told(f"{done.stdout[-3000:]}{done.stderr[-1000:]}")
            for path in failed:
                again = _run(name, Path(kept), [str(path)])
                if again.returncode:  # atheris prints exceptions on standard output
                    content = base64.b64encode(path.read_bytes()).decode()
                    return told(f"{again.stdout[-3000:]}{again.stderr[-1000:]}\ninput: {content}")
                path.unlink()
    return told(None)


def _run(name: str, kept: Path, options: list[str]) -> subprocess.CompletedProcess[str]:
    fixed = [f"-timeout={SLOW}", f"-artifact_prefix={kept}/", "-max_len=4096", "-print_final_stats=1"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--inside", name, folder, *(f" {o}" for o in (*fixed, *options))]
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def main() -> None:
    """Run targets one after the other, and write down what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--inside", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        name, folder, *rest = options.inside
        inside(name, Path(folder), [option.strip() for option in rest])
        return
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"targets": {}}
    for name in options.targets or TARGETS:
        found = fuzz(name, options.seconds)
        print(name, found["executions"], "executions", found["finding"] or "", flush=True)
        source = provenance()
        about = {key: source[key] for key in ("revision", "uncommitted_changes", "date")}
        findings = int(found.pop("finding") is not None)
        kept["targets"][name] = {**found, "findings": findings, **about}
        kept |= {"provenance": source, "seconds_allowed_for_one_input": SLOW}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
