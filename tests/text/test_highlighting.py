"""Where a text has the words of a query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybrid
from hybrid import BM25, Document, Pipeline, analyzer
from hybrid.text.highlighting import highlights


def marked(text, query, name="english"):
    chosen = analyzer(name)
    for start, end in reversed(highlights(text, chosen.terms(query), chosen)):
        text = f"{text[:start]}[{text[start:end]}]{text[end:]}"
    return text


def test_words_are_found_as_they_are_searched():
    assert (
        marked("Rivers RUN; a river-bank. Runner?", "the river running")
        == "[Rivers] [RUN]; a [river-bank]. Runner?"
    )
    assert marked("Error E-4021 in C++.", "e-4021") == "Error [E-4021] in C++."
    assert marked("nothing here", "") == "nothing here"


def test_scripts_without_spaces():
    assert marked("東京都の天気、京都 x", "京都", "cjk") == "東[京都]の天気、[京都] x"
    assert marked("a東京b", "東京", "cjk") == "a[東京]b"


@given(st.text(max_size=80), st.text(max_size=20), st.sampled_from(["english", "cjk", "code", "simple"]))
def test_spans_are_in_order_and_within_the_text(text, query, name):
    chosen = analyzer(name)
    end = 0
    for start, stop in highlights(text, chosen.terms(query), chosen):
        assert end <= start < stop <= len(text)
        end = stop


def test_results_say_where(tmp_path):
    with hybrid.create(tmp_path / "i", [Document("a", "A cat sat.")], Pipeline([BM25()])) as index:
        result = index.search("cats")
        assert result.highlights(1) == [(2, 5)]
        with pytest.raises(IndexError, match="no hit at rank 2"):
            result.highlights(2)
