"""PDF: one document for each page that has text.

Read by PDFium (pypdfium2): it is Chrome's, so it is tested against hostile files all the time, and it is
faster than pypdf, the other well-kept library without a copyleft licence (eval/reading.py measures both).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.report import Note, UnreadableError
from hybrid.errors import MissingDependencyError

_PDFIUM = threading.Lock()
"""PDFium is not to be called by two threads at a time."""


def read_pdf(file: FoundFile, note: Note) -> Iterator[Part]:
    """Yield the pages that have text, with ``page``, ``pages`` and, if the file says, ``author``.

    Raises:
        MissingDependencyError: pypdfium2 is not installed.
        UnreadableError: the file is damaged, needs a password, or has no text at all.
    """
    try:
        import pypdfium2
    except ImportError as error:
        raise MissingDependencyError("pypdfium2", "pdf") from error
    try:
        with _PDFIUM:
            pdf = pypdfium2.PdfDocument(file.path)
            said, pages = pdf.get_metadata_dict(), len(pdf)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower()
        reason = "it is encrypted and needs a password" if locked else f"it is not a whole PDF ({error})"
        raise UnreadableError(reason) from error
    try:
        yield from _pages(pdf, pages, said, note, pypdfium2.PdfiumError)
    finally:
        with _PDFIUM:
            pdf.close()


def _pages(
    pdf: Any, pages: int, said: Mapping[str, str], note: Note, failure: type[Exception]
) -> Iterator[Part]:
    about = {"pages": pages} | ({"author": said["Author"]} if said.get("Author") else {})
    found = False
    for number in range(1, pages + 1):
        try:
            text = _text(pdf, number)
        except failure as error:
            note(str(number), f"the page cannot be read ({error})")
            continue
        if text.strip():
            found = True
            yield Part(text, said.get("Title", "").strip(), str(number), {"page": number, **about})
    if not found:
        raise UnreadableError("it has no text: a scan needs OCR first")


def _text(pdf: Any, number: int) -> str:
    with _PDFIUM:
        page = pdf[number - 1]
        try:
            text_page = page.get_textpage()
            try:
                text: str = text_page.get_text_bounded(errors="replace")
            finally:
                text_page.close()
        finally:
            page.close()
    return text.replace("\r\n", "\n").replace("\0", "")
