"""Snapshots: docnums, ids, documents, masks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hybrid.errors import CorruptIndexError, NotFoundError
from hybrid.index import Store


@pytest.fixture
def snapshot(store, make, put):
    """a (deleted), b, c · B, a, d: two segments, docnums 0 to 2 and 3 to 5."""
    with store.transaction() as change:
        change.delete(store.snapshot.find(["a"]))
        put(change, [make("d", year=4), make("a", year=9), make("B")])
    return store.snapshot


def test_docnums_follow_ids_inside_a_segment(snapshot):
    assert snapshot.ids(range(6)) == ["a", "b", "c", "B", "a", "d"]
    assert [(view.base, view.size, view.live_count) for view in snapshot.segments] == [(0, 3, 2), (3, 3, 3)]
    assert snapshot.segments[0].live.tolist() == [False, True, True]
    assert snapshot.segments[1].live is None
    assert (snapshot.generation, snapshot.size, snapshot.live) == (2, 6, 5)
    assert snapshot.docnums().tolist() == [1, 2, 3, 4, 5]


def test_ids_are_found_only_where_they_live(snapshot):
    assert snapshot.find(["d", "a", "x", "b"]).tolist() == [5, 4, -1, 1]
    assert snapshot.find([]).tolist() == []
    assert snapshot.docnum("a") == 4
    with pytest.raises(NotFoundError, match="no document with the id 'x' is in the index"):
        snapshot.docnum("x")


def test_deleted_ids_are_not_found_whichever_segment_they_are_in(snapshot, store):
    with store.transaction() as change:
        change.delete(snapshot.find(["b", "d", "a"]))
    assert store.snapshot.find(["a", "b", "c", "d"]).tolist() == [-1, -1, 2, -1]
    with pytest.raises(NotFoundError):
        store.snapshot.docnum("a")


def test_documents_come_in_the_order_asked_for(snapshot, make):
    assert snapshot.documents(np.array([5, 4, 1])) == [
        make("d", year=4),
        make("a", year=9),
        make("b", year=2),
    ]
    assert [document.id for document in snapshot.iterate()] == ["B", "a", "b", "c", "d"]


@pytest.mark.parametrize("docnum", [-1, 6])
def test_other_docnums_are_an_error(snapshot, docnum):
    with pytest.raises(IndexError, match=f"docnum {docnum} is not in a snapshot of 6 documents"):
        snapshot.ids([docnum])


def parts(mask):
    return [None if part is None else part.tolist() for part in mask.parts]


def test_masks_hold_live_documents_that_the_filter_lets_through(snapshot):
    T, F = True, False
    assert parts(snapshot.mask()) == [[F, T, T], None]
    assert snapshot.mask().count == 5
    mask = snapshot.mask({"year": {"$gte": 3}})
    assert parts(mask) == [[F, F, T], [F, T, T]]
    assert mask.count == 3
    assert [mask.lets_through(snapshot, docnum) for docnum in range(6)] == [F, F, T, F, T, T]
    everything = snapshot.mask({"$or": [{"year": {"$exists": True}}, {"year": {"$exists": False}}]})
    assert parts(everything) == [[F, T, T], None]
    assert snapshot.mask({"absent": 1}).count == 0


def test_masks_do_not_write_into_the_snapshot(snapshot):
    snapshot.mask({"year": 2})
    assert snapshot.segments[0].live.tolist() == [False, True, True]
    with pytest.raises(ValueError, match="read-only"):
        snapshot.segments[0].live[0] = True


def test_fields_are_those_of_all_segments(snapshot):
    assert snapshot.fields() == ("year",)


def test_an_empty_snapshot_answers(tmp_path):
    with Store.create(tmp_path / "x", {}) as store, store.transaction():
        snapshot = store.snapshot
    assert (snapshot.size, snapshot.live, snapshot.fields(), snapshot.find(["a"]).tolist()) == (
        0,
        0,
        (),
        [-1],
    )
    assert snapshot.mask({"a": 1}).count == 0
    assert list(snapshot.iterate()) == []
    assert snapshot.docnums().tolist() == []


def test_a_snapshot_outlives_its_folder(snapshot, store, make):
    store.close()
    for path in sorted(store.path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert snapshot.documents([1]) == [make("b", year=2)]
    assert snapshot.mask({"year": 2}).count == 1
    snapshot.verify()


def test_verify_finds_a_damaged_segment(snapshot, store):
    path = snapshot.segments[1].segment.path
    data = bytearray(path.read_bytes())
    data[data.index(b"title of d")] ^= 1
    path.write_bytes(data)
    with Store.open(store.path) as reader, pytest.raises(CorruptIndexError, match=r"documents/titles\.data"):
        reader.snapshot.verify()
    with pytest.raises(CorruptIndexError, match=f"{path.name}.*documents/titles.data"):
        Store.open(store.path, verify=True)


def test_many_threads_see_the_same(snapshot):
    def look(_):
        return parts(snapshot.mask({"year": {"$lt": 4}})), snapshot.ids(snapshot.docnums()), snapshot.fields()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(look, range(200)))
    assert answers == [answers[0]] * 200
    assert answers[0][0] == [[False, True, True], [False, False, False]]
