"""Passages: together they are the text, none is over its budget, and each ends at the best seam."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybrid
from hybrid import Document
from hybrid.errors import DocumentError, PipelineError
from hybrid.text.chunking import (
    Code,
    Fixed,
    Headings,
    Nested,
    Passage,
    Recursive,
    Semantic,
    Sentences,
    Words,
    split,
    titled_passages,
)
from hybrid.text.chunking.headings import html_headings, markdown_headings

ALPHABET = "ab Z\n\n\t.!?。、東京é\u0301🙂#*-`<p>/h1\"'ß\u00a0"
TEXTS = st.one_of(st.text(st.sampled_from(ALPHABET), max_size=400), st.text(max_size=200))


def letters_of(texts):
    """Return a vector of each text: how often it has some letters."""
    return np.array([[text.count(letter) for letter in "abZ.東"] for text in texts], np.float32)


CHUNKERS = [
    Fixed(7),
    Fixed(7, overlap=3),
    Recursive(7),
    Recursive(9, overlap=4),
    Sentences(2, 1, size=7),
    Sentences(1, 0),
    Headings(size=7),
    Headings("html", size=7, overlap=2),
    Code("python", 7),
    Code("c", 7, overlap=2),
    Semantic(60, size=7).using(letters_of),
    Semantic(0, around=0).using(letters_of),
    Nested(Recursive(20), Sentences(1, 0, size=5)),
    Nested(Headings(size=30, overlap=4), Fixed(7, overlap=3)),
]


def contents(chunker, text, most=100):
    return [passage.of(text) for passage in chunker.passages(text, Words(most))]


@pytest.fixture(scope="module")
def tokens():
    return hybrid.load_encoder("minilm").units


class Letters:
    """Every character is a unit, and two more are added to each text."""

    most = 40

    def spans(self, text):
        starts = np.arange(len(text))
        return np.stack([starts, starts + 1], axis=1)

    def count(self, text):
        return len(text) + 2


@pytest.mark.parametrize("chunker", CHUNKERS, ids=repr)
@given(text=TEXTS)
def test_passages_are_the_text_and_keep_to_the_budget(chunker, text):
    for units in (Words(50), Letters()):
        passages = chunker.passages(text, units)
        assert bool(passages) == bool(text)
        size = chunker.size or units.most
        end = 0
        for passage in passages:
            assert passage.start <= end < passage.end
            assert units.count(passage.of(text)) <= size or passage.end - passage.start == 1
            if passage.around is not None:
                assert passage.around[0] <= passage.start < passage.end <= passage.around[1]
            end = passage.end
        assert end == len(text)
        if not getattr(chunker, "overlap", 0):
            assert "".join(passage.of(text) for passage in passages) == text


@pytest.mark.parametrize(
    "chunker",
    [
        Recursive(12),
        Recursive(12, overlap=5),
        Fixed(12, 3),
        Headings(size=12),
        Code("javascript", 12),
        Nested(Recursive(40), Sentences(2, 0, size=12)),
    ],
)
def test_passages_keep_to_a_models_tokens(chunker, tokens):
    rng = random.Random(5)
    for _ in range(30):
        text = "".join(rng.choice([*ALPHABET, "word ", "antidisestablishment", "x1y2 "]) for _ in range(300))
        end = 0
        for passage in chunker.passages(text, tokens):
            assert passage.start <= end < passage.end
            assert tokens.count(passage.of(text)) <= 12
            end = passage.end
        assert end == len(text)


def test_paragraphs_before_sentences_before_lines_before_words():
    text = "One two three. Four five\nsix seven.\n\nEight nine. Ten"
    assert contents(Recursive(8), text) == ["One two three. Four five\nsix seven.\n\n", "Eight nine. Ten"]
    assert contents(Recursive(6), text) == ["One two three. ", "Four five\nsix seven.\n\n", "Eight nine. Ten"]
    assert contents(Recursive(2), "a b\nc d") == ["a b\n", "c d"]
    assert contents(Recursive(3), "a b c d") == ["a b c ", "d"]


def test_the_overlap_begins_at_a_seam():
    assert contents(Fixed(4, overlap=2), "a b c d e f g") == ["a b c d ", "c d e f ", "e f g"]
    found = contents(Recursive(6, overlap=3), "Aa bb cc. Dd ee ff. Gg hh ii.")
    assert found == ["Aa bb cc. Dd ee ff. ", "Dd ee ff. Gg hh ii."]


def test_what_is_longer_than_the_budget_by_itself_is_cut_between_characters():
    letters = Letters()
    text = "x" * 100
    assert [len(p.of(text)) for p in Recursive().passages(text, letters)] == [38, 38, 24]


def test_windows_of_sentences():
    text = "A b. C d! E f? G h."
    assert contents(Sentences(2, 1), text) == ["A b. C d! ", "C d! E f? ", "E f? G h."]
    assert contents(Sentences(3, 0), text) == ["A b. C d! E f? ", "G h."]
    assert contents(Sentences(1, 0), "これは。それは！ある") == ["これは。", "それは！", "ある"]
    assert contents(Sentences(1, 0), "By J. Smith. It is e.g. here. End") == [
        "By J. Smith. ",
        "It is e.g. here. ",
        "End",
    ]


def test_sections_know_their_headings():
    text = "Intro.\n# A\nText.\n### B\nMore.\n```\n# no heading\n```\n## C\nEnd."
    passages = Headings().passages(text, Words(100))
    assert [(p.headings, p.of(text)) for p in passages] == [
        ((), "Intro.\n"),
        (("A",), "# A\nText.\n"),
        (("A", "B"), "### B\nMore.\n```\n# no heading\n```\n"),
        (("A", "C"), "## C\nEnd."),
    ]


def test_headings_of_markdown():
    found = markdown_headings(
        "Title\n=====\n\nSub\n---\n#hash is none\n  ## Two ##\n- item\n---\n~~~\n# in\n"
    )
    assert [(h.level, h.words) for h in found] == [(1, "Title"), (2, "Sub"), (2, "Two")]


def test_headings_of_html():
    text = "<h1 class='a'>One <b>x</b></h1><p>t</p><H2>Two&nbsp;&amp;</H2 ><p>u"
    assert [(h.level, h.words) for h in html_headings(text)] == [(1, "One x"), (2, "Two &")]
    assert [p.of(text) for p in Headings("html").passages(text, Words(100))] == [text[:39], text[39:]]


@pytest.mark.parametrize(
    "hostile", ["#" * 50_000, "<" * 50_000, "<h1>" * 12_000, "`" * 50_000, ".\n" * 25_000]
)
@pytest.mark.parametrize(
    "chunker",
    [Headings(), Headings("html"), Recursive(50), Sentences(), Code("python"), Code("cpp"), Nested()],
)
def test_hostile_texts_end(chunker, hostile):
    assert chunker.passages(hostile, Words(200))[-1].end == len(hostile)


# --- documents -----------------------------------------------------------------------------------------


def test_documents_are_split():
    documents = [
        Document("m", "# One\nAlpha beta.\n## Two\nGamma.", "Guide", {"year": 2024}),
        Document("blank", " \n ", "Only a title"),
        Document("none"),
    ]
    found = list(split(documents, Headings(), Words(40)))
    assert [(d.id, d.title, d.text) for d in found] == [
        ("m#0", "Guide › One", "# One\nAlpha beta.\n"),
        ("m#1", "Guide › One › Two", "## Two\nGamma."),
        ("blank#0", "Only a title", " \n "),
        ("none#0", "", ""),
    ]
    assert found[1].metadata == {
        "year": 2024,
        "parent": "m",
        "start": 18,
        "end": 31,
        "headings": ["One", "Two"],
    }


def test_title_and_text_are_within_the_window(tokens):
    text = "# Heading of some words\n" + "Words of all kinds, 1234 and more. " * 200
    titles = ["", "Short", "A long title of many words " * 40, "unbelievablylongtitle" * 50]
    for title in titles:
        for chunker in (Recursive(), Headings(), Fixed(overlap=20)):
            passages = list(split([Document("a", text, title)], chunker, tokens))
            assert len(passages) > 5
            for passage in passages:
                assert tokens.count(passage.content) <= tokens.most


def test_an_opening_comes_before_several_passages():
    document = Document("a", "One two. Three four. Five six.", "T")

    def found(chunker, most=5):
        return [p.of(document.text) for _, p in titled_passages(document, chunker, Words(most), opening=True)]

    parts = ["One two. ", "Three four. ", "Five six."]
    assert found(Sentences(1, 0)) == ["One two. Three four. ", *parts]
    assert found(Sentences(1, 0), 4) == ["One two. Three ", *parts]
    assert found(Sentences(1, 0), 40) == [document.text, *parts]
    assert found(Recursive(), 40) == [document.text]
    assert found(Fixed(), 4) == ["One two. Three ", "One two. Three ", "four. Five six."]
    assert titled_passages(Document("b"), Recursive(), Words(4), opening=True) == [("", Passage(0, 0))]


@given(text=TEXTS, title=st.sampled_from(["", "Ab", "Word word word"]), most=st.integers(6, 60))
def test_an_opening_is_as_long_as_can_be(text, title, most):
    units = Letters()
    units.most = most
    document = Document("a", text, title)
    found = titled_passages(document, Sentences(1, 0), units, opening=True)
    parts = titled_passages(document, Sentences(1, 0), units)
    assert found[-len(parts) :] == parts
    if len(found) > len(parts):
        assert found[0] == titled_passages(document, Fixed(), units)[0]
        assert units.count(" ".join(filter(None, (found[0][0], found[0][1].of(text))))) <= most


def test_an_index_of_passages_truncates_nothing(tmp_path):
    documents = [Document(f"d{n}", f"Topic {n}. " + "filler words go on and on. " * 150) for n in range(3)]
    encoder = hybrid.load_encoder("minilm")
    passages = list(split(documents, Recursive(overlap=20), encoder.units))
    with hybrid.create(tmp_path / "i", passages) as index:
        assert index.stats().truncated == {"dense": 0}
        hit = index.search("topic 2", k=1).hits[0]
    assert hit.metadata["parent"] == "d2"
    assert documents[2].text[hit.metadata["start"] : hit.metadata["end"]] == hit.text


def test_what_cannot_be_split():
    with pytest.raises(DocumentError, match="'a' brings vectors"):
        list(split([Document("a", "x", vectors={"dense": [1.0]})], Recursive(), Words()))
    with pytest.raises(DocumentError, match="metadata under parent"):
        list(split([Document("a", "x", metadata={"parent": "b"})], Recursive(), Words()))
    assert (
        next(
            split([Document("a", "x", metadata={"parent": "b"})], Recursive(), Words(), parent="of")
        ).metadata["of"]
        == "a"
    )
    with pytest.raises(PipelineError, match=r"passages of 300 units .* reads 200; give size=200"):
        list(split([Document("a", "x")], Recursive(300), Words(200)))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Fixed(0), "size is 0"),
        (lambda: Recursive(5, overlap=5), "the overlap must be less"),
        (lambda: Recursive(5, overlap=-1), "overlap is -1"),
        (lambda: Sentences(0), "count is 0"),
        (lambda: Headings("rst"), "markup is 'rst'; accepted: markdown, html"),
        (lambda: Code("cobol"), "language is 'cobol'; accepted: python, javascript"),
        (lambda: Code().passages("x", Words()), "a text alone does not say it"),
        (lambda: Semantic(101), "percentile is 101"),
        (lambda: Semantic(around=-1), "around is -1"),
        (lambda: Semantic().passages("x", Words()), "give it an encoder with using"),
        (lambda: Nested(Nested()), "outer is Nested"),
    ],
)
def test_values_are_checked(make, told):
    with pytest.raises(PipelineError, match=told):
        make()
