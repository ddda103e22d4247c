"""Top-k selection and the one tie-break, against sorting in plain Python."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.ranking import Ranking, best, empty_ranking, merge, top_positions

# Few values, so that they tie, and 0.1 with its next neighbour, which only an exact comparison parts.
values = st.sampled_from(
    [-np.inf, -2.5, -0.0, 0.0, 0.1, float(np.nextafter(np.float32(0.1), np.float32(1))), 7.0, 3e38]
)
ks = st.integers(-1, 20)


@st.composite
def corpora(draw):
    """Return document numbers, scores and ids of some documents; ids do not follow the numbers."""
    numbers = draw(st.lists(st.integers(0, 10**12), unique=True, max_size=16))
    names = draw(
        st.lists(
            st.text("abä\U0001f600", max_size=3), unique=True, min_size=len(numbers), max_size=len(numbers)
        )
    )
    scores = draw(st.lists(values, min_size=len(numbers), max_size=len(numbers)))
    return numbers, scores, dict(zip(numbers, names, strict=True))


class Ids:
    """Look ids up, and remember which documents were asked about."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names
        self.asked: list[int] = []

    def __call__(self, docnums: np.ndarray) -> Sequence[str]:
        self.asked.extend(docnums.tolist())
        return [self.names[n] for n in docnums.tolist()]


def ranking(numbers, scores) -> Ranking:
    return Ranking(np.array(numbers, np.int64), np.array(scores, np.float32))


def pairs(found: Ranking) -> list[tuple[int, float]]:
    assert found.docnums.dtype == np.int64
    assert found.scores.dtype == np.float32
    assert len(found) == len(found.docnums) == len(found.scores)
    return list(zip(found.docnums.tolist(), found.scores.tolist(), strict=True))


def expected(numbers, scores, names, k) -> list[tuple[int, float]]:
    """Sort everything by (score descending, id ascending) and cut."""
    rows = sorted((-float(np.float32(s)), names[n], n) for n, s in zip(numbers, scores, strict=True))
    return [(n, -s) for s, _, n in rows[: max(k, 0)]]


@settings(deadline=None)
@given(st.lists(values, max_size=24), ks, st.sampled_from([np.float32, np.float64]))
def test_top_positions_equal_sorting(scores, k, dtype):
    array = np.array(scores, dtype)
    before = array.copy()
    found = top_positions(array, k)
    assert found.dtype == np.int64
    assert found.tolist() == sorted(range(len(scores)), key=lambda n: (-array[n], n))[: max(k, 0)]
    assert array.tobytes() == before.tobytes()


def test_top_positions_of_many_ties():
    """The cut falls into a long run of equal scores: the first of them are taken, in their order."""
    scores = np.zeros(10_000, np.float32)
    scores[[9_999, 5_000]] = 1.0
    assert top_positions(scores, 5).tolist() == [5_000, 9_999, 0, 1, 2]


@settings(deadline=None)
@given(corpora(), ks)
def test_best_equals_sorting(corpus, k):
    numbers, scores, names = corpus
    assert pairs(best(*columns(numbers, scores), k, Ids(names))) == expected(numbers, scores, names, k)


def columns(numbers, scores):
    made = ranking(numbers, scores)
    return made.docnums, made.scores


@settings(deadline=None)
@given(corpora(), ks)
def test_best_leaves_its_arguments_alone(corpus, k):
    numbers, scores, names = corpus
    docnums, array = columns(numbers, scores)
    docnums.flags.writeable = array.flags.writeable = False
    best(docnums, array, k, Ids(names))
    assert docnums.tolist() == numbers


@settings(deadline=None)
@given(corpora(), ks)
def test_best_asks_for_the_ids_of_ties_alone(corpus, k):
    numbers, scores, names = corpus
    ids = Ids(names)
    best(*columns(numbers, scores), k, ids)
    score_of = dict(zip(numbers, np.float32(scores).tolist(), strict=True))
    for asked in ids.asked:
        assert sum(score_of[n] == score_of[asked] for n in numbers) > 1


@settings(deadline=None)
@given(corpora(), ks, st.randoms(use_true_random=False))
def test_the_order_given_does_not_matter(corpus, k, random):
    numbers, scores, names = corpus
    rows = list(zip(numbers, scores, strict=True))
    random.shuffle(rows)
    shuffled = best(*columns([n for n, _ in rows], [s for _, s in rows]), k, Ids(names))
    assert pairs(shuffled) == pairs(best(*columns(numbers, scores), k, Ids(names)))


@settings(deadline=None)
@given(corpora(), st.integers(1, 4), st.integers(0, 20), st.randoms(use_true_random=False))
def test_merge_equals_sorting_everything(corpus, parts, k, random):
    """However the documents lie in segments, which each list their own best."""
    numbers, scores, names = corpus
    segments: list[list[tuple[int, float]]] = [[] for _ in range(parts)]
    for row in zip(numbers, scores, strict=True):
        random.choice(segments).append(row)
    lists = [best(*columns([n for n, _ in rows], [s for _, s in rows]), k, Ids(names)) for rows in segments]
    assert pairs(merge(lists, k, Ids(names))) == expected(numbers, scores, names, k)


def test_a_table_by_hand():
    # c and a tie at 2, across segments; b is best. Numbers and ids run against each other.
    names = {1: "c", 2: "b", 10: "a", 11: "d"}
    first, second = ranking([2, 1], [3.0, 2.0]), ranking([10, 11], [2.0, -1.0])
    assert pairs(merge([first, second], 3, Ids(names))) == [(2, 3.0), (10, 2.0), (1, 2.0)]
    assert pairs(merge([first, second], 2, Ids(names))) == [(2, 3.0), (10, 2.0)]
    assert pairs(merge([second, first], 9, Ids(names))) == [(2, 3.0), (10, 2.0), (1, 2.0), (11, -1.0)]


def test_ids_are_compared_as_text():
    names = {1: "10", 2: "9", 3: "Z", 4: "a", 5: "é", 6: "e"}
    found = best(*columns(list(names), [1.0] * 6), 6, Ids(names))
    assert [names[n] for n in found.docnums.tolist()] == ["10", "9", "Z", "a", "e", "é"]


@pytest.mark.parametrize("k", [0, -1])
def test_nothing_asked(k):
    two = ranking([7, 8], [1.0, 0.5])
    assert pairs(best(two.docnums, two.scores, k, Ids({7: "a", 8: "b"}))) == []
    assert top_positions(two.scores, k).tolist() == []


@pytest.mark.parametrize("parts", [1, 2])
def test_nothing_asked_of_a_merge(parts):
    lists = [ranking([7, 8], [1.0, 0.5]), ranking([9], [2.0])][:parts]
    assert pairs(merge(lists, 0, Ids({7: "a", 8: "b", 9: "c"}))) == []


def test_nothing_to_rank():
    assert pairs(empty_ranking()) == []
    assert pairs(merge([], 3, Ids({}))) == []
    assert pairs(merge([empty_ranking(), empty_ranking()], 3, Ids({}))) == []
    assert pairs(best(*columns([], []), 3, Ids({}))) == []
    assert top_positions(np.empty(0, np.float32), 3).tolist() == []


def test_a_ranking_is_a_value():
    with pytest.raises(AttributeError):
        ranking([1], [1.0]).docnums = np.array([2])
    assert len(ranking([1, 2], [1.0, 0.5])) == 2
