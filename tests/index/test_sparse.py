"""Rows of terms: counting, selecting, merging, and their postings on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.index import Segment, SegmentWriter
from hybrid.index.sparse import Postings, SparseRows

DOCUMENTS = [[["b", "a", "b"], ["c"]], [[], []], [["c"], ["c", "a", "a"]]]


def content(rows: SparseRows) -> list:
    """Each document as (lengths, {term: counts})."""
    vocabulary = [*rows.vocabulary]
    return [
        (
            rows.lengths[:, row].tolist(),
            {
                vocabulary[rows.terms[e]]: rows.counts[:, e].tolist()
                for e in range(*rows.indptr[row : row + 2])
            },
        )
        for row in range(len(rows))
    ]


def assert_same(one: SparseRows, other: SparseRows) -> None:
    assert [*one.vocabulary] == [*other.vocabulary]
    for name in ("indptr", "terms", "counts", "lengths"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, name)


def test_counting_by_hand():
    rows = SparseRows.from_terms(DOCUMENTS, fields=2)
    assert len(rows) == 3
    assert [*rows.vocabulary] == [b"a", b"b", b"c"]
    assert rows.indptr.tolist() == [0, 3, 3, 5]
    assert rows.terms.tolist() == [0, 1, 2, 0, 2]
    assert rows.counts.tolist() == [[1, 2, 0, 0, 1], [0, 0, 1, 2, 1]]
    assert rows.lengths.tolist() == [[3, 0, 1], [1, 0, 3]]
    assert (rows.indptr.dtype, rows.terms.dtype) == (np.int64, np.int32)
    assert (rows.counts.dtype, rows.lengths.dtype) == (np.uint8, np.int32)


def test_postings_by_hand(tmp_path):
    with SegmentWriter(tmp_path / "s") as out:
        SparseRows.from_terms(DOCUMENTS, fields=2).write(out, "x")
    postings = Postings.of(Segment.open(tmp_path / "s"), "x")
    found = {}
    for term in "abc":
        entries = postings.entries(postings.find(term))
        found[term] = postings.docs[entries].tolist(), postings.counts[:, entries].tolist()
    assert found == {"a": ([0, 2], [[1, 0], [0, 2]]), "b": ([0], [[2], [0]]), "c": ([0, 2], [[0, 1], [1, 1]])}
    assert [postings.find(term) for term in ("", "aa", "d", "ab", "c")] == [-1, -1, -1, -1, 2]
    assert (postings.indptr.dtype, postings.docs.dtype) == (np.int64, np.int32)


@pytest.mark.parametrize(("count", "dtype"), [(255, np.uint8), (256, np.uint16), (65536, np.uint32)])
def test_counts_take_the_smallest_type(count, dtype):
    rows = SparseRows.from_terms([[["a"] * count], [["a"]]])
    assert rows.counts.tolist() == [[count, 1]]
    assert rows.counts.dtype == dtype
    assert rows.take(np.array([1])).counts.dtype == np.uint8


def test_any_character_is_a_term(tmp_path):
    terms = ["\ud800", "\x00", "a\x00", "a", "", "\uffff", "\U0001f600", "語", "\udfff"]
    rows = SparseRows.from_terms([[terms]])
    with SegmentWriter(tmp_path / "s") as out:
        rows.write(out, "x")
    postings = Postings.of(Segment.open(tmp_path / "s"), "x")
    assert [t.decode(errors="surrogatepass") for t in postings.vocabulary] == sorted(terms)
    assert [sorted(terms)[postings.find(term)] for term in terms] == terms


@pytest.mark.parametrize("fields", [1, 2])
def test_nothing_to_count(tmp_path, fields):
    for documents in ([], [[[]] * fields], [[[]] * fields] * 3):
        rows = SparseRows.from_terms(documents, fields)
        assert len(rows) == len(documents)
        assert rows.lengths.shape == (fields, len(documents))
        assert rows.counts.shape == (fields, 0)
        with SegmentWriter(tmp_path / f"{len(documents)}") as out:
            rows.write(out, "x")
        assert_same(SparseRows.read(Segment.open(tmp_path / f"{len(documents)}"), "x"), rows)
        assert Postings.of(Segment.open(tmp_path / f"{len(documents)}"), "x").find("a") == -1


def test_a_wrong_number_of_fields():
    with pytest.raises(ValueError, match=r"document 1 has 2 fields; 1 are expected"):
        SparseRows.from_terms([[["a"]], [["a"], ["b"]]])
    with pytest.raises(ValueError, match="fields"):
        SparseRows.concat([SparseRows.from_terms([[[]]]), SparseRows.from_terms([[[], []]], 2)])


def test_weights_stay_floats():
    rows = SparseRows.from_terms([[["a", "b"]], [["b"]]])
    learned = SparseRows(
        rows.vocabulary, rows.indptr, rows.terms, np.float32([[0.5, 1.5, 2.5]]), rows.lengths
    )
    taken = learned.take(np.array([1, 0]))
    assert taken.counts.dtype == np.float32
    assert taken.counts.tolist() == [[2.5, 0.5, 1.5]]


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
    whole = SparseRows.from_terms(rows, fields)
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
    joined = SparseRows.concat([SparseRows.from_terms(piece, fields) for piece in pieces])
    assert content(joined) == expected
    some = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), unique=True)) if rows else [], np.int64)
    assert_same(joined.take(some), SparseRows.from_terms([rows[i] for i in some], fields))


@settings(deadline=None)
@given(documents)
def test_the_disk_keeps_everything(drawn):
    fields, rows = drawn
    whole = SparseRows.from_terms(rows, fields)
    with tempfile.TemporaryDirectory() as folder:
        with SegmentWriter(Path(folder) / "s") as out:
            whole.write(out, "x")
        segment = Segment.open(Path(folder) / "s", verify=True)
        assert_same(SparseRows.read(segment, "x"), whole)
        postings = Postings.of(segment, "x")
        for number, term in enumerate(whole.vocabulary):
            entries = postings.entries(number)
            holders = [row for row, (_, counts) in enumerate(content(whole)) if term in counts]
            assert postings.docs[entries].tolist() == holders
            expected = [content(whole)[row][1][term] for row in holders]
            assert postings.counts[:, entries].T.tolist() == expected
