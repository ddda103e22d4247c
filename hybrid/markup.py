"""HTML cut into texts and tags, in time that grows with its length only, however broken it is.

(The standard library's parser takes hours for a megabyte of tags that do not end.)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import Literal, NamedTuple

_TAG = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
_STOP = re.compile(r""">|=\s*(["'])""")


class Piece(NamedTuple):
    """A piece of markup.

    ``kind``: "text" (with its entities as they stand), a tag that opens or closes an element or is an
    "empty" one (``<br/>``), or "other": a comment, declaration or instruction. ``value``: the text, or the
    element's name in lower case.
    """

    kind: Literal["text", "open", "close", "empty", "other"]
    value: str = ""


def pieces(markup: str, silent: Collection[str] = (), *, xml: bool = False) -> Iterator[Piece]:
    """Yield the pieces of HTML, broken or not, in order.

    What stands in ``silent`` elements is left out; one that does not end takes the rest with it, and so does
    a comment, as in browsers. A tag that does not end is text. ``xml``: an empty element has no content,
    whatever its name (browsers take ``<script/>`` for a beginning).

    >>> [piece.value for piece in pieces("a<B c='>'>d<style>e</style>1 < 2", ["style"])]
    ['a', 'b', 'd', 'style', 'style', '1 ', '<', ' 2']
    """
    at = 0
    while (start := markup.find("<", at)) >= 0:
        if start > at:
            yield Piece("text", markup[at:start])
        piece, at = _tag(markup, start)
        yield piece
        if piece.value in silent and (piece.kind == "open" or (piece.kind == "empty" and not xml)):
            closed = _end_of(piece.value).search(markup, at)
            at = len(markup) if closed is None else closed.start()
    if at < len(markup):
        yield Piece("text", markup[at:])


def _tag(markup: str, start: int) -> tuple[Piece, int]:
    """Return what the ``<`` at ``start`` begins, and where that ends."""
    tag = _TAG.match(markup, start)
    if tag is None:
        if markup[start + 1 : start + 2] not in ("!", "?"):
            return Piece("text", "<"), start + 1
        closing = "-->" if markup.startswith("<!--", start) else ">"
        end = markup.find(closing, start)
        return Piece("other"), len(markup) if end < 0 else end + len(closing)
    end = _tag_end(markup, tag.end())
    if end < 0:
        return Piece("text", markup[start:]), len(markup)
    kind: Literal["open", "close", "empty"] = "empty" if markup[end - 2] == "/" else "open"
    return Piece("close" if tag[1] else kind, tag[2].lower()), end


def _tag_end(markup: str, at: int) -> int:
    """Return where a tag ends, a ``>`` in a quoted value not counted; -1 if it does not."""
    while (stop := _STOP.search(markup, at)) is not None:
        if stop[1] is None:
            return stop.end()
        closing = markup.find(stop[1], stop.end())
        at = stop.end() if closing < 0 else closing + 1
    return -1


@cache
def _end_of(name: str) -> re.Pattern[str]:
    return re.compile(f"</{re.escape(name)}", re.IGNORECASE)
