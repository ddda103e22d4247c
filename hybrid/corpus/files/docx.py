"""DOCX: paragraphs and tables in order, headings as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hybrid.corpus.files import archive
from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.report import Note, UnreadableError
from hybrid.corpus.files.text import first_heading
from hybrid.errors import MissingDependencyError

_HEADING = re.compile(r"heading ([1-9])$", re.IGNORECASE)


def read_docx(file: FoundFile, note: Note) -> Iterator[Part]:
    """Yield a document's text, with its ``author``; headers, footers, notes and comments are left out.

    Raises:
        MissingDependencyError: python-docx is not installed.
        UnreadableError: the file is damaged, no Word document, encrypted, or too large when decompressed.
    """
    try:
        import docx
    except ImportError as error:
        raise MissingDependencyError("python-docx", "docx") from error
    with archive.opened(file.path) as members:
        archive.check_tags(members)
        try:
            document = docx.Document(str(file.path))
        except (KeyError, ValueError, SyntaxError, docx.opc.exceptions.OpcError) as error:
            raise UnreadableError(f"it is not a Word document ({error})") from error
    said = document.core_properties
    styles = {
        style.style_id: style.name or "" for style in document.styles
    }  # a search for each takes longest
    blocks = (_block(block, styles) for block in document.iter_inner_content())
    text = "\n\n".join(filter(None, blocks))
    yield Part.whole(text, said.title or first_heading(text), author=said.author)


def _block(block: Any, styles: Mapping[str, str]) -> str:
    """Return a paragraph, or a table with a line for each row."""
    if hasattr(block, "rows"):
        return "\n".join(" | ".join(_cells(row)) for row in block.rows)
    text = str(block.text).strip()
    style = styles.get(block._p.style, "")
    heading = _HEADING.match(style)
    if not text or not (heading or style == "Title" or style.startswith("List")):
        return text
    mark = "#" * min(int(heading[1]), 6) if heading else "#" if style == "Title" else "-"
    return f"{mark} {' '.join(text.split()) if mark != '-' else text}"


def _cells(row: Any) -> list[str]:
    """Return the texts of a row's cells; cells that were merged into one come once."""
    elements = {id(cell._tc): cell for cell in row.cells}
    return [cell.text.replace("\n", " ").strip() for cell in elements.values()]
