"""Where texts may be cut."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from hybrid.text.chunking import seams

CHARACTERS = " \n\t\r\x1c\x85\u00a0\u2003\u3000\u2028.!?。-1)aBé東\U0001f600\ud800"


@given(st.text(st.sampled_from(CHARACTERS), max_size=40))
def test_seams_of_prose_are_what_patterns_find_one_by_one(text):
    strongest: dict[int, int] = {}
    for pattern, strength in ((re.compile(r"\s(?=\S)"), seams.WORD), *seams._PROSE):
        for match in pattern.finditer(text):
            strongest[match.end()] = max(strength, strongest.get(match.end(), 0))
    expected = sorted((position, s) for position, s in strongest.items() if 0 < position < len(text))
    found = seams.of_prose(text)
    assert list(zip(found.positions.tolist(), found.strengths.tolist(), strict=True)) == expected
