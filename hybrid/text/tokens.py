"""Find tokens in normalised text and take compound tokens apart.

A *chunk* is what the pattern finds: words held together by ``. @ ' - ·`` without spaces. A chunk is
then expanded into *pieces*: ordinary words, which an analyzer may drop or stem, and whole
compounds (``E-4021``, ``node.js``, ``C++``), which it must keep as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from hybrid.text.alphabet import marks
from hybrid.text.identifiers import split_identifier

TOKENIZERS = ("words", "code")
"""The rules an analyzer can name: see ``Analyzer.tokenizer``."""

_CONTRACTIONS = frozenset(("t", "re", "ve", "ll", "d", "m"))
_POSSESSIVE = re.compile(r"'[sS](?!\w)")
_SUFFIX = re.compile(r"(\+\+\d+|[+#]+)$")
_AFTER_APOSTROPHE = re.compile(r"'[^.@-]*")


class Piece(NamedTuple):
    """A term in the making; ``whole`` ones are neither stop words nor to be stemmed."""

    text: str
    whole: bool


@cache
def chunk_pattern(ascii_only: bool) -> re.Pattern[str]:
    """Return the pattern of a chunk.

    It matches a word (letters, digits, underscores, and marks after them) and the words joined to
    it by one of ``. @ ' - ·``; one full stop before it, as in ``.NET``; and ``+`` or ``#`` after it, as
    in ``C++``, ``F#`` and ``C++17``. Every repetition is possessive, so that matching takes linear time.
    """
    word = r"\w++" if ascii_only else rf"\w[\w{marks()}]*+"
    prefix = r"(?:(?<![\w.)\]}])\.(?=[^\W\d_]))?"
    suffix = r"(?:\+\+\d++(?!\w)|[+#]++(?!\w))?"
    return re.compile(f"{prefix}{word}(?:[.@'·-]{word})*+{suffix}")


def pieces(chunk: str, tokenizer: str, orthography: str) -> Iterator[Piece]:
    """Take one chunk apart: each compound first, then its parts, in order.

    Under the ``words`` rules a hyphen holds a compound together only next to numbers (``E-4021``,
    ``5-HT``, ``550e8400-e29b``): ordinary hyphenated words are separate words.
    """
    for part in _at_apostrophes(chunk, tokenizer, orthography):
        yield from _compound(part, tokenizer)


def _at_apostrophes(chunk: str, tokenizer: str, orthography: str) -> list[str]:
    if "'" not in chunk:
        return [chunk]
    if orthography == "turkish":
        return [_AFTER_APOSTROPHE.sub("", chunk)]
    if orthography == "elision":
        *articles, last = chunk.split("'")
        return [*(article for article in articles if len(article) > 1), last]
    chunk = _POSSESSIVE.sub("", chunk)
    if tokenizer == "code" and "'" in chunk:
        head, _, tail = chunk.rpartition("'")
        return [chunk] if tail.lower() in _CONTRACTIONS and "'" not in head else chunk.split("'")
    return [chunk]


def _compound(chunk: str, tokenizer: str) -> Iterator[Piece]:
    """Split off what stands before and after the words, then go through the hyphens."""
    match = _SUFFIX.search(chunk)
    suffix = match[0] if match else ""
    prefix = "." if chunk.startswith(".") else ""
    body = chunk[len(prefix) : len(chunk) - len(suffix)]
    units = [body] if tokenizer == "code" or "@" in body else _units(body.split("-"))
    for position, unit in enumerate(units):
        before = prefix if position == 0 else ""
        after = suffix if position == len(units) - 1 else ""
        if before or after:
            yield Piece(before + unit + after, True)
            if after.startswith("++") and len(after) > 2:
                yield Piece(before + unit + "++", True)
                yield Piece(after[2:], False)
            if after and len(unit) == 1:
                continue  # C++ is not about C
        yield from _split(unit, "@-._", tokenizer)


def _units(segments: list[str]) -> list[str]:
    """Put hyphenated segments together again where the hyphen belongs to a number or a code."""
    units = [segments[:1]]
    for position, (left, right) in enumerate(pairwise(segments)):
        opening_number = position == 0 and left.isdigit()
        if right[0].isdigit() or opening_number or (_has_digit(left) and _has_digit(right)):
            units[-1].append(right)
        else:
            units.append([right])
    return ["-".join(unit) for unit in units]


def _split(unit: str, joiners: str, tokenizer: str) -> Iterator[Piece]:
    """Yield a unit and its parts, level by level: at signs, hyphens, full stops, underscores."""
    for level, joiner in enumerate(joiners):
        if joiner not in unit:
            continue
        parts = [part for part in unit.split(joiner) if part]
        if joiner == "." and tokenizer == "words" and _are_initials(parts):
            yield Piece("".join(parts), True)
            return
        if parts:
            yield Piece(unit, True)
        if joiner == "." and all(map(str.isdigit, parts)):
            return  # 3.11 and 192.168.0.1 mean nothing in parts
        for part in parts:
            yield from _split(part, joiners[level + 1 :], tokenizer)
        return
    if tokenizer == "code":
        names = split_identifier(unit)
        if len(names) > 1:
            yield Piece(unit, True)
            yield from (Piece(name, False) for name in names)
            return
    yield Piece(unit, False)


def _are_initials(parts: list[str]) -> bool:
    """Tell an abbreviation such as U.S.A. or e.g. by its single letters."""
    return all(len(part) == 1 and part.isalpha() for part in parts)


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))
