"""Rows of terms: counting, selecting, merging, and their postings on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.errors import StorageError
from hybrid.index import Segment, SegmentWriter
from hybrid.index.sparse import SparseRows
from hybrid.index.sparse.postings import Postings, PostingsWriter
from tests.index.terms import from_terms

DOCUMENTS = [[["b", "a", "b"], ["c"]], [[], []], [["c"], ["c", "a", "a"]]]


def content(rows: SparseRows) -> list:
    """Each document as (lengths, {term: counts})."""
    vocabulary = [*rows.vocabulary]
    return [
        (
            rows.lengths[:, row].tolist(),
            {
                vocabulary[rows.terms[e]]: rows.values[:, e].tolist()
                for e in range(*rows.indptr[row : row + 2])
            },
        )
        for row in range(len(rows))
    ]


def assert_same(one: SparseRows, other: SparseRows) -> None:
    assert [*one.vocabulary] == [*other.vocabulary]
    for name in ("indptr", "terms", "values", "lengths"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, name)


def test_counting_by_hand():
    rows = from_terms(DOCUMENTS, fields=2)
    assert len(rows) == 3
    assert [*rows.vocabulary] == [b"a", b"b", b"c"]
    assert rows.indptr.tolist() == [0, 3, 3, 5]
    assert rows.terms.tolist() == [0, 1, 2, 0, 2]
    assert rows.values.tolist() == [[1, 2, 0, 0, 1], [0, 0, 1, 2, 1]]
    assert rows.lengths.tolist() == [[3, 0, 1], [1, 0, 3]]
    assert (rows.indptr.dtype, rows.terms.dtype) == (np.int64, np.int32)
    assert (rows.values.dtype, rows.lengths.dtype) == (np.uint8, np.int32)


def test_postings_by_hand(tmp_path):
    with SegmentWriter(tmp_path / "s") as out:
        from_terms(DOCUMENTS, fields=2).write(out, "x")
    postings = Postings.of(Segment.open(tmp_path / "s"), "x")
    found = {}
    for term in "abc":
        place = postings.find(term)
        starts, docs, values = postings.decode(place, place + 1)
        found[term] = docs.tolist(), values.tolist()
        assert starts.tolist() == [0, len(docs)]
    assert found == {"a": ([0, 2], [[1, 0], [0, 2]]), "b": ([0], [[2], [0]]), "c": ([0, 2], [[0, 1], [1, 1]])}
    assert [postings.find(term) for term in ("", "aa", "d", "ab", "c")] == [-1, -1, -1, -1, 2]
    assert (postings.totals.tolist(), postings.documents) == ([4, 4], 3)


@pytest.mark.parametrize(("count", "dtype"), [(255, np.uint8), (256, np.uint16), (65536, np.uint32)])
def test_counts_take_the_smallest_type(count, dtype):
    rows = from_terms([[["a"] * count], [["a"]]])
    assert rows.values.tolist() == [[count, 1]]
    assert rows.values.dtype == dtype
    assert rows.take(np.array([1])).values.dtype == np.uint8


def test_any_character_is_a_term(tmp_path):
    terms = ["\ud800", "\x00", "a\x00", "a", "", "\uffff", "\U0001f600", "語", "\udfff"]
    rows = from_terms([[terms]])
    with SegmentWriter(tmp_path / "s") as out:
        rows.write(out, "x")
    postings = Postings.of(Segment.open(tmp_path / "s"), "x")
    assert [t.decode(errors="surrogatepass") for t in postings.vocabulary] == sorted(terms)
    assert [sorted(terms)[postings.find(term)] for term in terms] == terms


@pytest.mark.parametrize("fields", [1, 2])
def test_nothing_to_count(tmp_path, fields):
    for documents in ([], [[[]] * fields], [[[]] * fields] * 3):
        rows = from_terms(documents, fields)
        assert len(rows) == len(documents)
        assert rows.lengths.shape == (fields, len(documents))
        assert rows.values.shape == (fields, 0)
        with SegmentWriter(tmp_path / f"{len(documents)}") as out:
            rows.write(out, "x")
        assert_same(SparseRows.read(Segment.open(tmp_path / f"{len(documents)}"), "x"), rows)
        assert Postings.of(Segment.open(tmp_path / f"{len(documents)}"), "x").find("a") == -1


def test_a_wrong_number_of_fields():
    with pytest.raises(ValueError, match="fields"):
        SparseRows.concat([from_terms([[[]]]), from_terms([[[], []]], 2)])


def test_weights_by_hand(tmp_path):
    rows = SparseRows.from_weights([{"b": 1.5, "a": 0.5, "z": 1e-9}, {}, {"b": 2.5, "c": 0.1}])
    assert content(rows) == [
        ([], {b"a": [0.5], b"b": [1.5]}),
        ([], {}),
        ([], {b"b": [2.5], b"c": [float(np.float16(0.1))]}),
    ]
    assert [*rows.vocabulary] == [b"a", b"b", b"c"]
    with SegmentWriter(tmp_path / "s") as out:
        rows.write(out, "x")
    segment = Segment.open(tmp_path / "s")
    assert_same(SparseRows.read(segment, "x"), rows)
    postings = Postings.of(segment, "x")
    assert postings.learned
    assert postings.peaks.tolist() == [0.5, 2.5, np.float32(np.float16(0.1))]
    assert postings.levels.tolist() == [255, 255, 255]  # one block each: the greatest weight is the bound
    taken = rows.take(np.array([2, 0]))
    assert taken.values.dtype == np.float16
    assert_same(taken, SparseRows.from_weights([{"b": 2.5, "c": 0.1}, {"b": 1.5, "a": 0.5}]))


documents = st.integers(1, 3).flatmap(
    lambda fields: st.tuples(
        st.just(fields),
        st.lists(
            st.lists(st.lists(st.sampled_from("abcdé\ud800"), max_size=5), min_size=fields, max_size=fields),
            max_size=8,
        ),
    )
)


@settings(deadline=None)
@given(documents, st.data())
def test_equal_documents_give_equal_rows(drawn, data):
    """Counted, put together from parts, selected and reordered: always as if counted anew."""
    fields, rows = drawn
    whole = from_terms(rows, fields)
    expected = [
        (
            [len(field) for field in row],
            {
                term.encode(errors="surrogatepass"): [field.count(term) for field in row]
                for term in {t for field in row for t in field}
            },
        )
        for row in rows
    ]
    assert content(whole) == expected
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    pieces = [rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    joined = SparseRows.concat([from_terms(piece, fields) for piece in pieces])
    assert content(joined) == expected
    some = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), unique=True)) if rows else [], np.int64)
    assert_same(joined.take(some), from_terms([rows[i] for i in some], fields))


@settings(deadline=None)
@given(documents)
def test_the_disk_keeps_everything(drawn):
    fields, rows = drawn
    whole = from_terms(rows, fields)
    with tempfile.TemporaryDirectory() as folder:
        with SegmentWriter(Path(folder) / "s") as out:
            whole.write(out, "x")
        segment = Segment.open(Path(folder) / "s", verify=True)
        assert_same(SparseRows.read(segment, "x"), whole)
        postings = Postings.of(segment, "x")
        for number, term in enumerate(whole.vocabulary):
            _, docs, values = postings.decode(number, number + 1)
            holders = [row for row, (_, counts) in enumerate(content(whole)) if term in counts]
            assert docs.tolist() == holders
            expected = [content(whole)[row][1][term] for row in holders]
            assert values.T.tolist() == expected


@settings(deadline=None)
@given(documents, st.data())
def test_merging_equals_writing_anew(drawn, data):
    """Parts of any sizes, some documents gone, in pieces of any size: as if written at once."""
    fields, rows = drawn
    homes = [data.draw(st.integers(0, 2)) for _ in rows]
    kept = [i for i in range(len(rows)) if data.draw(st.integers(0, 3))]
    members = [[i for i in range(len(rows)) if homes[i] == home] for home in sorted(set(homes))]
    places = {i: place for place, i in enumerate(i for part in members for i in part)}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("hybrid.index.sparse.merging.PIECE", data.draw(st.sampled_from([1, 3, 1000])))
        parts = []
        for number, part in enumerate(members):
            with SegmentWriter(Path(folder) / str(number)) as out:
                from_terms([rows[i] for i in part], fields).write(out, "x")
            parts.append(Segment.open(Path(folder) / str(number)))
        if not parts:
            return
        with SegmentWriter(Path(folder) / "merged") as out:
            SparseRows.merge(parts, "x", np.array([places[i] for i in kept], np.int64), out)
        with SegmentWriter(Path(folder) / "anew") as out:
            from_terms([rows[i] for i in kept], fields).write(out, "x")
        merged, anew = (Path(folder) / name for name in ("merged", "anew"))
        assert merged.read_bytes() == anew.read_bytes()


def test_a_segment_holds_so_many_documents_and_no_more(tmp_path):
    lengths = np.zeros((1, (1 << 24) + 1), np.int32)
    with pytest.raises(StorageError, match="16,777,216"), SegmentWriter(tmp_path / "s") as out:
        PostingsWriter(out, "x", lengths, np.uint8, 1)
