from __future__ import annotations

import gzip
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import hybrid.corpus
from hybrid.corpus import read, sources
from hybrid.errors import CorpusError
from hybrid.types import Document

LINE = b'{"_id": "1", "text": "x"}\n'


def test_exports() -> None:
    names = [
        "Columns",
        "ReadReport",
        "Reading",
        "Skipped",
        "read",
        "read_export",
        "read_qrels",
        "read_queries",
        "to_document",
        "write_export",
        "write_lines",
    ]
    assert sorted(hybrid.corpus.__all__) == names
    for name in hybrid.corpus.__all__:
        assert callable(getattr(hybrid.corpus, name))


def test_every_registered_reader_exists() -> None:
    targets = [*sources.CORPUS_READERS.values(), *sources.SCHEMES.values()]
    for target in targets:
        module, _, name = target.partition(":")
        assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_a_beir_folder_is_its_corpus_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(LINE) if name.endswith(".gz") else LINE)
    (tmp_path / "README.md").write_text("# not a document", "utf-8")
    assert list(read(tmp_path)) == [Document("1", "x")]


def test_a_folder_with_two_corpora_is_ambiguous(tmp_path: Path) -> None:
    for name in sources.BEIR_NAMES:
        (tmp_path / name).write_bytes(LINE)
    with pytest.raises(CorpusError, match=r"holds both corpus\.jsonl and corpus\.jsonl\.gz; give the one"):
        read(tmp_path)


@pytest.mark.parametrize("source", ["", b"corpus.jsonl", None, 3, [Document("1")], {"id": "1"}])
def test_what_is_no_path_is_refused(source: Any) -> None:
    with pytest.raises(CorpusError, match=rf"cannot read {type(source).__name__} .*; give a \.jsonl"):
        read(source)


@pytest.mark.parametrize("name", ["missing.jsonl", "missing", "perl:stdlib", "x" * 5000, "nul\0.txt"])
def test_what_is_not_there_is_refused_at_once(name: str) -> None:
    with pytest.raises(CorpusError, match=r"there is no file or folder .*; give a \.jsonl.*python:stdlib"):
        read(name)


@pytest.mark.parametrize("name", ["a.jpg", "corpus", "a.txt.gz", "a.gz", "python"])
def test_unknown_kinds_are_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(LINE)
    with pytest.raises(CorpusError, match=r"no reader for files named .*; give a \.jsonl"):
        read(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINE)
    path.chmod(0)
    with pytest.raises(CorpusError, match=r"a\.jsonl: cannot be read \(Permission denied\)"):
        list(read(path))


def test_importing_the_readers_is_light() -> None:
    watched = ("hybrid.corpus.python", "hybrid.corpus.delimited")
    code = f"import hybrid.corpus, sys; print([m for m in {watched} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "[]\n"
