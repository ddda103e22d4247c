"""Cleaning: what goes, what stays, and that it is bounded."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.errors import PipelineError
from hybrid.text import Cleaning

ALL = Cleaning(html=True)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("<p>one</p><p>two</p>", "one two"),
        ("a<b>b</b>c <i>d</i>", "abc d"),
        ("x<br>y<br/>z", "x y z"),
        ("caf&eacute; &amp; &#233; &lt;p&gt;", "café & é <p>"),
        ("<script>if (a < b) {}</script>kept<style>p {}</style>", "kept"),
        ("<!-- no --> yes <!DOCTYPE html>", "yes"),
        ("a < b and c > d", "a < b and c > d"),
        ("<td>1</td><td>2</td>", "1 2"),
        ("<p>never closed", "never closed"),
        ("</p> stray", "stray"),
        ("<a title='a > b'>x</a>", "x"),
        ("it's <b>so</b>, isn't it", "it's so, isn't it"),
        ("if a <b then", "if a <b then"),
        ("<script>never closed", ""),
        ("x<!-- never closed", "x"),
        ("tab\tnew\nline\u00a0nbsp\u3000wide", "tab new line nbsp wide"),
        ("bell\x07 nul\x00 bom\ufeff bad\ufffd", "bell nul bom bad"),
        ("", ""),
    ],
)
def test_by_hand(text, cleaned):
    assert ALL.document(text) == cleaned


def test_a_query_about_markup_stays_one():
    assert ALL.query(" what  is <br>? ") == "what is <br>?"
    assert Cleaning(whitespace=False).query(" a\x07b ") == " a b "
    assert Cleaning(control=False).query("a\x07 b") == "a\x07 b"
    assert Cleaning().document("<b>x</b>") == "<b>x</b>"


@given(st.text())
def test_any_text_is_cleaned_and_twice_is_once(text):
    plain = Cleaning()
    once = plain.document(text)
    assert plain.document(once) == once
    assert once == once.strip()
    assert "\x00" not in ALL.document(text)


@pytest.mark.parametrize("piece", ["<", "<p>", "<script>", "&", "<!--", "</", "<a href='", "&#", "<!["])
def test_hostile_markup_takes_linear_time(piece):
    def took(times):
        started = time.process_time()
        ALL.document(piece * times)
        return time.process_time() - started

    assert took(80_000) < 20 * max(took(8_000), 0.02)


def test_the_fingerprint_tells_settings_apart():
    choices = itertools.product([False, True], repeat=3)
    settings = [Cleaning(html=a, control=b, whitespace=c) for a, b, c in choices]
    assert len({each.fingerprint() for each in settings}) == 8


@pytest.mark.parametrize("name", ["html", "control", "whitespace"])
def test_only_true_and_false(name):
    with pytest.raises(PipelineError, match=f"{name} of Cleaning is 1"):
        Cleaning(**{name: 1})
