"""Plain text, Markdown and source code: one file is one document."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hybrid.corpus.files.decoding import decode, read_whole
from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.report import Note

_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(?P<title>.*?)(?:[ \t]+#+)?[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


def read_text(file: FoundFile, note: Note) -> Iterator[Part]:
    """Yield a plain text; its title is the file's name without its suffix."""
    yield Part.whole(decode(read_whole(file.path)))


def read_markdown(file: FoundFile, note: Note) -> Iterator[Part]:
    """Yield a Markdown text as it stands; its title is the first heading (``# …``)."""
    text = decode(read_whole(file.path))
    yield Part.whole(text, first_heading(text))


def read_code(file: FoundFile, note: Note) -> Iterator[Part]:
    """Yield a source file; its title is its path, and ``language`` says what it is written in."""
    content = read_whole(file.path)
    cookie = next(
        (found for line in content[:400].split(b"\n", 2)[:2] if (found := _COOKIE.match(line))), None
    )
    text = decode(content, cookie[1].decode() if cookie else None)
    yield Part.whole(text, file.name, language=file.language)


def first_heading(text: str) -> str:
    r"""Return the first ``#`` heading outside fenced code, or nothing.

    >>> first_heading("intro\n## Set up ##\n# Later")
    'Set up'
    """
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark:
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence):
                fence = ""
            continue
        heading = None if fence else _HEADING.match(line)
        if heading and heading["title"]:
            return heading["title"]
    return ""
