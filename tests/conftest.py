"""Fixtures for every test."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Compiled code is kept under the state of all its sources: numba itself looks only at the one file
# of a function, not at what that calls.
KERNELS = sorted((ROOT / "hybrid" / "kernels").glob("*.py"))
STATE = blake2b(b"".join(path.read_bytes() for path in KERNELS), digest_size=8).hexdigest()
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = os.environ["LANGSMITH_TRACING"] = "false"  # nobody is told
os.environ["HYBRID_CACHE"] = "off"  # tests of the embedding cache say where theirs is
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".numba" / STATE))


@pytest.fixture(scope="session")
def java() -> None:
    """Java with Lucene; tests that need it skip where it cannot be had (``make test`` installs it)."""
    from hybrid.branches.lucene import jvm
    from hybrid.errors import MissingDependencyError

    try:
        jvm.java("java.lang.System")
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real collections; the tests that need it skip where it is absent."""
    folder = Path(os.environ.get("HYBRID_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "scifact").is_dir():
        pytest.skip(f"no real collections at {folder} (set HYBRID_DATA to their folder)")
    return folder
