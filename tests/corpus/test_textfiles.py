from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hybrid.corpus import read, textfiles
from hybrid.errors import CorpusError
from hybrid.types import Document


def test_a_folder_gives_its_text_files_in_the_order_of_their_ids(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    files = {
        "b/two.md": b"intro\n\n## Second **part** ##\n# Third\n",
        "b.txt": b"# not a heading here\r\n",
        "a.MD": b"```\n# code\n```\nno heading",
        "B.txt": b"\xef\xbb\xbfbig",
        "empty.md": b"",
        "c.html": b"<p>",
        ".secret.txt": b"x",
        ".hidden/d.txt": b"x",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    expected = [
        Document("B.txt", "big", "B"),
        Document("a.MD", "```\n# code\n```\nno heading", "a"),
        Document("b.txt", "# not a heading here\r\n", "b"),
        Document("b/two.md", "intro\n\n## Second **part** ##\n# Third\n", "Second **part**"),
        Document("empty.md", "", "empty"),
    ]
    assert list(read(tmp_path)) == expected
    assert list(read(f"{tmp_path}/")) == expected


def test_one_file_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("#no space\n####### seven\n   # Title #\n", "utf-8")
    assert list(read(path)) == [Document("notes.md", "#no space\n####### seven\n   # Title #\n", "Title")]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# A", "A"),
        ("#\tA  ", "A"),
        ("    # indented code\n# B", "B"),
        ("#\n# C", "C"),
        ("~~~\n```\n# x\n~~~\n# D", "D"),
        ("````\n```\n# x\n````\n# E", "E"),
        ("# C# language", "C# language"),
        ("plain", "stem"),
    ],
)
def test_the_title_is_the_first_heading(tmp_path: Path, text: str, title: str) -> None:
    path = tmp_path / "stem.md"
    path.write_text(text, "utf-8")
    assert [document.title for document in read(path)] == [title]


def test_links_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "real.txt").write_text("x", "utf-8")
    (inside / "escape.txt").symlink_to(outside / "real.txt")
    (inside / "folder").symlink_to(outside, target_is_directory=True)
    (inside / "loop").symlink_to(inside, target_is_directory=True)
    (inside / "alias.txt").symlink_to(inside / "real.txt")
    (inside / "broken.txt").symlink_to(inside / "missing")
    os.mkfifo(inside / "pipe.txt")
    assert [document.id for document in read(inside)] == ["alias.txt", "real.txt"]


def test_an_undecodable_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("fine", "utf-8")
    (tmp_path / "b.txt").write_bytes(b"one\ntwo\nthr\xe9\n")
    documents = read(tmp_path)
    assert next(documents).id == "a.txt"
    with pytest.raises(CorpusError, match=r"b\.txt, line 3: invalid UTF-8 .*save the file as UTF-8"):
        next(documents)


def test_a_file_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x", "utf-8")
    with pytest.raises(CorpusError, match=re.escape("is not valid UTF-8; rename the file")):
        read(tmp_path)


def test_a_folder_without_documents_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.html").write_text("x", "utf-8")
    with pytest.raises(
        CorpusError, match=re.escape("holds neither corpus.jsonl(.gz) nor any .txt or .md file")
    ):
        read(tmp_path)


def test_a_file_that_disappears_or_is_too_large_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("four", "utf-8")
    with pytest.raises(CorpusError, match=r"a\.txt: larger than 3 bytes"):
        textfiles.read_bytes(path, limit=3)
    assert textfiles.read_bytes(path, limit=4) == b"four"
    documents = read(tmp_path)
    path.unlink()
    with pytest.raises(CorpusError, match=r"a\.txt: cannot be read \(No such file"):
        next(documents)
