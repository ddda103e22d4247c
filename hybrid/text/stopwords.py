"""Stop words by language."""

from __future__ import annotations

from functools import cache

from hybrid.text.normalize import fold_case, normalize

_ENGLISH = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these "
    "they this to was will with"
)
ENGLISH = tuple(_ENGLISH.split())
"""The 33 function words of Lucene's classic English set; longer lists hurt exact search."""

_LATIN_5 = str.maketrans("ýþðÝÞÐ", "ışğİŞĞ")
"""The package's Turkish list was read as Latin-1; these six letters are where Latin-5 differs."""


@cache
def stopword_languages() -> tuple[str, ...]:
    """Return the languages that have a list, in alphabetical order."""
    from stop_words import AVAILABLE_LANGUAGES

    return tuple(sorted({*AVAILABLE_LANGUAGES, "english"}))


@cache
def stopwords(language: str) -> frozenset[str]:
    """Return the stop words of ``language``, normalised as words are; ``none`` has none.

    Entries that are not a single word (punctuation, phrases) can match nothing and are left out.
    """
    if language == "none":
        return frozenset()
    if language == "english":
        return frozenset(ENGLISH)
    from stop_words import get_stop_words

    words: list[str] = get_stop_words(language)
    if language == "turkish":
        words = [word.translate(_LATIN_5) for word in words]
    folded = (fold_case(normalize(word, language), language).strip("'") for word in words)
    return frozenset(word for word in folded if word and not any(c.isspace() for c in word))
