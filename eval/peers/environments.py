"""The peers' virtual environments: made once from pinned requirements, outside the repository.

    python eval/peers/environments.py [NAME …]

makes the named environments (all, if none is named) ahead of a measurement.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
LAST_LINES = 12
DONE = "installed.txt"


class InstallError(Exception):
    """An environment cannot be made; the message holds the end of what pip said."""


def cache() -> Path:
    """Return the folder of the environments: ``HYBRID_PEERS``, or one in the user's cache."""
    given = os.environ.get("HYBRID_PEERS")
    return Path(given) if given else Path.home() / ".cache" / "hybrid-peers"


def names() -> list[str]:
    """Return the names of the environments, in alphabetical order."""
    return sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))


def folder(name: str) -> Path:
    """Return where an environment stands or will stand; other pins, or another Python, stand elsewhere."""
    pins = (REQUIREMENTS / f"{name}.txt").read_text() + sys.version
    return cache() / f"{name}-{hashlib.sha256(pins.encode()).hexdigest()[:10]}"


def python(name: str) -> Path:
    """Return the interpreter of an environment, which is made first if it is not there.

    Raises:
        InstallError: pip failed. Nothing of the attempt is left, so the next call tries again.
    """
    place = folder(name)
    interpreter = place / "bin" / "python"
    if not (place / DONE).exists():
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            _run([sys.executable, "-m", "venv", place])
            _run([interpreter, "-m", "pip", "install", "-q", "-r", REQUIREMENTS / f"{name}.txt"])
            (place / DONE).write_text(_run([interpreter, "-m", "pip", "freeze"]))
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
    return interpreter


def versions(name: str) -> dict[str, str]:
    """Return the installed version of every package that the requirements name."""
    frozen = dict(
        line.split("==", 1) for line in (folder(name) / DONE).read_text().splitlines() if "==" in line
    )
    found = {package.lower().replace("_", "-"): version for package, version in frozen.items()}
    pins = (line.split("==")[0] for line in (REQUIREMENTS / f"{name}.txt").read_text().split())
    return {pin: found.get(pin.lower().replace("_", "-"), "?") for pin in pins}


def _run(command: list[object]) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:])
        raise InstallError(tail or f"{command[0]} ended with status {done.returncode}")
    return done.stdout


def main() -> None:
    """Make the environments that the command names, and say how each went."""
    for name in sys.argv[1:] or names():
        try:
            print(name, python(name), versions(name), flush=True)
        except InstallError as error:
            print(f"{name} cannot be installed:\n{error}", flush=True)


if __name__ == "__main__":
    main()
