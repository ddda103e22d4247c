"""Queries made from a collection itself, whose answers are known.

The inverse cloze task (Lee, Chang and Toutanova 2019, "Latent Retrieval for Weakly Supervised Open Domain
Question Answering", where it trains encoders): a piece of a document is the query, and what is left of
the document the only answer. The piece is taken out of the document, so that no branch can find
it by the very words that were copied.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from hybrid.text.alphabet import THAI_LAO_KHMER_MYANMAR
from hybrid.types import Document

SHORTEST, LONGEST = 4, 30
"""How many words a piece has; where words have no spaces between them, they are counted by their letters."""

NATURAL = 0.85
"""At least this share of a piece's characters is letters and spaces: people do not ask in code or figures."""

LARGEST_SHARE = 0.6
"""A piece is a smaller part than this of its document, so that something is left to be found."""

_ENDS = re.compile(r"(?<=[.!?。！？।])\s*|\n+")
_AROUND = " \t\r\"'`#*/;,.:-–—、，；：。।「」『』（）《》“”‘’　"
_HAN_KANA = re.compile(
    r"[\u2e80-\u2fdf\u3005-\u3007\u3021-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff]"
)
_THAI = re.compile(f"[{THAI_LAO_KHMER_MYANMAR}]")


@dataclass(frozen=True, slots=True)
class Cloze:
    """A query, and the document that answers it without containing it."""

    query: str
    document: Document


def make_clozes(documents: Iterable[Document], count: int, seed: int = 0) -> list[Cloze]:
    """Return up to ``count`` clozes, one a document, from documents drawn at random.

    Of half of them the first piece is taken (a title, a heading, a summary), of the others any. Documents
    without a usable piece give none. The documents are read once, and no more are kept than are needed.
    """
    rng = random.Random(seed)
    kept: list[Cloze] = []
    seen = 0
    for document in documents:
        pieces = _pieces(document)
        if not pieces:
            continue
        seen += 1
        at = len(kept) if len(kept) < count else rng.randrange(seen)
        if at < count:
            piece = pieces[0] if rng.random() < 0.5 else rng.choice(pieces)
            cloze = Cloze(piece, _without(document, piece))
            kept[at : at + 1] = [cloze]
    return kept


def _pieces(document: Document) -> list[str]:
    """Return the title and the sentences or lines that people could have asked, in order."""
    found = []
    for part in (document.title, *_ENDS.split(document.text)):
        piece = part.strip(_AROUND)
        natural = sum(map(_natural, piece))
        if (
            SHORTEST <= _words(piece) <= LONGEST
            and natural >= NATURAL * len(piece)
            and len(piece) < LARGEST_SHARE * len(document.content)
        ):
            found.append(piece)
    return found


def _natural(character: str) -> bool:
    """Whether a character is a letter, a mark on one (as most vowels of Thai and Hindi are), or a space."""
    return character.isalpha() or character.isspace() or unicodedata.category(character)[0] == "M"


def _words(piece: str) -> float:
    """Return how many words a piece has: between spaces one, or more by letters.

    A Chinese or Japanese word has about two characters, a Thai one about four. Korean has spaces.
    """
    return sum(
        max(1.0, len(_HAN_KANA.findall(token)) / 2 + len(_THAI.findall(token)) / 4) for token in piece.split()
    )


def _without(document: Document, piece: str) -> Document:
    """Return a document without one piece, and without vectors: they were made with it."""
    if piece in document.title:
        return replace(document, title=document.title.replace(piece, " ", 1).strip(), vectors={})
    return replace(document, text=document.text.replace(piece, " ", 1), vectors={})
