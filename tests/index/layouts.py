"""Hypothesis strategies for `segmented.Layout`."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.index.segmented import Layout


@st.composite
def layouts(draw: st.DrawFn, size: int) -> Layout:
    """Any segmentation of so many documents into 1 to 7, deletes and a mask; ids in no order."""
    ids = draw(st.permutations([f"d{n:02}" if n % 3 else f"é{n}" for n in range(size)]))
    homes = draw(st.lists(st.integers(0, 6), min_size=size, max_size=size))
    deleted = draw(st.sets(st.integers(0, max(0, size - 1)), max_size=size // 2))
    hidden = draw(st.one_of(st.just(set()), st.sets(st.integers(0, max(0, size - 1)))))
    return Layout(ids, homes, frozenset(deleted), frozenset(hidden))
