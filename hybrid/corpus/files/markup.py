"""HTML turned into text, with its headings as Markdown: nothing is left out but what nobody reads.

For what is content as a whole: chapters of books, messages, posts. Web pages, with their menus and
footers, are `html`'s.
"""

from __future__ import annotations

import re
from html import unescape

from hybrid.markup import pieces

_SILENT = frozenset(("script", "style", "template", "noscript"))
_HIDDEN = _SILENT | {"svg", "head", "iframe", "object"}
_BLOCKS = (
    "address", "article", "aside", "blockquote", "body", "dd", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "footer", "form", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table",
    "tr", "ul",
)  # fmt: skip
_HEADINGS = {f"h{n}": "#" * n for n in range(1, 7)}
_BEFORE = {
    **dict.fromkeys(_BLOCKS, "\n\n"),
    **{tag: f"\n\n{mark} " for tag, mark in _HEADINGS.items()},
    "li": "\n- ", "pre": "\n\n```\n", "br": "\n", "tr": "\n", "td": " ", "th": " ",
}  # fmt: skip
"""What an opening tag becomes."""

_SPACE = re.compile(r"[ \t\r\n\f]+")
_BLANK = re.compile(r"(?<![ \t])[ \t]*\n[ \t]*\n\s*")


def html_text(html: str) -> tuple[str, str]:
    r"""Return the title of HTML (``<title>``, or nothing) and its text.

    >>> html_text("<title>T</title><h2>A &amp; B</h2><p>one<br>two<ul><li>x<li>y</ul><script>z</script>")
    ('T', '## A & B\n\none\ntwo\n\n- x\n- y')
    """
    text = _Text()
    for kind, value in pieces(html, _SILENT, xml=True):
        if kind == "text":
            text.data(unescape(value))
        elif kind in ("open", "empty"):
            text.opened(value)
        if kind in ("close", "empty"):
            text.closed(value)
    return text.result()


class _Text:
    def __init__(self) -> None:
        self._out: list[str] = []
        self._title: list[str] = []
        self._hidden: list[str] = []  # each name once: its end closes all that began in it
        self._in_title = False
        self._verbatim = 0

    def result(self) -> tuple[str, str]:
        text = _BLANK.sub("\n\n", "".join(self._out)).strip()
        return _SPACE.sub(" ", "".join(self._title)).strip(), text

    def opened(self, tag: str) -> None:
        if tag == "title" and not self._title:
            self._in_title = True
        elif tag in _HIDDEN:
            self._hidden += [tag] * (tag not in self._hidden)
        elif tag == "body":
            self._hidden.clear()  # a head that was never closed
        if self._hidden:
            return
        self._verbatim += tag == "pre"
        self._out.append(_BEFORE.get(tag, ""))

    def closed(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        if self._hidden:
            return
        if tag == "pre" and self._verbatim:
            self._verbatim -= 1
            self._out.append("\n```\n\n")
        elif tag in _HEADINGS or (tag in _BLOCKS and tag not in ("li", "tr")):
            self._out.append("\n\n")

    def data(self, data: str) -> None:
        if self._in_title:
            self._title.append(data)
        elif not self._hidden:
            self._out.append(data if self._verbatim else _SPACE.sub(" ", data))
