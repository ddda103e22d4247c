"""Bring a text to one spelling: Unicode form, case, invisible characters, punctuation variants."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from hybrid.text.alphabet import marks

ORTHOGRAPHIES = ("default", "elision", "turkish", "persian")
"""The spelling rules an analyzer can name: see ``Analyzer.orthography``."""

MAX_MARKS = 30
"""How many combining marks in a row are kept (the limit of Unicode's stream-safe text format, UAX 15).

Python's normalisation takes quadratic time in the length of such a run, so an endless one would
be a way to hang an index.
"""

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]+"
)
_TRADE_MARKS = re.compile("[\u00ae\u2120\u2122]")
_APOSTROPHES = re.compile("[\u2018\u2019\u201b\u02bb\u02bc]")
_HYPHENS = re.compile("[\u2010\u2011\u2212]")
_ACCENTED = re.compile("([a-zæœøłđħŧŋþðı])[\u0300-\u036f]+")
_UNDECOMPOSED = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "þ": "th", "ð": "d", "ı": "i"}
)


def normalize(text: str, orthography: str = "default") -> str:
    """Return ``text`` in NFKC, with invisible characters gone and one apostrophe and one hyphen.

    Case is kept. Soft hyphens, zero-width characters, directional marks and variation selectors are
    removed, ™ and ® count as spaces. In the ``persian`` orthography the zero-width non-joiner counts
    as a space, so that a word written with one equals the same word written with a space.
    """
    if text.isascii():
        return text
    if orthography == "persian":
        text = text.replace("\u200c", " ")
    text = _TRADE_MARKS.sub(" ", _INVISIBLE.sub("", text))
    text = unicodedata.normalize("NFKC", _long_mark_runs().sub(r"\1", text))
    return _HYPHENS.sub("-", _APOSTROPHES.sub("'", text))


def fold_case(text: str, orthography: str = "default") -> str:
    """Return ``text``, which is in NFKC, without differences of case (Unicode case folding).

    In the ``turkish`` orthography I becomes ı and İ becomes i; elsewhere both become i.

    >>> fold_case("STRASSE Straße"), fold_case("ISPARTA İzmir", "turkish")
    ('strasse strasse', 'ısparta izmir')
    """
    if orthography == "turkish":
        text = text.replace("I", "ı").replace("İ", "i")
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", text.casefold().replace("i\u0307", "i"))


def fold_accents(text: str) -> str:
    """Return ``text``, which is in lower case, with the accents of Latin letters removed.

    Other scripts keep their marks: there a mark is a vowel, or makes another letter (и, й).

    >>> fold_accents("café, łódź, søren, й")
    'cafe, lodz, soren, й'
    """
    if text.isascii():
        return text
    bare = _ACCENTED.sub(r"\1", unicodedata.normalize("NFD", text)).translate(_UNDECOMPOSED)
    return unicodedata.normalize("NFC", bare)


@cache
def _long_mark_runs() -> re.Pattern[str]:
    nonstarters = marks() + "\uff9e\uff9f"  # half-width voicing marks become combining ones
    return re.compile(f"([{nonstarters}]{{{MAX_MARKS}}})[{nonstarters}]++")
