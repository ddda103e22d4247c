"""The prompt, through a terminal of its own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pexpect
import pytest

import hybrid

ROOT = Path(__file__).resolve().parents[2]
INTERRUPTIBLE = """
import signal, sys
from hybrid.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
sys.exit(main(sys.argv[1:]))
"""
COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prompted") / "index"
    documents = [
        hybrid.Document("a", "ants carry leaves", "Ants", {"year": 1}),
        hybrid.Document("b", "bees carry pollen\x1b[31m", "Bees", {"year": 2}),
        hybrid.Document("c", "cats carry nothing", "Cats", {"year": 2}),
    ]
    hybrid.create(folder, documents, hybrid.Pipeline([hybrid.BM25()])).close()
    return folder


@pytest.fixture
def session(index, tmp_path, request):
    environment = {"PATH": "/usr/bin:/bin", "TERM": "xterm", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    arguments = ["-c", INTERRUPTIBLE, "search", str(index), *getattr(request, "param", ())]

    def start():
        child = pexpect.spawn(
            sys.executable, arguments, cwd=str(ROOT), env=environment, encoding="utf-8", timeout=30,
            dimensions=(40, 100),
        )  # fmt: skip
        child.delaybeforesend = None
        child.expect("search> ")
        return child

    started = []

    def fresh():
        started.append(start())
        return started[-1]

    yield fresh
    for child in started:
        child.close(force=True)


def ask(child, line):
    """Type a line; return what is printed before the next prompt."""
    child.sendline(line)
    child.expect("search> ")
    return COLOURS.sub("", child.before).replace("\r", "")


def test_it_searches_and_explains(session):
    child = session()
    assert "3 documents in" in child.before
    found = ask(child, "carry pollen")
    assert re.search(r"  1  Bees  b  .*\n.*bees carry pollen", found)
    assert "3 hits in" in found
    why = ask(child, ":why 1")
    assert "b: rank 1 for 'carry pollen' (Bees)" in why
    assert "pollen" in why
    child.sendline(":open 1")
    child.expect("search> ")
    assert "bees carry pollen [31m" in child.before  # what would steer the terminal does not
    assert "there is no hit at rank 9" in ask(child, ":why 9")
    child.sendeof()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_it_is_set_by_lines(session):
    child = session()
    assert "nothing was searched yet" in ask(child, ":why 1")
    ask(child, ":k 1")
    assert "1 hit in" in ask(child, "carry")
    ask(child, ":k 10")
    ask(child, ':where {"year": 2}')
    assert "2 hits in" in ask(child, "carry")
    assert "not JSON" in ask(child, ":where {")
    assert "$no" in ask(child, ':where {"year": {"$no": 1}}')
    assert "2 hits in" in ask(child, "carry")  # what was wrong changed nothing
    ask(child, ":where")
    assert "3 hits in" in ask(child, "carry")
    assert "'none'" in ask(child, ":branches none")
    ask(child, ":branches bm25")
    assert "3 hits in" in ask(child, "carry")
    assert ":why N" in ask(child, ":help")
    assert "there are :why, :open" in ask(child, ":nonsense")
    child.sendline(":quit")
    child.expect(pexpect.EOF)


def test_earlier_lines_come_back_in_later_sessions(session, tmp_path):
    child = session()
    ask(child, "pollen")
    child.sendline(":quit")
    child.expect(pexpect.EOF)
    history = tmp_path / ".local" / "state" / "hybrid" / "history"
    assert history.read_text().splitlines() == ["pollen", ":quit"]
    assert history.stat().st_mode & 0o077 == 0
    child = session()
    child.send("\x1b[A\x1b[A\r")  # up, up, Enter
    child.expect("1 hit in")
    child.expect("search> ")


def test_ctrl_c_gives_up_a_line(session):
    child = session()
    child.send("half a li")
    child.expect("half a li")  # it waits for more
    child.sendintr()
    child.expect("search> ")
    assert "1 hit in" in ask(child, "pollen")


def test_lines_come_from_a_pipe_too(index, tmp_path):
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "hybrid", "search", index], input="pollen\n:why 1\n", capture_output=True,
        text=True, cwd=ROOT, env={"HOME": str(tmp_path), "PATH": "/usr/bin"}, check=True,
    )  # fmt: skip
    assert "  1  Bees" in done.stdout
    assert "rank 1 for 'pollen'" in done.stdout
    assert not (tmp_path / ".local").exists()
