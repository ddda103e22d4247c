"""Every format: what its own library wrote is read; what is damaged is reported, and nothing is fatal."""

from __future__ import annotations

import json
import os
import sqlite3
import zipfile
from pathlib import Path

import pytest

import hybrid
from hybrid import Columns, Document, read
from hybrid.corpus.files import archive, decoding, docx, epub, html, kinds, mail, pdf, tables
from hybrid.corpus.files.markup import html_text
from hybrid.corpus.files.report import NAMED
from hybrid.errors import CorpusError, MissingDependencyError
from tests.corpus.files import samples


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("files")
    samples.make_folder(root)
    return root


@pytest.fixture(scope="module")
def documents(folder: Path) -> dict[str, Document]:
    reading = read(folder)
    found = list(reading)
    assert reading.report.skipped == []
    assert (reading.report.files, reading.report.documents) == (19, len(found))
    assert len({document.id for document in found}) == len(found)
    return {document.id: document for document in found}


def test_every_format_is_read_under_stable_ids(folder: Path, documents: dict[str, Document]) -> None:
    message = next(name for name in documents if name.startswith("Mail/"))
    assert list(documents) == [
        message, "Posts.xml#1", "Posts.xml#2", "archive.mbox#1", "archive.mbox#2", "book.epub#1",
        "book.epub#2",
        "code/Makefile", "code/keep.log", "code/pkg/tool.py", "guide.md", "letter.eml", "manual.pdf#1",
        "manual.pdf#3", "notes.txt", "page.html", "report.docx", "rows.csv#1", "rows.csv#2", "rows.jsonl#j1",
        "rows.jsonl#3", "rows.parquet#7", "rows.tsv.gz#x", "store.db#notes/n1", "store.db#notes/n2",
        "store.db#tags/1", "study.ipynb",
    ]  # fmt: skip
    assert [document.id for document in read(folder)] == list(documents)
    guide = documents["guide.md"]
    assert guide.metadata["path"] == "guide.md"
    assert guide.metadata["file"]["type"] == "markdown"
    assert guide.metadata["file"]["size"] == (folder / "guide.md").stat().st_size
    assert guide.metadata["file"]["modified"].startswith("20")


def own(document: Document) -> tuple[str, str, dict[str, object]]:
    """Return a document's title, text and metadata, without those that every file has."""
    return (
        document.title,
        document.text,
        {name: value for name, value in document.metadata.items() if name not in ("path", "file")},
    )


def test_what_is_read_of_each(documents: dict[str, Document]) -> None:
    sent = {"from": "Ada <ada@example.org>", "to": "bob@example.org", "date": "2026-03-02T10:00:00+01:00"}
    expected = {
        "notes.txt": ("notes", "plain words\n", {}),
        "guide.md": ("The guide", "# The guide\n\nhow to do it\n", {}),
        "manual.pdf#3": ("The manual", "third page words", {"page": 3, "pages": 3, "author": "A. Writer"}),
        "report.docx": (
            "Report of the year",
            "# Report of the year\n\n# Findings\n\nThe quick brown paragraph.\n\n- first point\n\n"
            "name | price\napple | 3\n\nAfter the table.",
            {"author": "B. Writer"},
        ),
        "book.epub#2": (
            "End",
            "# End\n\nIt was a morning.",
            {"book": "The long book", "author": "C. Writer", "language": "en", "chapter": 2},
        ),
        "rows.csv#1": (
            "apple", "name: apple\ncolour: red;ish\nn: 1", {"name": "apple", "colour": "red;ish", "n": "1"}
        ),
        "rows.tsv.gz#x": ("rows.tsv", "gzipped row", {"year": "2020"}),
        "rows.jsonl#j1": ("rows", "a line", {"k": [1, 2]}),
        "rows.jsonl#3": ("rows", "no id", {}),
        "rows.parquet#7": ("rows", "columnar", {"price": 1.5}),
        "store.db#notes/n2": ("Two", "second note", {"stars": 2}),
        "store.db#tags/1": ("store", "burrow", {"word": "burrow"}),
        "code/pkg/tool.py": (
            "code/pkg/tool.py", "# -*- coding: latin-1 -*-\ns = 'é'\n", {"language": "python"}
        ),
        "code/Makefile": ("code/Makefile", "all:\n\techo\n", {"language": "make"}),
        "Posts.xml#1": (
            "How to dig?",
            "How deep?",
            {
                "post": "question", "score": 7, "views": 99, "date": "2020-01-02T03:04:05.678",
                "tags": ["soil", "depth"], "accepted": "2",
            },
        ),
        "Posts.xml#2": (
            "Posts",
            "```\ndig(3)\n  done\n```",
            {"post": "answer", "score": -1, "date": "2020-01-03T00:00:00.000", "question": "1"},
        ),
        "study.ipynb": ("Study", "# Study\nwhy\n\n```\nx = 1\n```", {"language": "python"}),
    }  # fmt: skip
    assert {id: own(documents[id]) for id in expected} == expected
    for id, title, text, more in (
        ("letter.eml", "Lunch?", "At noon.", {"attachments": ["menu.pdf"]}),
        ("archive.mbox#1", "First", "one\nFrom here on", {}),
        ("archive.mbox#2", "Second", "# Hi\n\ntwo", {}),
        (next(iter(documents)), "Kept", "in a maildir", {}),
    ):
        found = own(documents[id])
        assert found[:2] == (title, text)
        assert found[2].pop("message_id")
        assert found[2] == sent | more


def test_of_a_page_only_the_content_is_read(documents: dict[str, Document]) -> None:
    page = documents["page.html"]
    assert page.title == "Wombat care"
    assert "# Caring for wombats" in page.text
    assert "## Food" in page.text
    assert page.text.count("fresh grass") == 8
    for noise in ("Home", "Shop", "Copyright", "<p>"):
        assert noise not in page.text


def test_pdfium_reads_what_pypdf_reads(folder: Path, documents: dict[str, Document]) -> None:
    from pypdf import PdfReader

    pages = PdfReader(folder / "manual.pdf").pages
    for number in (1, 3):
        assert documents[f"manual.pdf#{number}"].text.split() == pages[number - 1].extract_text().split()


def test_headings_of_every_format_cut_passages(documents: dict[str, Document]) -> None:
    for id, heading in (("page.html", "Food"), ("report.docx", "Findings"), ("book.epub#1", "Beginning")):
        cut = hybrid.split([documents[id]], hybrid.Headings("markdown"), hybrid.Words(40))
        assert any(heading in passage.metadata["headings"] for passage in cut), id


def test_damaged_files_are_reported_and_the_rest_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = samples.make_damaged(tmp_path)
    (tmp_path / "good.txt").write_text("still here", "utf-8")
    reading = read(tmp_path)
    assert [document.id for document in reading] == ["good.txt"]
    found = {skipped.path: skipped.reason for skipped in reading.report.skipped}
    assert found.keys() == expected.keys()
    for name, start in expected.items():
        assert found[name].startswith(start), (name, found[name])
    assert len(caplog.records) == 1
    assert "1 files were read, and 22 items were not" in caplog.text


@pytest.mark.parametrize("name", ["cut.pdf", "cut.docx", "cut.parquet", "cut.db", "Posts.xml", "binary.txt"])
def test_damage_of_a_single_file_is_an_error(tmp_path: Path, name: str) -> None:
    reason = samples.make_damaged(tmp_path)[name]
    with pytest.raises(CorpusError) as raised:
        list(read(tmp_path / name))
    assert str(raised.value).startswith(f"{tmp_path / name}: {reason}")


def test_a_single_file_is_read_like_one_of_a_folder(folder: Path, documents: dict[str, Document]) -> None:
    assert [document.id for document in read(folder / "manual.pdf")] == ["manual.pdf#1", "manual.pdf#3"]
    assert list(read(folder / "report.docx")) == [documents["report.docx"]]
    assert [document.id for document in read(folder / "rows.parquet")] == ["7"]  # rows have ids of their own


@pytest.mark.parametrize(
    ("module", "package", "extra", "name"),
    [
        (pdf, "pypdfium2", "pdf", "manual.pdf"),
        (docx, "docx", "docx", "report.docx"),
        (html, "trafilatura", "html", "page.html"),
        (tables, "pyarrow", "parquet", "rows.parquet"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    folder: Path, monkeypatch: pytest.MonkeyPatch, module: object, package: str, extra: str, name: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"hybrid-retrieval\[{extra}\]"):
        list(read(folder / name))
    reading = read(folder, include=[name, "notes.txt"])
    assert [document.id for document in reading] == ["notes.txt"]
    (skipped,) = reading.report.skipped
    assert skipped.path == name
    assert f"hybrid-retrieval[{extra}]" in skipped.reason


def test_zip_bombs_are_not_decompressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 1 << 20)
    for name in ("bomb.docx", "bomb.epub"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as bomb:
            bomb.writestr("word/document.xml", bytes(2 << 20))
        assert (tmp_path / name).stat().st_size < 10_000
        with pytest.raises(
            CorpusError, match="it decompresses to 2,097,152 bytes in 1 members; at most 1,048,576"
        ):
            list(read(tmp_path / name))
    monkeypatch.setattr(archive, "MOST_MEMBERS", 0)
    with pytest.raises(CorpusError, match="in 1 members"):
        list(read(tmp_path / "bomb.epub"))


def test_a_member_that_lies_about_its_size_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "liar.epub"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("META-INF/container.xml", b"<container>" + bytes(1 << 20))
    content = path.read_bytes()
    size = (11 + (1 << 20)).to_bytes(4, "little")
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, (5).to_bytes(4, "little")))
    with pytest.raises(CorpusError, match="it is not a whole zip file"):
        list(read(path))


def test_a_part_that_is_damaged_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        '{"text": "one"}\nnonsense\n[1]\n{"text": "two"}\n{"id": [1]}\n', "utf-8"
    )
    (tmp_path / "rows.csv").write_text("id,text\na,one\nb,two,three\na,again\nc,last\n", "utf-8")
    reading = read(tmp_path)
    assert [document.id for document in reading] == [
        "rows.csv#a",
        "rows.csv#c",
        "rows.jsonl#1",
        "rows.jsonl#4",
    ]
    assert [(skipped.path, skipped.reason[:28]) for skipped in reading.report.skipped] == [
        ("rows.csv#2", "the row has 3 cells for 2 co"),
        ("rows.csv#a", "its key was already used in "),
        ("rows.jsonl#2", "malformed JSON (Expecting va"),
        ("rows.jsonl#3", "malformed JSON (expected a J"),
        ("rows.jsonl#5", "its id [1] is neither a stri"),
    ]


def test_of_many_damaged_parts_only_the_first_are_named(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("x\n" * (NAMED + 5) + '{"text": "t"}\n', "utf-8")
    reading = read(tmp_path)
    assert len(list(reading)) == 1
    assert len(reading.report.skipped) == NAMED + 1
    assert reading.report.skipped[-1].reason == "5 more of its parts cannot be read"


def test_columns_are_chosen(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("key,name,about,price,path\nk1,Fork,for food,3,x\nk2,Knife,,4,y\n", "utf-8")
    columns = Columns(text=["about", "price"], id="key", title="name")
    first, second = read(path, columns=columns)
    assert (first.id, first.title, first.text) == ("k1", "Fork", "about: for food\nprice: 3")
    assert first.metadata["column_path"] == "x"
    assert first.metadata["path"] == "shop.csv"
    assert second.text == "4"
    with pytest.raises(CorpusError, match=r"it has no column 'colour' \(columns: key, name"):
        list(read(path, columns=Columns(text="colour")))
    with pytest.raises(CorpusError, match="columns were given, and a pdf file has none"):
        read(folder / "manual.pdf", columns=columns)
    with pytest.raises(CorpusError, match=r"give hybrid\.Columns"):
        read(path, columns="about")  # type: ignore[arg-type]
    for wrong in (folder, "python:stdlib", tmp_path / "missing.csv"):
        with pytest.raises(CorpusError, match="are for a single file"):
            read(wrong, columns=columns)
    with pytest.raises(CorpusError, match="are for folders"):
        read(path, include=["*.md"])


def test_sqlite_gives_a_table_or_a_query_and_is_only_read(folder: Path, tmp_path: Path) -> None:
    path = folder / "store.db"
    assert [document.id for document in read(path, table="notes")] == ["n1", "n2"]
    asked = read(path, query="SELECT id, text || '!' AS text FROM notes WHERE stars > 3")
    assert [(document.id, document.text) for document in asked] == [("n1", "first note!")]
    assert [document.id for document in read(path)] == ["notes/n1", "notes/n2", "tags/1"]
    for options, message in (
        ({"table": "nope"}, r"it has no table 'nope' \(tables: notes, tags\)"),
        ({"query": "DELETE FROM notes"}, "SQLite says: attempt to write a readonly database"),
        ({"query": f"VACUUM INTO '{tmp_path}/y.db'"}, "SQLite says: "),
        ({"query": f"ATTACH '{tmp_path}/x.db' AS x"}, "SQLite says: not authorized"),
        ({"query": "SELECT nope"}, "SQLite says: no such column: nope"),
        ({"table": "notes", "query": "SELECT 1"}, "both a table and a query were given"),
    ):
        with pytest.raises(CorpusError, match=message):
            list(read(path, **options))  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match="this is no SQLite file"):
        read(folder / "rows.parquet", table="notes")
    assert sorted(p.name for p in folder.glob("store.db*")) == ["store.db"]
    assert list(tmp_path.iterdir()) == []


def test_sqlite_shadow_tables_and_bytes_are_left_out(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE VIRTUAL TABLE found USING fts5(body)")
        database.execute("INSERT INTO found VALUES ('virtual words')")
        database.execute("CREATE TABLE files (name TEXT, content BLOB, digest BLOB)")
        database.execute("INSERT INTO files VALUES ('a', ?, ?)", (bytes(1000), b"\x01\xff"))
    database.close()
    found = {document.id: document for document in read(tmp_path / "x.db")}
    assert found.keys() == {"found/1", "files/1"}
    assert found["found/1"].text == "virtual words"
    assert own(found["files/1"])[2] == {"name": "a", "digest": "01ff"}


@pytest.mark.parametrize(
    ("content", "declared", "text"),
    [
        ("é".encode("utf-16"), None, "é"),
        ("é".encode("utf-32"), None, "é"),
        (b"\xef\xbb\xbfa", None, "a"),
        ("Привет, это обычный русский текст о вомбатах. ".encode("cp1251") * 20, None, "Привет, это"),
        (
            "これは日本語の文章です。ウォンバットは穴を掘ります。".encode("shift_jis") * 20,
            None,
            "これは日本語",
        ),
        ("это текст".encode("koi8-r"), "koi8-r", "это текст"),
        (b"caf\xe9", "no-such-codec", "café"),
        (b"caf\xe9", None, "café"),
    ],
)
def test_encodings_are_detected(content: bytes, declared: str | None, text: str) -> None:
    assert decoding.decode(content, declared).startswith(text)


def test_declared_encodings_of_html_and_csv(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b'<meta charset="koi8-r"><p>' + ("привет мир " * 30).encode("koi8-r"))
    (tmp_path / "b.csv").write_text("id,text\n1,naïve\n", "utf-16")
    assert ["привет" in d.text or d.text == "naïve" for d in read(tmp_path)] == [True, True]


def test_files_that_are_too_large_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding.read_whole, "__defaults__", (10,))
    monkeypatch.setattr(mail, "WHOLE", 200)
    (tmp_path / "a.txt").write_text("x" * 11)
    (tmp_path / "b.txt").write_text("x" * 10)
    long = f"From a\nSubject: long\n\n{'word ' * 100}\n"
    (tmp_path / "c.mbox").write_text(f"{long}\nFrom b\nSubject: short\n\nhi\n\n{long}")
    reading = read(tmp_path)
    assert [document.id for document in reading] == ["b.txt", "c.mbox#2"]
    assert [(skipped.path, skipped.reason) for skipped in reading.report.skipped] == [
        ("a.txt", "it is larger than 10 bytes"),
        ("c.mbox#1", "the message is larger than 200 bytes"),
        ("c.mbox#3", "the message is larger than 200 bytes"),
    ]


def test_a_file_that_vanishes_while_a_folder_is_read_is_reported(tmp_path: Path) -> None:
    for name in ("a.txt", "b.pdf", "c.db", "d.parquet", "e.jsonl", "f.txt"):
        (tmp_path / name).write_text("words", "utf-8")
    reading = read(tmp_path)
    assert next(reading).id == "a.txt"
    for name in ("b.pdf", "c.db", "d.parquet", "e.jsonl"):
        (tmp_path / name).unlink()
    assert [document.id for document in reading] == ["f.txt"]
    assert [(skipped.path, skipped.reason) for skipped in reading.report.skipped] == [
        (name, "it cannot be read (No such file or directory)")
        for name in ("b.pdf", "c.db", "d.parquet", "e.jsonl")
    ]


def test_broken_messages(tmp_path: Path) -> None:
    messages = {
        "charset": b"Subject: =?utf-8?q?caf=C3=A9?=\nContent-Type: text/plain; charset=nope\n\ncaf\xe9",
        "raw": b"Subject: caf\xe9\nDate: nonsense\n\ntext",
        "multipart": b"Subject: m\nContent-Type: multipart/mixed; boundary=x\n\n"
        b"--x\nContent-Type: text/html\n\n<p>in",
        "nothing": b"\n",
        "address": b"From: <<<>>,;\nSubject: a\n\nb",
    }
    for name, content in messages.items():
        (tmp_path / f"{name}.eml").write_bytes(content)
    reading = read(tmp_path)
    assert {d.id: (d.title, d.text) for d in reading} == {
        "address.eml": ("a", "b"),
        "charset.eml": ("café", "café"),
        "multipart.eml": ("m", "in"),
        "raw.eml": ("caf\N{REPLACEMENT CHARACTER}", "text"),
    }
    assert [skipped.path for skipped in reading.report.skipped] == ["nothing.eml"]


def test_a_maildir_keeps_its_ids_when_messages_are_read(tmp_path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (tmp_path / "box" / name).mkdir(parents=True)
    content = bytes(samples.make_message("S", "t"))
    (tmp_path / "box/new/17.host").write_bytes(content)
    (tmp_path / "box/tmp/18.host").write_bytes(content)
    assert [document.id for document in read(tmp_path)] == ["box/17.host"]
    os.rename(tmp_path / "box/new/17.host", tmp_path / "box/cur/17.host:2,S")
    assert [document.id for document in read(tmp_path)] == ["box/17.host"]
    assert [document.id for document in read(tmp_path / "box")] == ["17.host"]


def test_html_text_of_odd_pages() -> None:
    assert html_text("a<br>b<table><tr><td>1<td>2<tr><td>3</table>") == ("", "a\nb\n\n1 2\n 3")
    assert html_text("<head><title> T\n x </title><body><pre> a\n  b</pre>")[1] == "```\n a\n  b\n```"
    assert html_text("<p>open <b>never closed &lt; &nbsp;x") == ("", "open never closed < \xa0x")


def test_every_kind_has_a_reader() -> None:
    for kind in {*kinds.KINDS.values(), "code", "posts"}:
        assert callable(kinds.reader_of(kind))
    assert kinds.READERS.keys() == {*kinds.KINDS.values(), "code", "posts"}


def test_epub_members_outside_are_only_names(tmp_path: Path) -> None:
    path = tmp_path / "odd.epub"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("META-INF/container.xml", '<container><rootfile full-path="o/p.opf"/></container>')
        book.writestr(
            "o/p.opf",
            '<package><manifest><item id="a" href="../../../etc/passwd" media-type="application/xhtml+xml"/>'
            '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="a"/><itemref idref="b"/><itemref idref="c"/></spine></package>',
        )
        book.writestr("o/b.xhtml", "<p>inside")
    reading = read(path)
    assert [(document.id, document.text) for document in reading] == [("odd.epub#2", "inside")]
    assert "is missing" in reading.report.skipped[0].reason


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "Posts.xml"
    with path.open("w") as out:
        out.write("<posts>")
        for n in range(20_000):
            out.write(f'<row Id="{n}" PostTypeId="1" Title="t" Body="{"word " * 60}"/>')
        out.write("</posts>")
    assert path.stat().st_size > 6_000_000
    tracemalloc.start()
    assert sum(1 for _ in read(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # a chunk of a mebibyte with its posts, and 20,000 keys
    assert peak < 7_000_000


def test_unexpected_faults_of_a_library_are_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr(epub, "_package", broken)
    reading = read(folder, include=["book.epub", "notes.txt"])
    assert [document.id for document in reading] == ["notes.txt"]
    assert reading.report.skipped[0].reason == "it cannot be read (ZeroDivisionError: deep inside)"
    with pytest.raises(CorpusError, match=r"book\.epub: it cannot be read \(ZeroDivisionError"):
        list(read(folder / "book.epub"))


def test_json_of_rows_is_what_json_can_hold(tmp_path: Path) -> None:
    import datetime
    import decimal

    row = {
        "text": "t", "day": datetime.date(2024, 1, 2), "cost": decimal.Decimal("1.50"), "nan": float("nan"),
        "list": [1, None, float("inf")], "deep": {"a": None, "b": 2}, "raw": bytes(100),
    }  # fmt: skip
    samples.make_parquet(tmp_path / "x.parquet", [row])
    (document,) = read(tmp_path / "x.parquet")
    metadata = own(document)[2]
    assert metadata == {"day": "2024-01-02", "cost": 1.5, "list": [1], "deep": {"b": 2}}
    json.dumps(metadata, allow_nan=False)


def test_several_threads_may_read_at_once(tmp_path: Path) -> None:
    """PDFium is one for all threads, and a reading goes on in whatever thread asks for the next document."""
    from concurrent.futures import ThreadPoolExecutor

    samples.make_pdf(tmp_path / "a.pdf", [f"page {n} words" for n in range(1, 30)])
    samples.make_sqlite(tmp_path / "b.db")
    expected = list(read(tmp_path))
    assert len(expected) == 32
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda _: list(read(tmp_path)), range(12))) == [expected] * 12
        reading = read(tmp_path)
        assert [pool.submit(next, reading).result() for _ in expected] == expected


def test_equal_cells_stay_and_merged_ones_come_once(tmp_path: Path) -> None:
    from docx import Document as Word

    word = Word()
    table = word.add_table(rows=2, cols=3)
    for n, text in enumerate(("same", "same", "other", "", "", "z")):
        table.cell(n // 3, n % 3).text = text
    table.cell(1, 0).merge(table.cell(1, 1)).text = "both"
    word.save(str(tmp_path / "a.docx"))
    assert [document.text for document in read(tmp_path)] == ["same | same | other\nboth | z"]
