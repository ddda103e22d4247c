"""Rows of vectors: what is accepted, selecting, merging, and the disk."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.errors import EncoderError
from hybrid.index import Segment, SegmentWriter
from hybrid.index.dense import DenseRows

VECTORS = np.float32([[3, 4], [0, 0], [1, 0]])
FLAGS = np.array([True, False, False])


def test_selecting_and_merging():
    rows = DenseRows.of(VECTORS, FLAGS)
    assert len(rows) == 3
    assert rows.lengths.tolist() == [5, 0, 1]
    taken = rows.take(np.array([2, 0]))
    assert taken.kept.values.tolist() == [[1, 0], [3, 4]]
    assert taken.truncated.tolist() == [False, True]
    assert taken.lengths.tolist() == [1, 5]
    both = DenseRows.concat([taken, rows.take(np.empty(0, np.int64)), rows])
    assert both.kept.values.tolist() == [[1, 0], [3, 4], [3, 4], [0, 0], [1, 0]]
    assert both.truncated.tolist() == [False, True, True, False, False]
    assert both.lengths.tolist() == [1, 5, 5, 0, 1]


def test_the_disk_keeps_everything_without_a_copy(tmp_path):
    rows = DenseRows.of(np.asfortranarray(VECTORS), FLAGS)
    with SegmentWriter(tmp_path / "s") as out:
        rows.write(out, "x")
        DenseRows.of(np.empty((0, 7), np.float32), np.empty(0, np.bool_)).write(out, "none")
    segment = Segment.open(tmp_path / "s", verify=True)
    read = DenseRows.read(segment, "x")
    np.testing.assert_array_equal(read.kept.values, VECTORS)
    np.testing.assert_array_equal(read.truncated, FLAGS)
    assert read.lengths.tolist() == [5, 0, 1]
    assert np.shares_memory(read.kept.values, segment["x/vectors"])
    assert read.kept.values.flags.c_contiguous
    assert not read.kept.values.flags.owndata
    assert DenseRows.read(segment, "none").kept.values.shape == (0, 7)


@pytest.mark.parametrize(
    ("vectors", "flags", "words"),
    [
        ([[1, 2], [np.nan, 0]], [False] * 2, ["row 1", "NaN"]),
        ([[1, 2], [0, 0], [-np.inf, 0]], [False] * 3, ["row 2", "infinite"]),
        ([[1e18, 1e18]], [False], ["row 0", "1.41e+18", "1e+18"]),
        ([1, 2], [False] * 2, ["shape (2,)"]),
        (np.empty((2, 0)), [False] * 2, ["shape (2, 0)"]),
        ([[1, 2]], [False, True], ["(2,)", "(1,)"]),
        ([[1, 2]], [0], ["int64", "bool"]),
    ],
)
def test_what_is_not_accepted(vectors, flags, words):
    with pytest.raises(EncoderError) as caught:
        DenseRows.of(np.array(vectors, np.float32), np.array(flags))
    for word in words:
        assert word in str(caught.value)


def test_another_type_or_dimension_is_not_accepted():
    with pytest.raises(EncoderError, match="float64"):
        DenseRows.of(VECTORS.astype(np.float64), FLAGS)
    with pytest.raises(EncoderError, match=r"\[2, 3\]"):
        DenseRows.concat(
            [DenseRows.of(VECTORS, FLAGS), DenseRows.of(np.zeros((1, 3), np.float32), np.array([False]))]
        )
