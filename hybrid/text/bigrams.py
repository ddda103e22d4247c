"""Cut runs of scripts that put no spaces between words into overlapping bigrams."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

from hybrid.text.alphabet import SCRIPTS, marks

_STACKERS = "\u1039\u17d2"
"""Signs that put the next consonant under this one (Myanmar virama, Khmer coeng)."""


@cache
def run_pattern(scripts: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of one run of the given groups of ``SCRIPTS``; its group 1 is the run.

    Each group of scripts makes its own runs; within ``cjk``, Han, kana and Hangul run together.
    """
    letters = "|".join(f"[{SCRIPTS[name]}][{SCRIPTS[name]}{marks()}]*+" for name in scripts)
    return re.compile(f"({letters})")


@cache
def _cluster_pattern() -> re.Pattern[str]:
    return re.compile(f"[^{marks()}](?:[{_STACKERS}][^{marks()}]|[{marks()}])*+|[{marks()}]++", re.DOTALL)


def clusters(run: str) -> list[str]:
    """Return the letters of a run, each with the marks that belong to it, in order.

    A vowel sign or a tone mark is no letter of its own, and Khmer and Myanmar stacks stay whole.

    >>> len(clusters("ที่นี่")), clusters("東京")
    (2, ['東', '京'])
    """
    return _cluster_pattern().findall(run)


def bigrams(run: str) -> list[str]:
    """Return the overlapping pairs of letters of a run, or its only letter.

    >>> bigrams("東京都"), bigrams("猫")
    (['東京', '京都'], ['猫'])
    """
    letters = clusters(run)
    if len(letters) < 2:
        return letters
    return [first + second for first, second in pairwise(letters)]
