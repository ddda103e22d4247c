"""What a page marks of a query's words."""

from __future__ import annotations

import pytest

from hybrid.server.candidates import query_stems


@pytest.mark.parametrize(
    ("query", "stems"),
    [
        ("boundary layers", ["boundar", "layer"]),
        ("the study of a body", ["stud", "bod"]),
        ("ski", ["ski"]),
        ("the of and", []),
        ("", []),
    ],
)
def test_every_word_begins_with_its_mark(query, stems):
    assert query_stems(query) == stems
    words = query.split()
    assert all(any(word.startswith(stem) for word in words) for stem in stems)
