"""The same texts as files of several formats, written by the formats' own libraries."""

from __future__ import annotations

import html
import json
import mailbox
import sqlite3
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from pathlib import Path

from hybrid import Document

ROWS = {
    "jsonl": "rows.jsonl",
    "parquet": "rows.parquet",
    "sqlite": "rows.sqlite",
    "mbox": "box.mbox",
    "epub": "b.epub",
}


def write(folder: Path, form: str, texts: Sequence[str]) -> None:
    """Write texts into a folder: one file each, or one for all where the format holds many."""
    if form in ROWS:
        {"jsonl": _jsonl, "parquet": _parquet, "sqlite": _sqlite, "mbox": _mbox, "epub": _epub}[form](
            folder / ROWS[form], texts
        )
        return
    one = {"markdown": _markdown, "html": _html, "pdf": _pdf, "docx": _docx}[form]
    suffix = {"markdown": "md"}.get(form, form)
    for number, text in enumerate(texts):
        one(folder / f"{number}.{suffix}", text)


def read_by_pypdf(folder: Path) -> Iterator[Document]:
    """Read the pages of PDF files with pypdf, to compare."""
    from pypdf import PdfReader

    for path in sorted(folder.iterdir()):
        for number, page in enumerate(PdfReader(path).pages):
            yield Document(f"{path.name}#{number}", page.extract_text())


def _markdown(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def _html(path: Path, text: str) -> None:
    blocks = "".join(
        f"<h2>{html.escape(block[3:])}</h2>" if block.startswith("## ") else f"<p>{html.escape(block)}</p>"
        for block in text.split("\n\n")
    )
    menu = "<nav><ul><li><a href='/'>Home</a></li><li><a href='/docs'>Docs</a></li></ul></nav>"
    path.write_text(
        f"<html><head><title>T</title></head><body>{menu}<article>{blocks}</article></body></html>"
    )


def _pdf(path: Path, text: str) -> None:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=10)
    pdf.multi_cell(0, 5, text.encode("latin-1", "replace").decode("latin-1"))
    pdf.output(str(path))


def _docx(path: Path, text: str) -> None:
    import docx

    document = docx.Document()
    for block in text.split("\n\n"):
        if block.startswith("## "):
            document.add_heading(block[3:], 2)
        else:
            document.add_paragraph("".join(c for c in block if c.isprintable() or c == "\n"))
    document.save(str(path))


def _epub(path: Path, texts: Sequence[str]) -> None:
    from ebooklib import epub

    book = epub.EpubBook()
    book.set_title("T")
    for number, text in enumerate(texts):
        item = epub.EpubHtml(title="T", file_name=f"{number}.xhtml")
        item.content = "".join(f"<p>{html.escape(block)}</p>" for block in text.split("\n\n"))
        book.add_item(item)
        book.spine.append(item)
    book.add_item(epub.EpubNcx())
    epub.write_epub(str(path), book)


def _jsonl(path: Path, texts: Sequence[str]) -> None:
    path.write_text("".join(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(texts)))


def _parquet(path: Path, texts: Sequence[str]) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = {"id": [*range(len(texts))], "text": [*texts]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def _sqlite(path: Path, texts: Sequence[str]) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE documents (id INTEGER, text TEXT)")
        database.executemany("INSERT INTO documents VALUES (?, ?)", enumerate(texts))
    database.close()


def _mbox(path: Path, texts: Sequence[str]) -> None:
    box = mailbox.mbox(path)
    for number, text in enumerate(texts):
        message = EmailMessage()
        message["Subject"] = f"message {number}"
        message.set_content(text)
        box.add(message)
    box.close()
