"""What the README tells a stranger to do works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import hybrid
from hybrid.cli.parser import build_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language, text=README):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.usefixtures("java")
def test_the_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert printed.startswith("1 memo ")  # by meaning: no word of the question is in it
    assert "rank without" in printed
    assert len(names["index"]) == 2
    assert names["hit"].scores.keys() == {"lucene", "dense", "fused"}
    assert isinstance(names["pipeline"], hybrid.Pipeline)
    wanted = [hit.id for hit in names["index"].search(names["question"], 2)]
    assert wanted[0] == "memo"
    assert [document.id for document in names["in_langchain"]] == wanted
    assert [node.node_id for node in names["in_llama_index"]] == wanted
    assert [document.id for document in names["in_haystack"]] == wanted


@pytest.mark.parametrize("page", ["README.md", "docs/files.md"])
def test_the_commands_parse(page):
    commands = [
        line.split(" #")[0]
        for block in blocks("sh", (ROOT / page).read_text("utf-8"))
        for line in block.splitlines()
        if line.startswith("hybrid ")
    ]
    assert len(commands) >= 4
    for line in commands:
        for command in line.split(";"):
            build_parser().parse_args(shlex.split(command)[1:])


def test_every_make_target_exists():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", (ROOT / page).read_text(), re.MULTILINE):
            assert "".join(target) in targets


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_link_and_file_exists(page):
    text = (ROOT / page).read_text("utf-8")
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / link).exists(), link
    for path in re.findall(r"`((?:eval|tests|indexes|hybrid)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path
