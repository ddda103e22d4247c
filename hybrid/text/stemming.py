"""Snowball stemmers, safe to use from many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def stemmer_names() -> tuple[str, ...]:
    """Return the Snowball languages of the installed PyStemmer, in alphabetical order."""
    import Stemmer

    return tuple(sorted(Stemmer.algorithms()))


class _Stemmers(threading.local):
    """One stemmer a thread: PyStemmer's objects hold state and must not be shared."""

    def __init__(self, language: str) -> None:
        import Stemmer

        self.stemmer: Any = Stemmer.Stemmer(language, 0)


@cache
def stemmer(language: str) -> Callable[[str], str]:
    """Return a function from a lower-case word to its stem; ``none`` leaves words as they are.

    >>> stemmer("english")("connections")
    'connect'
    """
    if language == "none":
        return str
    local = _Stemmers(language)

    def stem(word: str) -> str:
        return str(local.stemmer.stemWord(word))

    return stem
