"""Files that were made to take the memory, the time, or what lies outside of their folder."""

from __future__ import annotations

import gzip
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import hybrid.corpus.files.parquet as parquet_reader
from hybrid.corpus import lines, read
from hybrid.corpus.files import archive, tables
from hybrid.corpus.files.decoding import is_charset
from hybrid.corpus.files.markup import html_text
from hybrid.errors import CorpusError
from tests.corpus.files import samples


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


@pytest.mark.parametrize(
    "piece",
    ["<a ", "<a b='", '<a b="', "<a/", "<!--", "<!-- --", "</", "<![CDATA[", "<svg><object></style>", " <b>"],
)
def test_html_is_read_in_linear_time(piece: str) -> None:
    """Each of these took the standard library's parser minutes, for a fifth of a megabyte."""
    few = min(seconds(lambda: html_text(piece * 2_000)) for _ in range(3))
    assert seconds(lambda: html_text(piece * 20_000)) < 30 * max(few, 0.02)


@pytest.mark.parametrize("html", ["<object>" * 20_000 + "</style>" * 20_000, "<pre>" + " " * 200_000 + "x"])
def test_html_of_many_kinds_is_read_in_linear_time(html: str) -> None:
    few = min(seconds(lambda: html_text(html[: len(html) // 10])) for _ in range(3))
    assert seconds(lambda: html_text(html)) < 30 * max(few, 0.02)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p don't>I can't</p>", "I can't"),
        ("<p a='>'>x", "x"),
        ("<script/>kept<style/> too", "kept too"),
        ("<svg>no<svg>no</svg>yes", "yes"),
        ("<head><object>no<body>yes", "yes"),
        ("a<!-- never closed", "a"),
        ("1 < 2 &lt; 3 <a never closed", "1 < 2 < 3 <a never closed"),
    ],
)
def test_html_that_is_broken(html: str, text: str) -> None:
    assert html_text(html)[1] == text


@pytest.mark.parametrize(
    "head",
    [
        'To: {"*50_000}',
        "From: {a,*50_000}",
        "Subject: {=?*50_000}",
        'Content-Type: {"*50_000}',
        "Content-Type: text/plain{; a*0=b*20_000}",
        "Content-Type: text/plain; charset=punycode",
        "Content-Type: text/plain; charset=idna",
    ],
)
def test_messages_are_read_in_bounded_time(tmp_path: Path, head: str) -> None:
    """The standard library takes minutes or more for each of these; here the slowest takes half a second."""
    before, brace, repeated = head.partition("{")
    piece, _, times = repeated.removesuffix("}").rpartition("*")
    line = before + piece * int(times.replace("_", "") or 0) if brace else head
    path = tmp_path / "a.eml"
    path.write_text(f"X-Kept: yes\n{line}\n\nbody-{'a' * 300_000}\n", "ascii")
    found: list[str] = []
    assert seconds(lambda: found.extend(document.text for document in read(path))) < 20
    assert found[0].startswith("body-aaa")


def test_long_headers_are_read_to_their_bound(tmp_path: Path) -> None:
    people = ", ".join(f"=?utf-8?q?Zo=C3=AB?= <z{n}@example.org>" for n in range(200))
    (tmp_path / "a.eml").write_text(
        f"To: {people}\nSubject: =?utf-8?b?w6k=?= {'x' * 70_000}\n\nbody\n", "ascii"
    )
    (document,) = read(tmp_path / "a.eml")
    assert document.metadata["to"].count("Zoë <z") == 200
    assert document.title.startswith("é xxx")
    assert 60_000 < len(document.title) < 66_000


def test_what_is_no_charset_is_not_one() -> None:
    assert is_charset("utf-8")
    assert is_charset("Shift_JIS")
    for name in (
        "punycode",
        "IDNA",
        "unicode_escape",
        "raw-unicode-escape",
        "undefined",
        "zlib",
        "hex",
        "a\0",
    ):
        assert not is_charset(name)


def test_a_csv_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_LINE_BYTES", 1 << 16)
    (tmp_path / "line.csv").write_bytes(b"id,text\na," + b"x" * (1 << 17))
    (tmp_path / "quoted.csv").write_bytes(b'id,text\na,"' + b"x\n" * (1 << 16) + b'"\n')
    monkeypatch.setattr(lines, "BOMB_BYTES", 1 << 18)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(b"id,text\n" + b"1,x\n" * (1 << 17)))
    (tmp_path / "whole.csv").write_bytes(b"id,text\na,b\n")
    reading = read(tmp_path)
    assert [document.id for document in reading] == ["rows.csv.gz#1", "whole.csv#a"]
    rows = [skipped.reason for skipped in reading.report.skipped if skipped.path == "rows.csv.gz"]
    assert rows[0].startswith("it unpacks to over 200 times its size")
    reasons = {skipped.path: skipped.reason for skipped in reading.report.skipped}
    assert reasons["line.csv"] == "line 2: longer than 65,536 characters"
    assert "field larger than field limit (65536)" in reasons["quoted.csv"]


def test_a_parquet_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dictionary holds a long value once; here one in 300 rows of each kind of column."""
    big, path = "x" * (1 << 16), tmp_path / "rows.parquet"
    monkeypatch.setattr(lines, "BOMB_BYTES", 1 << 20)
    for row in ({"text": big}, {"text": "a", "more": [big]}, {"text": "a", "more": {"deep": [{"b": big}]}}):
        samples.make_parquet(path, [row] * 300)
        assert path.stat().st_size < 80_000
        with pytest.raises(CorpusError, match="it unpacks to over 200 times its size"):
            list(read(path))


def test_long_rows_of_parquet_come_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": str(n), "text": "same " * 10, "tags": ["a", str(n)], "about": {"m": n}} for n in range(5)]
    samples.make_parquet(tmp_path / "rows.parquet", [*rows, {"id": None, "text": None, "tags": None}])
    whole = list(read(tmp_path / "rows.parquet"))
    assert whole[3].text == "same " * 10
    assert whole[3].metadata["tags"] == ["a", "3"]
    monkeypatch.setattr(parquet_reader, "_HELD", 1)
    assert list(read(tmp_path / "rows.parquet")) == whole


@pytest.mark.parametrize("member", ["word/extra.xml", "word/media/odd.bin"])
def test_a_word_document_of_tags_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    """Small as a file, and many times its decompressed size as a tree."""
    samples.make_docx(tmp_path / "a.docx")
    assert len(list(read(tmp_path / "a.docx"))) == 1
    with zipfile.ZipFile(tmp_path / "a.docx", "a", zipfile.ZIP_DEFLATED) as document:
        document.writestr(member, "<w:p/>" * 60_000)
    monkeypatch.setattr(archive, "MOST_TAGS", 50_000)
    with pytest.raises(CorpusError, match="it has more than 50,000 tags"):
        list(read(tmp_path / "a.docx"))


def test_a_chapter_that_is_too_large_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples.make_epub(tmp_path / "a.epub", [("One", "short"), ("Two", "long " * 9000), ("Three", "short")])
    monkeypatch.setattr(archive, "WHOLE", 20_000)
    reading = read(tmp_path / "a.epub")
    assert [document.title for document in reading] == ["One", "Three"]
    assert "is larger than 20,000 bytes" in reading.report.skipped[0].reason


def test_the_parts_of_a_book_may_not_be_large_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples.make_epub(tmp_path / "a.epub", [("One", "short")])
    monkeypatch.setattr("hybrid.corpus.files.xml.MOST_TAGS", 5)
    with pytest.raises(CorpusError, match="it has more than 5 tags"):
        list(read(tmp_path / "a.epub"))


def test_a_page_that_is_too_large_a_tree_is_read_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.html").write_text(samples.PAGE.format(text=samples.PROSE), "utf-8")
    assert "Copyright" not in next(read(tmp_path / "a.html")).text
    monkeypatch.setattr("hybrid.corpus.files.html.MOST_TAGS", 20)
    assert "Copyright" in next(read(tmp_path / "a.html")).text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_ignore_files_that_never_end_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / "below").mkdir()
    (tmp_path / "below/b.txt").write_text("words")
    os.mkfifo(tmp_path / ".gitignore")
    os.symlink("/dev/zero", tmp_path / "below/.gitignore")
    assert [document.id for document in read(tmp_path)] == ["a.txt", "below/b.txt"]


def test_ignore_patterns_take_bounded_time(tmp_path: Path) -> None:
    """Five stars among letters took over ten seconds for one name, six the rest of the day."""
    (tmp_path / ("a" * 200 + ".txt")).write_text("words")
    (tmp_path / "kept.txt").write_text("words")
    (tmp_path / "gone.txt").write_text("words")
    patterns = ["*a" * 9 + "*b", "**/a/" * 9 + "b", "/g*o*n*e*", "*/*/*/*/*/*.c"]
    (tmp_path / ".gitignore").write_text("\n".join(patterns))
    found: list[str] = []
    assert seconds(lambda: found.extend(document.id for document in read(tmp_path))) < 5
    assert found == ["a" * 200 + ".txt", "kept.txt"]
