"""Web pages: the main content, found by trafilatura, with its headings as Markdown."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from hybrid.corpus.files.archive import MOST_TAGS
from hybrid.corpus.files.decoding import decode, read_whole
from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.markup import html_text
from hybrid.corpus.files.report import Note
from hybrid.errors import MissingDependencyError

_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset=["']?\s*([-\w.:]{2,40})|<\?xml[^>]*?encoding=["']([-\w.]{2,40})""", re.I
)
_LOOK = 4096


def read_html(file: FoundFile, note: Note) -> Iterator[Part]:
    """Yield the main content of a page: menus, footers and the like are left out.

    Where trafilatura finds no content, and of a page with millions of tags, the page's whole text is taken.

    Raises:
        MissingDependencyError: trafilatura is not installed.
        UnreadableError: the file is too large, or not text.
    """
    content = read_whole(file.path)
    found = _DECLARED.search(content[:_LOOK])
    html = decode(content, (found[1] or found[2]).decode() if found else None)
    title, whole = html_text(html)
    small = html.count("<") <= MOST_TAGS  # of a tree
    yield Part.whole((_main(html) if small else None) or whole, title)


def _main(html: str) -> str | None:
    try:
        import trafilatura
    except ImportError as error:
        raise MissingDependencyError("trafilatura", "html") from error
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # what it cannot find, we say
    found: str | None = trafilatura.extract(
        html, output_format="markdown", include_comments=False, include_tables=True, with_metadata=False
    )
    return found
