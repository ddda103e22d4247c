"""Cleaning: markup, odd spaces and control characters taken out of what is searched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from html import unescape

from hybrid.errors import PipelineError

_SILENT = frozenset(("script", "style", "template", "noscript"))
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "ins",
        "kbd",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
"""Elements that words run through; every other one separates words."""

_TAG = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
_STOP = re.compile("[>\"']")
_SILENT_ENDS = {name: re.compile(f"</{name}", re.IGNORECASE) for name in _SILENT}
_LOOKS_LIKE_MARKUP = re.compile(r"<[A-Za-z!/?]|&[A-Za-z#]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufff9-\ufffb\ufffd]+")
_SPACES = re.compile(r"\s+")

_PROBE = "<p>a<b>b</b> &amp; \u00a0c</p><script>x</script>\x07\t\n d\ufeff &lt;e&gt; 1 < 2"


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What is taken out of texts before analyzers and models see them; stored texts stay as they are.

    ``html``: tags go, entities become characters, scripts and styles are left out; elements that begin a new
    line separate words (of documents only: a query about markup stays one). ``control``: control characters,
    byte-order marks and replacement characters become spaces. ``whitespace``: every run of
    white space becomes one space, and none is left at the ends.
    """

    html: bool = False
    control: bool = True
    whitespace: bool = True

    def __post_init__(self) -> None:
        for name in ("html", "control", "whitespace"):
            if not isinstance(getattr(self, name), bool):
                raise PipelineError(f"{name} of Cleaning is {getattr(self, name)!r}; give True or False")

    def document(self, text: str) -> str:
        """Return a document's text or title cleaned.

        >>> Cleaning(html=True).document("<p>caf&eacute;</p><p>a <b>b</b>c</p>")
        'café a bc'
        """
        if self.html and _LOOKS_LIKE_MARKUP.search(text):
            text = text_of(text)
        return self.query(text)

    def query(self, text: str) -> str:
        """Return a query cleaned: all but the markup."""
        if self.control:
            text = _CONTROL.sub(" ", text)
        return _SPACES.sub(" ", text).strip() if self.whitespace else text

    def fingerprint(self) -> str:
        """Return the settings, and a digest of what they do to a fixed text."""
        done = blake2b(self.document(_PROBE).encode(), digest_size=8).hexdigest()
        return f"{self!r} {done}"


def text_of(markup: str) -> str:
    """Return the text of HTML, broken or not, in time that grows with its length only.

    Comments, scripts and styles are left out; one that does not end takes the rest with it, as in
    browsers. A tag that does not end is text.
    """
    pieces, at = [], 0
    while (start := markup.find("<", at)) >= 0:
        pieces.append(markup[at:start])
        piece, at = _element(markup, start)
        pieces.append(piece)
    return unescape("".join([*pieces, markup[at:]]))


def _element(markup: str, start: int) -> tuple[str, int]:
    """Return what stands for whatever the ``<`` at ``start`` begins, and where it ends."""
    tag = _TAG.match(markup, start)
    if tag is None:
        if markup[start + 1 : start + 2] not in ("!", "?"):
            return "<", start + 1
        closing = "-->" if markup.startswith("<!--", start) else ">"
        end = markup.find(closing, start)
        return "\n", len(markup) if end < 0 else end + len(closing)
    end = _tag_end(markup, tag.end())
    if end < 0:
        return markup[start:], len(markup)
    name = tag[2].lower()
    if name in _SILENT and not tag[1]:
        closed = _SILENT_ENDS[name].search(markup, end)
        return "\n", len(markup) if closed is None else closed.start()
    return "" if name in _INLINE else "\n", end


def _tag_end(markup: str, at: int) -> int:
    """Return where a tag ends, a ``>`` inside quotes not counted; -1 if it does not."""
    while (stop := _STOP.search(markup, at)) is not None:
        if stop[0] == ">":
            return stop.end()
        closing = markup.find(stop[0], stop.end())
        at = stop.end() if closing < 0 else closing + 1
    return -1
