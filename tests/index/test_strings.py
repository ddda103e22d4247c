"""Columns of byte strings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.index import Segment, SegmentWriter
from hybrid.index.strings import Strings

columns = st.lists(st.binary(max_size=5), max_size=8)


@given(columns, st.data())
def test_take_selects_and_reorders(values, data):
    order = data.draw(st.lists(st.integers(0, len(values) - 1)) if values else st.just([]))
    taken = Strings.of(values).take(np.array(order, np.int64))
    assert [*taken] == [values[i] for i in order]
    assert [taken[i] for i in range(len(taken))] == [*taken]


@given(st.lists(columns, min_size=1, max_size=4))
def test_concat_keeps_every_string(parts):
    whole = Strings.concat([Strings.of(part) for part in parts])
    assert [*whole] == [value for part in parts for value in part]


@pytest.mark.parametrize("values", [[], [b""], [b"one", b"", b"two"]])
def test_a_column_comes_back_from_a_segment(tmp_path, values):
    with SegmentWriter(tmp_path / "s.seg") as out:
        Strings.of(values).write(out, "p/x")
    assert [*Strings.read(Segment.open(tmp_path / "s.seg"), "p/x")] == values


def test_positions_outside_are_an_error():
    with pytest.raises(IndexError, match="position 1 of 1"):
        Strings.of([b"a"])[1]
    with pytest.raises(IndexError, match="position -1 of 1"):
        Strings.of([b"a"])[-1]
