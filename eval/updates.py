"""Measure changes: commits of 1, 100 and 10,000 documents beside other engines, and what many leave behind.

    python eval/updates.py commits [--engines NAME …] [--sizes 1 …]  documents a second, latency of commits
    python eval/updates.py grow           make 10,000 commits of one document each (minutes)
    python eval/updates.py decay          searches of that index, and of the same documents built at once

Each engine runs in a process of its own, in the environment of `eval/peers`, over the same made-up documents
(words by Zipf's law; vectors where the engine has them). A commit is an upsert: half of its documents replace
some that are there. Parts can be run one by one: results are put together in eval/results/updates.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers import environments
from provenance import provenance

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "updates.json"
ENGINES = {
    "hybrid-bm25": None,
    "hybrid-bm25+dense": None,
    "sqlite-fts5": None,
    "tantivy": "tantivy",
    "lancedb": "lancedb",
}
"""Every engine, and the environment that it needs."""

COMMITS = {1: 300, 100: 30, 10_000: 2}
"""How many commits are measured of each size."""


def run(
    part: str, engine: str, size: int, commits: int, folder: Path | None = None, seconds: int = 280
) -> dict[str, Any]:
    """Run one measurement in the engine's environment, and return what it says."""
    environment = ENGINES[engine]
    python = sys.executable if environment is None else str(environments.python(environment))
    with tempfile.TemporaryDirectory() as passing:
        done = subprocess.run(
            [python, HERE / "updating.py", part, engine, str(size), str(commits), folder or passing],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{engine}: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def commits(engines: Sequence[str], sizes: Sequence[int]) -> None:
    """Measure commits of every size with every engine."""
    for size in sizes:
        for engine in engines:
            found = run("commits", engine, size, COMMITS[size])
            print(engine, size, found, flush=True)
            _keep("commits", f"{engine}, {size} a commit", found)


def grow(commits: int, folder: Path) -> None:
    """Make the two indexes that `decay` compares; what stands in the folder is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = run("grow", "hybrid-bm25+dense", 1, commits, folder, 3600)
    print(found, flush=True)
    _keep("grow", f"{commits} commits of one document", found)


def decay(commits: int, folder: Path) -> None:
    """Measure searches after commits of one document each, and on the same documents built at once."""
    if not (folder / "fresh").is_dir():
        grow(commits, folder)
    found = run("ask", "hybrid-bm25+dense", 1, commits, folder)
    print(found, flush=True)
    _keep("decay", f"{commits} commits of one document", found)


def _keep(part: str, name: str, found: dict[str, Any]) -> None:
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    source = provenance()
    kept.setdefault(part, {})[name] = {
        **found,
        **{key: source[key] for key in ("command", "revision", "date")},
    }
    kept["machine"], kept["versions"] = source["machine"], source["versions"]
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["commits", "grow", "decay"])
    parser.add_argument("--engines", nargs="+", choices=[*ENGINES], default=[*ENGINES])
    parser.add_argument("--sizes", nargs="+", type=int, choices=[*COMMITS], default=[*COMMITS])
    parser.add_argument("--commits", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where grow leaves what decay searches")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.gettempdir()) / f"hybrid-decay-{options.commits}"
    if options.part == "commits":
        commits(options.engines, options.sizes)
    else:
        {"grow": grow, "decay": decay}[options.part](options.commits, folder)


if __name__ == "__main__":
    main()
