"""Each BM25 formula against values worked by hand, and against two other implementations."""

from __future__ import annotations

import math

import bm25s
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25L, BM25Okapi, BM25Plus

from hybrid.errors import PipelineError
from hybrid.kernels.weighting import VARIANTS, Weighting, length_norm

K1, B = 1.2, 0.75


def norm_of(length: float, average: float, b: float) -> float:
    n, m = length_norm(average, b)
    return n + m * length


def saturate(weighting: Weighting, tf: float, norm: float) -> float:
    p, q, factor, constant = weighting.saturation()
    return factor * (tf + p * norm) / (tf + q * norm) + constant


# Four documents; "rare" is in one, "half" in two, "most" in three. Lengths 2, 3, 3, 4; average 3.
CORPUS = [
    ["rare", "most"],
    ["half", "most", "most"],
    ["half", "half", "most"],
    ["x", "y", "z", "z"],
]


@pytest.mark.parametrize(
    ("variant", "frequency", "expected"),
    [
        ("lucene", 1, math.log(1 + 3.5 / 1.5)),
        ("lucene", 4, math.log(1 + 0.5 / 4.5)),
        ("robertson", 1, math.log(3.5 / 1.5)),
        ("robertson", 2, 0.0),  # log(2.5 / 2.5)
        ("robertson", 3, 0.0),  # log(1.5 / 3.5) is negative
        ("atire", 1, math.log(4)),
        ("atire", 4, 0.0),
        ("bm25l", 1, math.log(5 / 1.5)),
        ("bm25l", 4, math.log(5 / 4.5)),
        ("bm25+", 1, math.log(5)),
        ("bm25+", 4, math.log(5 / 4)),
    ],
)
def test_idf_of_four_documents(variant, frequency, expected):
    assert Weighting(variant).idf(4, frequency) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        # tf = 3 in a document twice the average: norm = 1.75, k1 · norm = 2.1
        ("lucene", 3 / 5.1),
        ("robertson", 3 / 5.1),
        ("atire", 6.6 / 5.1),
        ("bm25l", 2.2 * (3 / 1.75 + 0.5) / (1.2 + 3 / 1.75 + 0.5)),
        ("bm25+", 6.6 / 5.1 + 1),
    ],
)
def test_saturation(variant, expected):
    assert [norm_of(length, 2.0, B) for length in (2, 4)] == [1.0, 1.75]
    assert saturate(Weighting(variant, K1, B), 3.0, 1.75) == pytest.approx(expected, rel=1e-14)


def test_ends_of_the_parameters():
    assert [saturate(Weighting(k1=0), tf, norm) for tf, norm in ((1, 0.5), (7, 3))] == [
        1,
        1,
    ]
    assert [norm_of(length, 5.0, 0) for length in (1, 9)] == [1, 1]  # lengths do not count
    assert [norm_of(length, 5.0, 1) for length in (1, 10)] == [0.2, 2]
    assert norm_of(0, 0.0, 0.75) == 0.25


def test_a_weighting_is_a_value():
    assert Weighting("bm25l") == Weighting("bm25l", 1.2, 0.75, 0.5)
    assert Weighting("bm25+").delta == 1.0
    assert Weighting("lucene").delta is None
    assert repr(Weighting(k1=2)) == "Weighting(variant='lucene', k1=2.0, b=0.75, delta=None)"
    assert len({Weighting(), Weighting("lucene", 1.2), Weighting(b=0.5)}) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"variant": "bm26"}, ["'bm26'", "'lucene'", "'bm25+'"]),
        ({"variant": ["lucene"]}, ["['lucene']"]),
        ({"k1": -0.1}, ["k1", "-0.1"]),
        ({"k1": math.nan}, ["k1", "nan"]),
        ({"k1": math.inf}, ["k1", "inf"]),
        ({"k1": "1.2"}, ["k1", "'1.2'"]),
        ({"k1": True}, ["k1", "True"]),
        ({"b": 1.1}, ["b is 1.1", "from 0 to 1"]),
        ({"b": -0.1}, ["b is -0.1"]),
        ({"b": None}, ["b is None"]),
        ({"variant": "bm25l", "delta": -1}, ["delta", "-1"]),
        ({"variant": "bm25+", "delta": math.inf}, ["delta", "inf"]),
        ({"variant": "lucene", "delta": 0.5}, ["delta", "0.5", "'lucene'"]),
    ],
)
def test_what_is_not_accepted(arguments, words):
    with pytest.raises(PipelineError) as caught:
        Weighting(**arguments)
    for word in words:
        assert word in str(caught.value)


@settings(deadline=None)
@given(
    st.sampled_from(VARIANTS),
    st.floats(0, 1e6),
    st.floats(0, 1),
    st.integers(1, 10**9),
    st.floats(0, 1),
    st.floats(1e-6, 1e9),
    st.floats(1e-3, 1e6),
)
def test_never_negative_and_never_undefined(variant, k1, b, documents, share, tf, length):
    weighting = Weighting(variant, k1, b)
    idf = weighting.idf(documents, max(1, round(documents * share)))
    value = saturate(weighting, tf, norm_of(max(tf, length), 7.0, b))
    assert idf >= 0
    assert value > 0
    assert math.isfinite(idf * value)


def score(weighting: Weighting, corpus: list[list[str]], query: list[str]) -> np.ndarray:
    """The sum over the query's terms, by loops."""
    average = sum(map(len, corpus)) / len(corpus)
    total = np.zeros(len(corpus))
    for term in query:
        frequency = sum(term in document for document in corpus)
        for number, document in enumerate(corpus):
            if term in document:
                norm = norm_of(len(document), average, weighting.b)
                value = saturate(weighting, document.count(term), norm)
                total[number] += weighting.idf(len(corpus), frequency) * value
    return total


def absent(weighting: Weighting, corpus: list[list[str]], query: list[str], value) -> np.ndarray:
    """What other packages add for terms that a document lacks: ``value`` of its `length_norm`, times idf."""
    average = sum(map(len, corpus)) / len(corpus)
    total = np.zeros(len(corpus))
    for term in query:
        frequency = sum(term in document for document in corpus)
        for number, document in enumerate(corpus):
            if frequency and term not in document:
                norm = norm_of(len(document), average, weighting.b)
                total[number] += weighting.idf(len(corpus), frequency) * value(norm)
    return total


terms = st.sampled_from(["a", "b", "c", "d", "e", "f"])
corpora = st.lists(st.lists(terms, min_size=1, max_size=9), min_size=1, max_size=8)
queries = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "unknown"]), max_size=5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("query", [["rare"], ["half", "most"], ["most", "rare", "rare", "z", "unknown"]])
def test_equals_bm25s(variant, query):
    weighting = Weighting(variant, K1, B)
    peer = bm25s.BM25(method=variant, k1=K1, b=B, delta=weighting.delta or 0.5)
    peer.index(CORPUS, show_progress=False)
    expected = score(weighting, CORPUS, query)
    # bm25s gives bm25l and bm25+ also for tf = 0: (k1 + 1) · δ / (k1 + δ), and δ
    if variant == "bm25l":
        credit = (K1 + 1) * 0.5 / (K1 + 0.5)
        expected += absent(weighting, CORPUS, query, lambda _: credit)
    elif variant == "bm25+":
        expected += absent(weighting, CORPUS, query, lambda _: 1.0)
    np.testing.assert_allclose(peer.get_scores(query), expected, rtol=1e-5, atol=1e-7)


@settings(deadline=None)
@given(corpora, queries, st.floats(0.01, 3), st.floats(0, 1))
def test_equals_rank_bm25_okapi(corpus, query, k1, b):
    """Its idf is Robertson's with another floor: a quarter of the mean idf. Its factor is ATIRE's."""
    peer = BM25Okapi(corpus, k1=k1, b=b)
    atire = Weighting("atire", k1, b)
    average = sum(map(len, corpus)) / len(corpus)
    expected = np.zeros(len(corpus))
    for term in query:
        frequency = sum(term in document for document in corpus)
        if not frequency:
            continue
        robertson = Weighting("robertson").idf(len(corpus), frequency)
        idf = robertson if peer.idf[term] >= 0 and robertson > 0 else peer.idf[term]
        for number, document in enumerate(corpus):
            if term in document:
                norm = norm_of(len(document), average, b)
                expected[number] += idf * saturate(atire, document.count(term), norm)
    np.testing.assert_allclose(peer.get_scores(query), expected, rtol=1e-5, atol=1e-12)


@settings(deadline=None)
@given(corpora, queries, st.floats(0.01, 3), st.floats(0, 1), st.floats(0, 2))
def test_equals_rank_bm25_plus(corpus, query, k1, b, delta):
    weighting = Weighting("bm25+", k1, b, delta)
    peer = BM25Plus(corpus, k1=k1, b=b, delta=delta)
    expected = score(weighting, corpus, query) + absent(weighting, corpus, query, lambda _: delta)
    np.testing.assert_allclose(peer.get_scores(query), expected, rtol=1e-5, atol=1e-12)


@settings(deadline=None)
@given(corpora, queries, st.floats(0.01, 3), st.floats(0, 0.99), st.floats(0, 2))
def test_equals_rank_bm25_l(corpus, query, k1, b, delta):
    """It multiplies by tf once more than the paper does (so absent terms add nothing)."""
    weighting = Weighting("bm25l", k1, b, delta)
    peer = BM25L(corpus, k1=k1, b=b, delta=delta)
    expected = np.zeros(len(corpus))
    for term in query:
        expected += score(weighting, corpus, [term]) * [document.count(term) for document in corpus]
    np.testing.assert_allclose(peer.get_scores(query), expected, rtol=1e-5, atol=1e-12)
