"""The code on the pages of `docs/` works, offline and with no warning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hybrid

ROOT = Path(__file__).resolve().parents[1]


def run(page, folder, monkeypatch):
    """Run a page's blocks of Python one after the other in an empty folder; return what they named."""
    monkeypatch.chdir(folder)
    text = (ROOT / "docs" / page).read_text("utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        exec(compile(block, page, "exec"), names)
    return names


def test_frameworks(tmp_path, monkeypatch, capsys):
    names = run("frameworks.md", tmp_path, monkeypatch)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("memo {'bm25': ")  # LangChain, by meaning
    assert printed[-1].startswith("['memo', ")  # LlamaIndex
    assert names["answer"] == "Remove old files."
    assert [node.node_id for node in names["nodes"]] == ["a"]
    assert names["prompt"] == "Remove old files. what to do if the disk is full?"
    assert names["again"].to_dict() == names["pipeline"].to_dict()


def test_migration(tmp_path, monkeypatch):
    names = run("migration.md", tmp_path, monkeypatch)
    assert names["best"][0] == 0
    assert names["found"].ids == ["0"]
    first = [names[name][0].node_id for name in ("before", "after", "as_before")]  # LlamaIndex's, the last
    assert first == ["0", "0", "0"]
    assert names["store"].similarity_search("error code", k=1)[0].id == "0"
    assert names["retriever"].invoke("error code")[0].id == "0"
    ranked = names["ranks"]
    assert ranked == hybrid.RRF(k=60, weights={"bm25": 0.5, "dense": 0.5})


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_lead_somewhere(page):
    text = (ROOT / "docs" / page).read_text("utf-8")
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / "docs" / link).exists(), link
