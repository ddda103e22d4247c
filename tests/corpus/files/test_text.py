from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

import hybrid
from hybrid.corpus import read
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
        "c.unknown": b"<p>",
        ".secret.txt": b"x",
        ".hidden/d.txt": b"x",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    expected = [
        ("B.txt", "big", "B"),
        ("a.MD", "```\n# code\n```\nno heading", "a"),
        ("b.txt", "# not a heading here\r\n", "b"),
        ("b/two.md", "intro\n\n## Second **part** ##\n# Third\n", "Second **part**"),
    ]
    for source in (tmp_path, f"{tmp_path}/"):
        reading = read(source)
        assert [(document.id, document.text, document.title) for document in reading] == expected
        assert [skipped.path for skipped in reading.report.skipped] == ["c.unknown"]
    names = [document.id for document in read(tmp_path, hidden=True)]
    assert names == [".hidden/d.txt", ".secret.txt", "B.txt", "a.MD", "b.txt", "b/two.md"]


def test_one_file_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("#no space\n####### seven\n   # Title #\n", "utf-8")
    os.utime(path, (1767323045, 1767323045))
    (document,) = read(path)
    about = {"type": "markdown", "size": 37, "modified": "2026-01-02T03:04:05Z"}
    metadata = {"path": "notes.md", "file": about}
    assert document == Document("notes.md", "#no space\n####### seven\n   # Title #\n", "Title", metadata)


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


def test_a_file_name_that_is_not_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x", "utf-8")
    (tmp_path / "bell\a.txt").write_text("x", "utf-8")
    (tmp_path / "good.txt").write_text("x", "utf-8")
    reading = read(tmp_path)
    assert [document.id for document in reading] == ["good.txt"]
    assert [(skipped.path, skipped.reason) for skipped in reading.report.skipped] == [
        ("bell\a.txt", "its name has control characters; rename it"),
        ("caf\\udce9.txt", "its name is not valid UTF-8; rename it"),
    ]


def test_a_folder_without_documents_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=re.escape(f"{tmp_path}: holds no file that can be read")):
        read(tmp_path)
    (tmp_path / "x.jpg").write_text("x", "utf-8")
    with pytest.raises(CorpusError, match=r"for example, x\.jpg: no reader for \.jpg"):
        read(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_what_may_not_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.txt").write_text("x")
    (tmp_path / "a.txt").chmod(0)
    reading = read(tmp_path)
    assert [document.id for document in reading] == ["b.txt"]
    assert [skipped.path for skipped in reading.report.skipped] == ["a.txt", "shut/"]


def test_patterns_choose_files(tmp_path: Path) -> None:
    for name in ("a.md", "b.txt", "docs/c.md", "docs/drafts/d.md", "docs/raw.dat", "node/e.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x", "utf-8")

    def names(**options: object) -> list[str]:
        return [document.id for document in read(tmp_path, **options)]  # type: ignore[arg-type]

    assert names(include=["*.md"]) == ["a.md", "docs/c.md", "docs/drafts/d.md", "node/e.md"]
    assert names(include=["docs/"], exclude=["drafts/"]) == [
        "docs/c.md",
        "docs/raw.dat",
    ]  # text of any suffix
    assert names(exclude=["*.md", "!docs/*.md"]) == ["b.txt", "docs/c.md"]
    (tmp_path / ".gitignore").write_text("docs/\n*.txt\n", "utf-8")
    assert names() == ["a.md", "node/e.md"]
    assert names(gitignore=False, include=["*.txt"]) == ["b.txt"]
    with pytest.raises(CorpusError, match=r"include is '\*\.md'; give a list of patterns"):
        names(include="*.md")


def test_gitignore_is_gits(tmp_path: Path) -> None:
    """What is read is what git would add: nested files, negations, and patterns above the folder."""
    patterns = {
        ".gitignore": "*.log\n/top.txt\nsub/out/\n!keep.log\n# comment\n\n**/deep.md\n",
        "sub/.gitignore": "*.md\n!a.md\n!x.log\n",
    }
    files = [
        "a.log", "keep.log", "top.txt", "sub/top.txt", "sub/out/x.txt", "sub/a.md", "sub/b.md", "sub/x.log",
        "sub/deep/deep.md", "sub/deep/c.txt", "b.md",
    ]  # fmt: skip
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x", "utf-8")
    for name, content in patterns.items():
        (tmp_path / name).write_text(content, "utf-8")
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    said = subprocess.run(
        [*git, "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    expected = sorted(name for name in said.stdout.splitlines() if not name.endswith(".gitignore"))
    assert [document.id for document in read(tmp_path)] == expected
    inner = [name.removeprefix("sub/") for name in expected if name.startswith("sub/")]
    assert [document.id for document in read(tmp_path / "sub")] == inner
    assert [document.id for document in read(tmp_path / "sub/out")] == ["x.txt"]  # who names it means it


def test_an_index_in_the_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x", "utf-8")
    pipeline = hybrid.Pipeline([hybrid.BM25()])
    hybrid.create(tmp_path / "index", read(tmp_path), pipeline).close()
    reading = read(tmp_path)
    assert [document.id for document in reading] == ["a.txt"]
    assert reading.report.skipped == []
