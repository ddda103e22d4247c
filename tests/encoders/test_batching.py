"""Batches of equal token length."""

from hypothesis import given
from hypothesis import strategies as st

from hybrid.encoders.batching import equal_length_batches


def batches(lengths, budget):
    return [batch.tolist() for batch in equal_length_batches(lengths, budget)]


def test_longest_first_then_by_position_within_the_budget():
    assert batches([2, 5, 2, 2, 5, 9], budget=5) == [[5], [1], [4], [0, 2], [3]]
    assert batches([2, 5, 2, 2, 5, 9], budget=100) == [[5], [1, 4], [0, 2, 3]]
    assert batches([], budget=5) == []
    assert batches([3], budget=1) == [[0]]


@given(st.lists(st.integers(1, 12)), st.integers(1, 40))
def test_every_text_once_never_two_lengths_never_over_the_budget(lengths, budget):
    found = batches(lengths, budget)
    assert sorted(position for batch in found for position in batch) == list(range(len(lengths)))
    for batch in found:
        assert len({lengths[position] for position in batch}) == 1
        assert len(batch) == 1 or len(batch) * lengths[batch[0]] <= budget
