"""Character classes that ``re`` has no names for: combining marks and scripts.

The word class of ``re`` leaves out combining marks, which would cut Devanagari, Thai or
Arabic words at every vowel sign; the classes here put them back.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

FIRST_MARK, LAST_MARK = 0x300, 0x1F000
"""Where combining marks are looked for (beyond it lie only variation selectors, which are dropped)."""

HAN_KANA_HANGUL = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3041-\u3096\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97c\uac00-\ud7fb\uf900-\ufaff\U0001aff0-\U0001b16f\U00020000-\U0003fffd"
)
"""Han, Hiragana, Katakana, Bopomofo and Hangul letters, as ranges for a regular expression class."""

THAI_LAO_KHMER_MYANMAR = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u109a-\u109f"
    "\u1780-\u17d3\u17d7\u17dc\u17dd\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a-\uaa7f"
)
"""Letters and signs of South-East Asian scripts that do not put spaces between words."""

SCRIPTS = {"cjk": HAN_KANA_HANGUL, "thai": THAI_LAO_KHMER_MYANMAR}
"""The groups of scripts that can be cut into bigrams, by the name an analyzer gives them."""


@cache
def marks() -> str:
    """Return every combining mark (categories Mn, Mc, Me), as ranges for a regular expression class."""
    found = (code for code in range(FIRST_MARK, LAST_MARK) if unicodedata.category(chr(code))[0] == "M")
    return ranges(found)


def ranges(codes: Iterable[int]) -> str:
    """Return ascending code points as ranges for a regular expression class.

    >>> ranges([97, 98, 99, 120])
    'a-cx-x'
    """
    spans: list[list[int]] = []
    for code in codes:
        if spans and code == spans[-1][1] + 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in spans)
