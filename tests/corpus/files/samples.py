"""A folder of real files, each written by its format's own library; and damaged ones of each."""

from __future__ import annotations

import gzip
import json
import mailbox
import sqlite3
import zipfile
from email.message import EmailMessage
from pathlib import Path

PAGE = """<!doctype html><html><head><title>Wombat care</title><style>p {{}}</style></head><body>
<nav><a href="/">Home</a> <a href="/shop">Shop</a></nav>
<article><h1>Caring for wombats</h1><p>{text}</p><h2>Food</h2><p>{text}</p></article>
<footer>Copyright footer links</footer></body></html>"""
PROSE = "Wombats dig long burrows in the evening, and they need fresh grass and much patience every day. " * 4


def make_pdf(path: Path, pages: list[str], title: str = "The manual", password: str = "") -> None:
    from fpdf import FPDF
    from fpdf.enums import AccessPermission

    pdf = FPDF()
    pdf.set_title(title)
    pdf.set_author("A. Writer")
    for text in pages:
        pdf.add_page()
        if text:
            pdf.set_font("helvetica", size=12)
            pdf.multi_cell(0, 8, text)
    if password:
        pdf.set_encryption("owner", password, permissions=AccessPermission.none())
    pdf.output(str(path))


def make_docx(path: Path, words: str = "The quick brown paragraph.") -> None:
    import docx

    document = docx.Document()
    document.core_properties.author = "B. Writer"
    document.add_heading("Report of the year", 0)
    document.add_heading("Findings", 1)
    document.add_paragraph(words)
    document.add_paragraph("first point", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for n, text in enumerate(("name", "price", "apple", "3")):
        table.cell(n // 2, n % 2).text = text
    document.add_paragraph("After the table.")
    document.save(str(path))


def make_epub(path: Path, chapters: list[tuple[str, str]]) -> None:
    from ebooklib import epub

    book = epub.EpubBook()
    book.set_title("The long book")
    book.set_language("en")
    book.add_author("C. Writer")
    items = []
    for n, (heading, text) in enumerate(chapters):
        item = epub.EpubHtml(title=heading, file_name=f"chapter {n}.xhtml", lang="en")
        item.content = f"<html><body><h1>{heading}</h1><p>{text}</p></body></html>"
        book.add_item(item)
        items.append(item)
    book.spine = items
    book.add_item(epub.EpubNcx())
    epub.write_epub(str(path), book)


def make_message(subject: str, text: str, html: str = "", attachment: str = "") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ada <ada@example.org>"
    message["To"] = "bob@example.org"
    message["Subject"] = subject
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0100"
    message["Message-ID"] = f"<{abs(hash(subject)) % 1000}@example.org>"
    if text:
        message.set_content(text)
    if html:
        (message.add_alternative if text else message.set_content)(html, subtype="html")
    if attachment:
        message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename=attachment)
    return message


def make_parquet(path: Path, rows: list[dict[str, object]]) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def make_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE notes (id TEXT, title TEXT, text TEXT, stars INTEGER)")
        database.executemany(
            "INSERT INTO notes VALUES (?, ?, ?, ?)",
            [("n1", "One", "first note", 5), ("n2", "Two", "second note", 2)],
        )
        database.execute("CREATE TABLE tags (word TEXT)")
        database.execute("INSERT INTO tags VALUES ('burrow')")
    database.close()


POSTS = """\
<?xml version="1.0" encoding="utf-8"?>
<posts>
  <row Id="1" PostTypeId="1" AcceptedAnswerId="2" CreationDate="2020-01-02T03:04:05.678" Score="7"
    ViewCount="99" Title="How to dig?" Body="&lt;p&gt;How &lt;em&gt;deep&lt;/em&gt;?&lt;/p&gt;"
    Tags="&lt;soil&gt;&lt;depth&gt;" />
  <row Id="2" PostTypeId="2" ParentId="1" CreationDate="2020-01-03T00:00:00.000" Score="-1"
    Body="&lt;pre&gt;&lt;code&gt;dig(3)&#xA;  done&lt;/code&gt;&lt;/pre&gt;" />
</posts>
"""


def make_folder(root: Path) -> None:
    """Write one whole file of each format; the ids and texts of what they hold are in the tests."""
    (root / "code/pkg").mkdir(parents=True)
    (root / "notes.txt").write_text("plain words\n", "utf-8")
    (root / "guide.md").write_text("# The guide\n\nhow to do it\n", "utf-8")
    (root / "page.html").write_text(PAGE.format(text=PROSE), "utf-8")
    make_pdf(root / "manual.pdf", ["first page words", "", "third page words"])
    make_docx(root / "report.docx")
    make_epub(root / "book.epub", [("Beginning", "It was a night."), ("End", "It was a morning.")])
    (root / "rows.csv").write_text('name;colour;n\r\napple;"red;ish";1\r\npear;green;2\r\n', "utf-8")
    (root / "rows.tsv.gz").write_bytes(gzip.compress(b"id\ttext\tyear\nx\tgzipped row\t2020\n"))
    (root / "rows.jsonl").write_text(
        '{"id": "j1", "text": "a line", "k": [1, 2]}\n\n{"text": "no id"}\n', "utf-8"
    )
    make_parquet(root / "rows.parquet", [{"id": 7, "text": "columnar", "price": 1.5, "missing": None}])
    make_sqlite(root / "store.db")
    (root / "code/pkg/tool.py").write_bytes("# -*- coding: latin-1 -*-\ns = 'é'\n".encode("latin-1"))
    (root / "code/.gitignore").write_text("*.log\n/build/\n!keep.log\n", "utf-8")
    (root / "code/noise.log").write_text("x", "utf-8")
    (root / "code/keep.log").write_text("kept log", "utf-8")
    (root / "code/build").mkdir()
    (root / "code/build/out.py").write_text("x = 1", "utf-8")
    (root / "code/Makefile").write_text("all:\n\techo\n", "utf-8")
    (root / "letter.eml").write_bytes(
        bytes(make_message("Lunch?", "At noon.\n", "<p>At noon.</p>", "menu.pdf"))
    )
    box = mailbox.mbox(root / "archive.mbox")
    box.add(make_message("First", "one\nFrom here on\n"))
    box.add(make_message("Second", "", "<h1>Hi</h1><p>two</p>"))
    box.close()
    mailbox.Maildir(root / "Mail", create=True).add(make_message("Kept", "in a maildir\n"))
    (root / "Posts.xml").write_text(POSTS, "utf-8")
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "why"]},
        {"cell_type": "code", "source": "x = 1", "outputs": []},
    ]
    (root / "study.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}), "utf-8")


def make_damaged(root: Path) -> dict[str, str]:
    """Write damaged files of each format; return what is to be said of each."""
    whole = root / ".whole"
    whole.mkdir()
    make_folder(whole)

    def cut(name: str, share: float = 0.5) -> bytes:
        content = (whole / name).read_bytes()
        return content[: int(len(content) * share)]

    contents = {
        "cut.pdf": cut("manual.pdf", 0.2),
        "cut.docx": cut("report.docx"),
        "cut.epub": cut("book.epub"),
        "cut.parquet": cut("rows.parquet"),
        "cut.db": cut("store.db", 0.4),
        "cut.csv.gz": cut("rows.tsv.gz"),
        "binary.txt": b"GIF89a\0\1\2",
        "empty.md": b"",
        "blank.html": b"<html><body><script>x()</script></body></html>",
        "wrong.ipynb": b'{"worksheets": []}',
        "open.csv": b'a,b\n1,"never closed\n',
        "box.mbox": b"Dear diary\n",
        "Posts.xml": (
            b'<!DOCTYPE p [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><posts><row Id="1" Body="&b;"/></posts>'
        ),
        "utf16.txt": b"\xff\xfea",
        "picture.jpg": b"\xff\xd8\xff",
    }
    for name, content in contents.items():
        (root / name).write_bytes(content)
    make_pdf(root / "scan.pdf", [""])
    make_pdf(root / "locked.pdf", ["secret"], password="geheim")
    with zipfile.ZipFile(root / "odd.docx", "w") as odd:
        odd.writestr("readme.txt", "no Word document")
    with zipfile.ZipFile(root / "odd.epub", "w") as odd:
        odd.writestr("readme.txt", "no book")
    (root / "away.txt").symlink_to("/etc/hostname")
    (root / "round.txt").symlink_to("round.txt")
    (root / "gone.txt").symlink_to("nowhere")
    return {
        "cut.pdf": "it is not a whole PDF",
        "cut.docx": "it is not a whole zip file",
        "cut.epub": "it is not a whole zip file",
        "cut.parquet": "it is not a whole Parquet file",
        "cut.db": "SQLite says: ",
        "cut.csv.gz": "the gzip stream is damaged or cut short",
        "binary.txt": "it is binary, not text",
        "empty.md": "it is empty",
        "blank.html": "it is empty, or has no text",
        "wrong.ipynb": "it is no notebook of format 4",
        "open.csv": "line 2: malformed row",
        "box.mbox": "it is no mailbox",
        "Posts.xml": "it declares the entity 'a'",
        "utf16.txt": "it begins as utf-16-le and is not",
        "picture.jpg": "no reader for .jpg",
        "scan.pdf": "it has no text: a scan needs OCR first",
        "locked.pdf": "it is encrypted and needs a password",
        "odd.docx": "it is not a Word document",
        "odd.epub": "its member 'META-INF/container.xml' is missing",
        "away.txt": "it is a link that leads out of the folder",
        "round.txt": "it cannot be read",
        "gone.txt": "it cannot be read (No such file or directory)",
    }
