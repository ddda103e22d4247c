"""Small indexes, and real servers over them: processes of their own on this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import hybrid
from hybrid.server import new_key
from tests.server.letters import register

ROOT = Path(__file__).resolve().parents[2]

TEXTS = {
    "wing": "The lift of a swept wing grows with the angle of attack until the flow separates.",
    "heat": "Heat transfer at the stagnation point of a blunt body in hypersonic flow.",
    "layer": "Transition of the laminar boundary layer on a flat plate, observed in a wind tunnel.",
    "bread": "A loaf of bread rises because yeast makes gas while the dough rests in a warm room.",
    "soup": "Soup tastes better on the second day, when the herbs have given their flavour.",
    "oven": "An oven holds its temperature when the door stays closed; bread needs a hot oven.",
    "e4021": "Error code E-4021: the disk is full. Remove files, or move them to another disk.",
    "disk": "How to make room on a disk that has run out of space.",
    "cat": "Cats sleep most of the day, and hunt at dusk.",
    "dog": "Dogs follow people wherever they go, and guard the house at night.",
    "<script>alert(1)</script>": "A text with <b>markup</b> and <img src=x onerror=alert(1)> about bread.",
    "a/b?c=d&e": "An id that looks like an address, about a warm oven.",
}
WORDS = hybrid.Pipeline(branches=[hybrid.BM25()], name="words")


def documents() -> list[hybrid.Document]:
    return [
        hybrid.Document(id, text, id.title(), {"year": 2020 + n % 4, "length": len(text)})
        for n, (id, text) in enumerate(TEXTS.items())
    ]


@pytest.fixture(scope="session", autouse=True)
def _models() -> None:
    register()


@pytest.fixture(scope="session")
def words(tmp_path_factory) -> Path:
    """An index without models."""
    folder = tmp_path_factory.mktemp("served") / "words"
    hybrid.create(folder, documents(), WORDS).close()
    return folder


@pytest.fixture(scope="session")
def both(tmp_path_factory) -> Path:
    """An index of words and meanings, reranked by token vectors."""
    pipeline = hybrid.Pipeline(rerank=[hybrid.MaxSim("letters", top=10, weight=0.5)])
    folder = tmp_path_factory.mktemp("served") / "both"
    hybrid.create(folder, documents(), pipeline).close()
    return folder


@pytest.fixture(scope="session")
def moody(tmp_path_factory) -> Path:
    """An index whose model fails or dawdles when a query tells it to."""
    folder = tmp_path_factory.mktemp("served") / "moody"
    hybrid.create(folder, documents(), hybrid.Pipeline([hybrid.BM25(), hybrid.Dense("moody")])).close()
    return folder


@dataclass(frozen=True)
class Running:
    """A server in a process of its own."""

    url: str
    process: subprocess.Popen[str]

    def client(self, index: str, **options) -> hybrid.server.Client:
        from hybrid.server import Client

        return Client(self.url, index, **options)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def running(*arguments: object, **environment: str) -> Iterator[Running]:
    """Start ``hybrid serve`` on a free port; stop it as an operator would, and see it end well."""
    options = ["--port", "0", "--deadline", "60"]  # a machine that does other things compiles for long
    command = [sys.executable, "-m", "tests.server.letters", "serve", *map(str, arguments), *options]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        yield Running(found[0], process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said
        assert "Traceback" not in said, said


@pytest.fixture(scope="session")
def server(words, both) -> Iterator[Running]:
    """Two indexes for reading, without keys."""
    with running(words, both) as found:
        yield found


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> tuple[hybrid.Secret, hybrid.Secret, Path]:
    """A reader's key, a writer's, and the file that knows them."""
    file = tmp_path_factory.mktemp("keys") / "keys"
    read, read_line = new_key("reader", "read")
    write, write_line = new_key("writer", "write")
    file.write_text(f"# who may ask\n\n{read_line}\n{write_line}\n")
    return read, write, file


@pytest.fixture(scope="session")
def guarded(tmp_path_factory, keys) -> Iterator[Running]:
    """An index that may be changed, with keys."""
    folder = tmp_path_factory.mktemp("served") / "mine"
    hybrid.create(folder, documents(), WORDS).close()
    with running(folder, "--write", "--keys", keys[2], "--host", "127.0.0.1") as found:
        yield found


def record(response) -> dict:
    """Return the problem that a response tells of."""
    assert response.headers["content-type"] == "application/problem+json"
    return json.loads(response.content)
