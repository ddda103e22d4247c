"""Segment files: what is written comes back, and no damage goes unnoticed."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hybrid.errors import CorruptIndexError, FormatError, StorageError
from hybrid.index import Segment, SegmentWriter
from hybrid.index.segment import ALIGNMENT, DTYPES, MissingSegmentError


def write(path, arrays):
    with SegmentWriter(path) as out:
        for name, array in arrays:
            out.add(name, array)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "s.seg"
    with SegmentWriter(path) as out:
        out.add("a/ints", np.arange(10, dtype=np.int32))
        out.add("a/floats", np.array([[1.5, -2.0], [0.25, 8.0]], np.float32))
        out.add("empty", np.empty((0, 3), np.float32))
        out.add("scalar", np.array(7, np.int64))
        out.add("flags", np.array([True, False, True]))
    return path


def test_arrays_come_back_as_they_were(path):
    segment = Segment.open(path, verify=True)
    assert segment.names() == ["a/ints", "a/floats", "empty", "scalar", "flags"]
    assert segment["a/ints"].tolist() == list(range(10))
    assert segment["a/floats"].tolist() == [[1.5, -2.0], [0.25, 8.0]]
    assert segment["empty"].shape == (0, 3)
    assert segment["scalar"].shape == ()
    assert segment["scalar"] == 7
    assert segment["flags"].dtype == np.bool_
    assert "flags" in segment
    assert "nothing" not in segment
    assert segment.size == path.stat().st_size


@given(
    st.lists(st.sampled_from(sorted(DTYPES)).flatmap(lambda d: npst.arrays(d, npst.array_shapes(min_side=0))))
)
@settings(max_examples=50, deadline=None)
def test_any_array_comes_back(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("any") / "s.seg"
    with SegmentWriter(path) as out:
        for number, array in enumerate(arrays):
            out.add(str(number), array)
    segment = Segment.open(path, verify=True)
    for number, array in enumerate(arrays):
        back = segment[str(number)]
        assert back.dtype == array.dtype
        assert back.shape == array.shape
        assert back.tobytes() == array.tobytes()


def test_arrays_are_aligned_read_only_views_of_one_map(path):
    segment = Segment.open(path)
    for name in ("a/ints", "a/floats", "flags"):
        array = segment[name]
        assert array.ctypes.data % ALIGNMENT == 0
        assert not array.flags.writeable
        assert not array.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_arrays_outlive_the_file_and_the_segment(path):
    array = Segment.open(path)["a/ints"]
    path.unlink()
    assert array.sum() == 45


def test_other_layouts_are_written_in_c_order_and_little_endian(tmp_path):
    path = tmp_path / "s.seg"
    table = np.arange(12, dtype=">i4").reshape(3, 4).T
    with SegmentWriter(path) as out:
        out.add("table", table)
    back = Segment.open(path, verify=True)["table"]
    assert back.dtype.str == "<i4"
    assert back.tolist() == table.tolist()


def test_chunks_are_one_array(tmp_path):
    path = tmp_path / "s.seg"
    with SegmentWriter(path) as out:
        out.add_chunks("v", np.float32, (3, 2), (np.full((n, 2), n, np.float64) for n in (1, 2)))
    assert Segment.open(path, verify=True)["v"].tolist() == [[1, 1], [2, 2], [2, 2]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([("a", np.arange(3)), ("a", np.arange(3))], "already holds an array named 'a'"),
        ([("a", np.array(["text"]))], "accepted: "),
        ([("a", np.array([object()]))], "accepted: "),
        ([("a", np.array([1j]))], "accepted: "),
    ],
)
def test_unusable_arrays_are_refused_and_the_file_goes(tmp_path, arrays, message):
    path = tmp_path / "s.seg"
    with pytest.raises(ValueError, match=message):
        write(path, arrays)
    assert not path.exists()


def test_chunks_that_do_not_fill_the_shape_are_refused(tmp_path):
    with pytest.raises(ValueError, match="do not fill"), SegmentWriter(tmp_path / "s.seg") as out:
        out.add_chunks("v", np.float32, (3, 2), [np.zeros((2, 2))])
    assert list(tmp_path.iterdir()) == []


def test_an_exception_removes_the_file(tmp_path):
    def arrays():
        yield "a", np.arange(3)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write(tmp_path / "s.seg", arrays())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_never_overwritten(path):
    before = path.read_bytes()
    with pytest.raises(StorageError, match="File exists"):
        SegmentWriter(path)
    assert path.read_bytes() == before


def test_every_single_changed_byte_is_noticed(path):
    good = path.read_bytes()
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x40
        path.write_bytes(bad)
        with pytest.raises((CorruptIndexError, FormatError), match=r"s\.seg"):
            Segment.open(path, verify=True)


def test_every_truncation_is_noticed_when_opening(path):
    good = path.read_bytes()
    for length in range(len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(CorruptIndexError, match="is damaged"):
            Segment.open(path)
    path.write_bytes(good + b"\0")
    with pytest.raises(CorruptIndexError, match="is damaged"):
        Segment.open(path)


def test_verify_names_the_damaged_array(path):
    data = bytearray(path.read_bytes())
    data[data.index(np.float32(0.25).tobytes())] ^= 1
    path.write_bytes(data)
    segment = Segment.open(path)
    with pytest.raises(CorruptIndexError, match="array 'a/floats' does not match its checksum"):
        segment.verify()


@pytest.mark.parametrize(("version", "remedy"), [(9, "upgrade"), (1, "build the index anew")])
def test_another_format_says_so(path, version, remedy):
    data = bytearray(path.read_bytes())
    data[8] = version
    path.write_bytes(data)
    with pytest.raises(FormatError, match=rf"format version {version}.*{remedy}"):
        Segment.open(path)


def test_a_missing_file_and_a_missing_array_are_named(path):
    with pytest.raises(CorruptIndexError, match="no array named 'x'"):
        Segment.open(path)["x"]
    path.unlink()
    with pytest.raises(MissingSegmentError, match=r"s\.seg is missing"):
        Segment.open(path)


def test_writes_taken_in_pieces_are_completed(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
    with SegmentWriter(tmp_path / "s.seg") as out:
        out.add("a", np.arange(100))
    monkeypatch.undo()
    assert Segment.open(tmp_path / "s.seg", verify=True)["a"].tolist() == list(range(100))


def test_cached_values_are_built_once(path):
    segment = Segment.open(path)
    built = [segment.cached("key", lambda: [1, 2]) for _ in range(3)]
    assert built[0] == [1, 2]
    assert built[0] is built[1] is built[2]
    assert segment.cached("other", lambda: 3) == 3
