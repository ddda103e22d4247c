"""Fixtures for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real collections; the tests that need it skip where it is absent."""
    folder = Path(os.environ.get("HYBRID_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "scifact").is_dir():
        pytest.skip(f"no real collections at {folder} (set HYBRID_DATA to their folder)")
    return folder
