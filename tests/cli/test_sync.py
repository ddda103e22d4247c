"""``hybrid sync``, run as a person runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hybrid.cli import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("# Alpha\nfirst words")
    (tmp_path / "docs/b.txt").write_text("beta words")
    (tmp_path / "docs/c.pdf").write_text("no pdf")
    (tmp_path / "words.toml").write_text('name = "words"\n[[branches]]\ntype = "bm25"\n')
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[str]:
    assert main(["sync", "index", "docs", *arguments]) == code
    captured = capsys.readouterr()
    return (captured.err if code else captured.out).splitlines()


@pytest.mark.usefixtures("work")
def test_it_says_what_it_did(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = "not read: c.pdf: it is not a whole PDF (Failed to load document (PDFium: Data format error).)"
    assert said(capsys, "--recipe", "words.toml", "--dry-run") == [
        "would add: a.md",
        "would add: b.txt",
        "would add: c.pdf",
        "would be: 3 added, 0 updated, 0 renamed, 0 removed, 0 unchanged, 0 not read",
    ]
    assert not (work / "index").exists()
    assert said(capsys, "--recipe", "words.toml") == [
        "added: a.md",
        "added: b.txt",
        damaged,
        "2 added, 0 updated, 0 renamed, 0 removed, 0 unchanged, 1 not read; 2 documents written",
    ]
    (work / "docs/a.md").rename(work / "docs/d.md")
    for n in range(30):
        (work / f"docs/many{n:02}.txt").write_text(f"text {n}")
    (work / "docs/b.txt").unlink()
    lines = said(capsys, "--exclude", "*.pdf", "--exclude", "*29.txt")
    assert lines[18:] == [
        "added: many18.txt",
        "added: many19.txt",
        "added: 9 more",
        "renamed: a.md -> d.md",
        "removed: b.txt",
        "29 added, 0 updated, 1 renamed, 1 removed, 0 unchanged, 0 not read; 30 documents written",
    ]
    (record,) = said(capsys, "--json", "--include", "d.md")
    found = json.loads(record)
    assert (found["unchanged"], len(found["removed"]), found["documents"]) == (1, 29, 0)


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--watch", "--dry-run"], 2, "--watch and --dry-run were both given"),
        (["--interval", "3"], 2, "--interval was given without --watch"),
        (["--recipe", "missing.toml"], 2, "missing.toml"),
        (["--name", "a/b"], 2, "the folder's name is 'a/b'"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str) -> None:
    (line,) = said(capsys, *arguments, code=code)
    assert message in line
    with pytest.raises(SystemExit):
        main(["sync", "index", "docs", "--watch", "--interval", "0"])


INTERRUPTIBLE = """
import signal, sys
from hybrid.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("options", [[], ["--interval", "0.1"]])
def test_watching_ends_cleanly_with_ctrl_c(work: Path, options: list[str]) -> None:
    command = [sys.executable, "-c", INTERRUPTIBLE, "sync", str(work / "index"), str(work / "docs")]
    command += ["--recipe", str(work / "words.toml"), "--watch", *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            assert [next(lines) for _ in range(5)][-1] == "watching; Ctrl-C ends it\n"
            (work / "docs/late.md").write_text("late")
            assert next(lines) == "added: late.md\n"
            assert [next(lines) for _ in range(3)][-1] == "watching; Ctrl-C ends it\n"
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, rest, errors) == (0, "stopped\n", "")
    assert main(["sync", str(work / "index"), str(work / "docs")]) == 0  # the lock is free
