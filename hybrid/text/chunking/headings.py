"""Headings of Markdown and HTML: where sections begin, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from itertools import pairwise

from hybrid.text.chunking.seams import inside

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_ATX = re.compile(r"^ {0,3}(#{1,6})(?:[ \t]+(.*?))??[ \t]*#*[ \t]*$", re.MULTILINE)
_SETEXT = re.compile(r"^ {0,3}(\S[^\n]*)\n {0,3}(=+|-{2,})[ \t]*$", re.MULTILINE)
_HTML = re.compile(r"<(/?)h([1-6])(?=[\s>/])[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: where it begins, its level (1 to 6), and its words."""

    position: int
    level: int
    words: str


def markdown_headings(text: str) -> list[Heading]:
    r"""Return the headings of a Markdown text, in order; what stands in a fenced block is none.

    >>> [(h.level, h.words) for h in markdown_headings("# A\n```\n# no\n```\nB\n---\n")]
    [(1, 'A'), (2, 'B')]
    """
    fences = list(fenced(text))
    found = [Heading(m.start(), len(m[1]), (m[2] or "").strip()) for m in _ATX.finditer(text)]
    found += [
        Heading(m.start(), 1 if m[2][0] == "=" else 2, m[1].strip())
        for m in _SETEXT.finditer(text)
        if not m[1].startswith(("#", "-", "*", "+", ">", "|"))
    ]
    outside = (heading for heading in found if not inside(fences, heading.position))
    return sorted(outside, key=lambda heading: heading.position)


def html_headings(text: str) -> list[Heading]:
    """Return the headings of an HTML text, in order.

    >>> [(h.level, h.words) for h in html_headings("<h2 id=x>A &amp; <b>B</b></h2><p>c")]
    [(2, 'A & B')]
    """
    found = []
    tags = list(_HTML.finditer(text))
    for tag, after in pairwise(tags):
        if not tag[1] and after[1] and after[2] == tag[2]:  # a heading that is closed before another opens
            words = unescape(_TAG.sub("", text[tag.end() : after.start()])).split()
            found.append(Heading(tag.start(), int(tag[2]), " ".join(words)))
    return found


def fenced(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the fenced blocks of a Markdown text begin and end; one left open ends with the text."""
    opened = None
    for match in _FENCE.finditer(text):
        mark = match[1]
        if opened is None:
            opened = (match.start(), mark)
        elif mark[0] == opened[1][0] and len(mark) >= len(opened[1]):
            yield opened[0], match.end()
            opened = None
    if opened is not None:
        yield opened[0], len(text)


def paths(headings: Sequence[Heading]) -> list[tuple[str, ...]]:
    """Return, for each heading, its words after those of the headings that it stands under.

    >>> paths([Heading(0, 1, "A"), Heading(5, 3, "B"), Heading(9, 2, "C")])
    [('A',), ('A', 'B'), ('A', 'C')]
    """
    stack: list[Heading] = []
    found = []
    for heading in headings:
        while stack and stack[-1].level >= heading.level:
            stack.pop()
        stack.append(heading)
        found.append(tuple(each.words for each in stack if each.words))
    return found
