"""What ``import hybrid`` and ``python -m hybrid`` load and do, each in a fresh process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = 440
HEAVY = ("torch", "transformers", "sentence_transformers", "faiss", "onnxruntime", "onnx", "scipy", "rich")
HEAVY += ("numba", "llvmlite", "langchain_core", "llama_index", "haystack")
COMMANDS = (
    "create",
    "add",
    "delete",
    "sync",
    "search",
    "run",
    "eval",
    "diagnose",
    "tune",
    "stats",
    "optimize",
    "verify",
    "repair",
    "backup",
    "restore",
    "export",
    "import",
    "models",
    "serve",
    "mcp",
    "key",
)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh Python, to which every warning is an error, in the root of the source tree."""
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def printed(code: str) -> object:
    """Return what a program prints as JSON; nothing else may be printed."""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_import_loads_nothing_heavy() -> None:
    code = "import hybrid, json, sys; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    loaded = printed(code)
    assert isinstance(loaded, list)
    assert "numpy" in loaded  # so that the list is known to hold what was imported
    assert not [name for name in HEAVY if name in loaded]


def test_import_loads_little() -> None:
    """The time of an import is that of its modules; this counts them, and benchmarks take the time."""
    code = """
import json, sys
before = set(sys.modules)
import hybrid
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    loaded = printed(code)
    assert isinstance(loaded, list)
    assert "hybrid.engine.search" in loaded
    assert len(loaded) < MODULES, "\n".join(loaded)


def test_import_configures_no_logging() -> None:
    code = """
import hybrid, json, logging
loggers = {"root": logging.root, **logging.root.manager.loggerDict}
print(json.dumps({
    name: [logger.level, [type(handler).__name__ for handler in logger.handlers]]
    for name, logger in loggers.items()
    if isinstance(logger, logging.Logger) and (name == "root" or name.partition(".")[0] == "hybrid")
}))
"""
    configured = printed(code)
    assert isinstance(configured, dict)
    assert configured.pop("root") == [30, []]  # WARNING, as Python sets it
    for name, (level, handlers) in configured.items():
        assert level == 0, name
        assert set(handlers) <= {"NullHandler"}, name


def test_import_starts_no_threads_and_touches_no_environment() -> None:
    code = """
import json, os, threading
before = dict(os.environ)
import hybrid
print(json.dumps([threading.active_count(), dict(os.environ) == before]))
"""
    assert printed(code) == [1, True]


def test_the_module_runs() -> None:
    done = python("-m", "hybrid", "--version")
    version = re.search(r'__version__ = "(.+)"', (ROOT / "hybrid" / "version.py").read_text("utf-8"))
    assert version is not None
    assert (done.returncode, done.stdout, done.stderr) == (0, f"hybrid {version[1]}\n", "")


def test_help_lists_every_command() -> None:
    done = python("-m", "hybrid", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = re.findall(r"^    ([a-z]+) ", done.stdout, re.MULTILINE)
    assert tuple(listed) == COMMANDS
    assert printed("import json, hybrid.cli.commands as c; print(json.dumps([*c.COMMANDS]))") == listed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = python("-m", "hybrid", command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: hybrid {command} ")
    assert ("INDEX" in done.stdout) == (command not in ("eval", "models", "key"))


def test_no_command_is_wrong_use() -> None:
    done = python("-m", "hybrid")
    assert (done.returncode, done.stdout) == (2, "")
    assert "COMMAND" in done.stderr
