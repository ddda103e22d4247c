"""EPUB: one document for each chapter, in reading order."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from hybrid.corpus.files import archive
from hybrid.corpus.files.decoding import decode
from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.markup import html_text
from hybrid.corpus.files.report import Note, UnreadableError
from hybrid.corpus.files.text import first_heading
from hybrid.corpus.files.xml import parse_tree

_PAGES = ("application/xhtml+xml", "text/html")


def read_epub(file: FoundFile, note: Note) -> Iterator[Part]:
    """Yield the chapters that have text.

    Metadata: ``chapter`` (from 1), ``book`` (its title), ``author``, ``language``.

    Raises:
        UnreadableError: the file is damaged, encrypted, no EPUB, or too large when decompressed.
    """
    with archive.opened(file.path) as book:
        opf = _package(book)
        package = parse_tree(archive.member(book, opf))
        about = _about(package)
        found = False
        for number, href in enumerate(_spine(package), 1):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(opf), unquote(href)))
            try:
                _, text = html_text(decode(archive.member(book, path)))
            except UnreadableError as error:
                note(str(number), str(error))
                continue
            if text:
                found = True
                title = first_heading(text) or str(about.get("book", ""))
                yield Part(text, title, str(number), {"chapter": number, **about})
    if not found:
        raise UnreadableError("it has no text")


def _package(book: zipfile.ZipFile) -> str:
    """Return the path of the file that describes the book."""
    roots = parse_tree(archive.member(book, "META-INF/container.xml")).iter("rootfile")
    path = next((root.get("full-path") for root in roots), None)
    if not path:
        raise UnreadableError("it is no EPUB: its container names no package")
    return path


def _about(package: Element) -> dict[str, str]:
    fields = {"book": "title", "author": "creator", "language": "language"}
    said = {name: package.findtext(f"metadata/{tag}", "").strip() for name, tag in fields.items()}
    return {name: value for name, value in said.items() if value}


def _spine(package: Element) -> list[str]:
    """Return the paths of the chapters, in reading order."""
    items = {item.get("id"): item for item in package.iterfind("manifest/item")}
    named = [
        items[ref.get("idref")] for ref in package.iterfind("spine/itemref") if ref.get("idref") in items
    ]
    return [item.get("href", "") for item in named if item.get("media-type") in _PAGES]
