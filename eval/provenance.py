"""Where a figure comes from: command, revision, machine, versions."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_CODE = ("../hybrid", "../indexes/recipes", ".", ":!results")
PACKAGES = ("numpy", "scipy", "faiss-cpu", "onnxruntime", "tokenizers", "PyStemmer", "ir-measures", "torch")


def provenance() -> dict[str, object]:
    """Return what a reader needs to repeat a measurement, for the head of a result file."""
    return {
        "command": " ".join(["python", "eval/" + Path(sys.argv[0]).name, *_arguments()]),
        "revision": _git("rev-parse", "--short", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no", "--", *_CODE)),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": {"cpu": _cpu(), "cores": len(os.sched_getaffinity(0)), "memory_gib": _memory()},
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _arguments() -> list[str]:
    """Return the command's arguments with folders of this machine shortened to their names."""
    return [Path(a).name if os.path.isabs(a) or a.startswith("..") else a for a in sys.argv[1:]]


def _git(*arguments: str) -> str:
    here = Path(__file__).resolve().parent
    done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    for row in Path("/proc/cpuinfo").read_text().splitlines():
        if row.startswith("model name"):
            return row.split(":", 1)[1].strip()
    return platform.processor()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
