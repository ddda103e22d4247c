"""Cleaning: markup, odd spaces and control characters taken out of what is searched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from html import unescape

from hybrid.errors import PipelineError
from hybrid.markup import Piece, pieces

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

    Comments, scripts and styles are left out.
    """
    return unescape("".join(map(_text, pieces(markup, _SILENT))))


def _text(piece: Piece) -> str:
    """Return what a piece leaves in the text."""
    if piece.kind == "text":
        return piece.value
    return "" if piece.value in _INLINE else "\n"
