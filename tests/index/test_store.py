"""Stores and transactions: all or nothing, one writer, readers that never change under one."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from hybrid.errors import (
    CorruptIndexError,
    DuplicateIdError,
    FormatError,
    IndexExistsError,
    IndexLockedError,
    NotAnIndexError,
    ReadOnlyError,
    StorageError,
)
from hybrid.index import DocumentRows, Store
from hybrid.index import store as store_module


def files(folder):
    """The files of an index, without the log that SQLite keeps while a writer has it open."""
    found = (
        path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    )
    return sorted(str(path.relative_to(folder)) for path in found)


def seen(snapshot):
    """What the snapshot holds: live ids, and the branch's numbers in the same order."""
    numbers = [view.segment["n/numbers"] for view in snapshot.segments]
    column = np.concatenate(numbers) if numbers else np.empty(0, np.int64)
    docnums = snapshot.docnums()
    return dict(zip(snapshot.ids(docnums), column[docnums].tolist(), strict=True))


def test_rows_are_sorted_by_id_with_their_documents(store, make, put):
    with store.transaction() as change:
        put(change, [make("dddd"), make("dd"), make("d")])
    assert store.snapshot.ids(range(6)) == ["a", "b", "c", "d", "dd", "dddd"]
    assert seen(store.snapshot) == {"a": 1, "b": 1, "c": 1, "d": 1, "dd": 2, "dddd": 4}


def test_a_commit_is_seen_by_the_writer_at_once_and_by_readers_when_they_refresh(store, make, put):
    with Store.open(store.path) as reader:
        old = reader.snapshot
        with store.transaction() as change:
            change.delete(store.snapshot.find(["b"]))
            put(change, [make("d")])
            assert store.snapshot.generation == 1
        assert store.snapshot.generation == 2
        assert [*seen(store.snapshot)] == ["a", "c", "d"]
        assert reader.snapshot is old
        assert [*seen(old)] == ["a", "b", "c"]
        assert reader.refresh() is True
        assert reader.refresh() is False
        assert [*seen(reader.snapshot)] == ["a", "c", "d"]
        assert [*seen(old)] == ["a", "b", "c"]


def test_refresh_keeps_open_segments_open(store, make, put):
    with Store.open(store.path) as reader:
        first = reader.snapshot.segments[0].segment
        with store.transaction() as change:
            put(change, [make("d")])
        reader.refresh()
        assert reader.snapshot.segments[0].segment is first


def test_several_additions_and_settings_are_one_commit(store, make, put):
    with store.transaction() as change:
        put(change, [make("d")])
        put(change, [make("e"), make("f")])
        change.update_settings({"more": [1, 2]})
        change.delete(np.array([0]))
    assert store.snapshot.generation == 2
    assert [view.size for view in store.snapshot.segments] == [3, 1, 2]
    assert store.settings == {"name": "test", "more": [1, 2]}
    with Store.open(store.path) as reader:
        assert reader.settings == {"name": "test", "more": [1, 2]}
        assert seen(reader.snapshot) == seen(store.snapshot)


def test_an_exception_rolls_everything_back(store, make, put):
    before = files(store.path)
    snapshot = store.snapshot
    with pytest.raises(RuntimeError), store.transaction() as change:  # noqa: PT012
        change.delete(snapshot.find(["a"]))
        put(change, [make("d")])
        change.update_settings({"x": 1})
        raise RuntimeError
    assert store.snapshot is snapshot
    assert store.settings == {"name": "test"}
    assert files(store.path) == before
    with store.transaction() as change:
        put(change, [make("d")])
    assert [*seen(store.snapshot)] == ["a", "b", "c", "d"]


def test_without_a_change_there_is_no_new_generation(store, put):
    with store.transaction() as change:
        change.delete(np.empty(0, np.int64))
        put(change, [])
        change.update_settings({})
    assert store.snapshot.generation == 1


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([["d", "e", "d"]], r"'d' appears twice: documents 0 and 2 \("),
        ([["d", "b"]], "the id 'b' is already in the index"),
        ([["d"], ["e", "d"]], r"'d' appears twice: documents 0 and 2 \("),
    ],
)
def test_ids_stay_unique(store, make, int_rows, batches, message):
    before = files(store.path)
    with pytest.raises(DuplicateIdError, match=message), store.transaction() as change:  # noqa: PT012
        for batch in batches:
            rows = DocumentRows.from_documents([make(id) for id in batch])
            change.add(rows, {"n": int_rows(np.zeros(len(batch), np.int64))})
    assert files(store.path) == before
    assert [*seen(store.snapshot)] == ["a", "b", "c"]


def test_a_document_is_replaced_by_deleting_it_first(store, make, put):
    for year in (7, 8):
        with store.transaction() as change:
            change.delete(store.snapshot.find(["b"]))
            put(change, [make("b", year=year)])
    assert store.snapshot.documents(store.snapshot.find(["b"])) == [make("b", year=8)]
    assert store.snapshot.live == 3


@pytest.mark.parametrize(
    ("docnums", "message"),
    [([1, 1], "given twice"), ([3], r"not in the snapshot: \[3\]"), ([-1], r"not in the snapshot: \[-1\]")],
)
def test_wrong_deletes_are_programming_errors(store, docnums, message):
    with pytest.raises(ValueError, match=message), store.transaction() as change:
        change.delete(np.array(docnums))


def test_nothing_is_deleted_twice(store):
    with pytest.raises(ValueError, match="deleted already"), store.transaction() as change:  # noqa: PT012
        change.delete(np.array([0]))
        change.delete(np.array([0]))
    with store.transaction() as change:
        change.delete(np.array([0]))
    with pytest.raises(ValueError, match="deleted already"), store.transaction() as change:
        change.delete(np.array([1, 0]))
    assert [*seen(store.snapshot)] == ["b", "c"]


@pytest.mark.parametrize("name", ["", "documents", "a/b"])
def test_branches_have_usable_names(store, make, int_rows, name):
    rows = DocumentRows.from_documents([make("d")])
    with pytest.raises(ValueError, match="cannot be named"), store.transaction() as change:
        change.add(rows, {name: int_rows(np.zeros(1, np.int64))})


def test_branches_have_one_row_a_document(store, make, int_rows):
    rows = DocumentRows.from_documents([make("d")])
    with pytest.raises(ValueError, match="'n' has 2 rows for 1 documents"), store.transaction() as change:
        change.add(rows, {"n": int_rows(np.zeros(2, np.int64))})


def test_a_segment_without_live_documents_goes(store, make, put):
    old = store.snapshot.segments[0].segment.path
    with store.transaction() as change:
        change.delete(np.arange(3))
        put(change, [make("d")])
    assert [view.size for view in store.snapshot.segments] == [1]
    assert not old.exists()
    with store.transaction() as change:
        change.delete(np.arange(1))
    assert store.snapshot.segments == ()
    assert files(store.path) == ["catalog.sqlite", "write.lock", "writer.json"]


def test_optimize_merges_the_live_documents_in_order_of_id(store, make, put, int_rows):
    with store.transaction() as change:
        change.delete(store.snapshot.find(["b"]))
        put(change, [make("bb", year=1), make("A")])
        put(change, [make("ccc"), make("b", year=5)])
    expected = {"A": 1, "a": 1, "b": 1, "bb": 2, "c": 1, "ccc": 3}
    stages = []
    before = {document.id: document for document in store.snapshot.iterate()}
    assert store.optimize({"n": int_rows}, lambda *progress: stages.append(progress)) is True
    assert (store.snapshot.generation, store.snapshot.size, len(store.snapshot.segments)) == (3, 6, 1)
    assert store.snapshot.ids(range(6)) == [*expected]
    assert seen(store.snapshot) == expected
    assert {document.id: document for document in store.snapshot.iterate()} == before
    assert stages == [("merge", 0, 2), ("merge", 1, 2), ("merge", 2, 2)]
    assert len(list((store.path / "segments").iterdir())) == 1
    assert store.optimize({"n": int_rows}) is False
    assert store.snapshot.generation == 3


def test_one_segment_with_deleted_documents_is_worth_optimizing(store, int_rows):
    with store.transaction() as change:
        change.delete(np.array([1]))
    assert store.optimize({"n": int_rows}) is True
    assert store.snapshot.ids(range(2)) == ["a", "c"]
    assert store.snapshot.mask({"year": {"$gte": 2}}).parts[0].tolist() == [False, True]


def test_optimize_loses_no_branch(store, make, put, int_rows):
    with store.transaction() as change:
        put(change, [make("d")])
    before = files(store.path)
    for types in ({}, {"n": int_rows, "m": int_rows}):
        with pytest.raises(ValueError, match="rows are given for"):
            store.optimize(types)
    assert files(store.path) == before
    assert store.snapshot.generation == 2


def test_some_segments_can_be_merged(store, make, put, int_rows):
    for id in "de":
        with store.transaction() as change:
            put(change, [make(id)])
    with store.transaction() as change:
        change.replace(store.snapshot.segments[:2], {"n": int_rows})
    assert [view.size for view in store.snapshot.segments] == [1, 4]
    assert [*seen(store.snapshot)] == ["e", "a", "b", "c", "d"]
    with pytest.raises(ValueError, match="only unchanged segments"), store.transaction() as change:  # noqa: PT012
        change.delete(np.array([0]))
        change.replace(store.snapshot.segments, {"n": int_rows})


def test_a_reader_starts_again_if_a_writer_merged_meanwhile(store, make, put, int_rows, monkeypatch):
    with store.transaction() as change:
        put(change, [make("d")])
    real = store_module.read_catalog
    calls = []

    def read_then_merge(path):
        state = real(path)
        if not calls:
            calls.append(state.generation)
            store.optimize({"n": int_rows})
        return state

    monkeypatch.setattr(store_module, "read_catalog", read_then_merge)
    with Store.open(store.path) as reader:
        assert calls == [2]
        assert reader.snapshot.generation == 3
        assert [*seen(reader.snapshot)] == ["a", "b", "c", "d"]


def test_a_missing_or_foreign_segment_is_corruption(store, make, put):
    with store.transaction() as change:
        put(change, [make(id) for id in "def"])
    store.close()
    one, two = (view.segment.path for view in store.snapshot.segments)
    good = one.read_bytes()
    one.unlink()
    with pytest.raises(CorruptIndexError, match=rf"{one.name} is missing"):
        Store.open(store.path)
    shutil.copy(two, one)
    with pytest.raises(CorruptIndexError, match="is not the one that the catalogue describes"):
        Store.open(store.path)
    one.write_bytes(good)
    with Store.open(store.path) as reader:
        assert reader.snapshot.live == 6


def test_one_writer_many_readers(store):
    with pytest.raises(IndexLockedError, match="being written by process"):
        Store.open(store.path, mode="w")
    with pytest.raises(IndexLockedError, match="being written by process"):
        Store.create(store.path, {}, overwrite=True)
    with Store.open(store.path) as one, Store.open(store.path) as two:
        assert one.snapshot.generation == two.snapshot.generation == 1
        with pytest.raises(ReadOnlyError, match="open it with mode='w'"):
            one.transaction()
        with pytest.raises(ReadOnlyError):
            one.optimize({})
    store.close()
    with Store.open(store.path, mode="w") as again:
        assert again.snapshot.live == 3


def test_one_transaction_at_a_time(store):
    with store.transaction(), pytest.raises(IndexLockedError, match=r"a transaction on .* is running"):
        store.transaction()
    with store.transaction():
        pass


def test_a_closed_store_says_so(store):
    store.close()
    store.close()
    for use in (store.transaction, Store.open(store.path).close, store.refresh):
        if use.__self__ is store:
            with pytest.raises(StorageError, match="was closed"):
                use()
    assert store.snapshot.live == 3


def test_a_store_closed_inside_a_transaction_commits_nothing(store, make, put):
    with pytest.raises(StorageError, match="was closed"), store.transaction() as change:  # noqa: PT012
        put(change, [make("d")])
        store.close()
    assert len(list((store.path / "segments").iterdir())) == 1
    with Store.open(store.path) as reader:
        assert reader.snapshot.generation == 1


def test_leftovers_are_swept_when_a_writer_opens(store):
    store.close()
    for name in ("0" * 32 + ".seg", "x.seg", "1" * 32 + ".new"):
        (store.path / "segments" / name).write_bytes(b"left over")
    (store.path / "segments" / "note.txt").write_text("not ours")
    Store.open(store.path).close()
    assert len(list((store.path / "segments").iterdir())) == 5
    Store.open(store.path, mode="w").close()
    kept = sorted(path.name for path in (store.path / "segments").iterdir())
    assert kept == sorted([store.snapshot.segments[0].segment.path.name, "note.txt"])


@pytest.mark.parametrize("mode", ["rw", "", None])
def test_other_modes_are_refused(store, mode):
    with pytest.raises(ValueError, match="it is 'r'"):
        Store.open(store.path, mode=mode)


# Creating


def test_creating_takes_effect_with_the_first_commit(tmp_path):
    path = tmp_path / "deep" / "er"
    with Store.create(path, {"a": 1}) as store:
        with pytest.raises(NotAnIndexError):
            Store.open(path)
        assert store.snapshot.generation == 0
        with store.transaction():
            pass
        with Store.open(path) as reader:
            assert reader.snapshot.generation == 1
            assert reader.settings == {"a": 1}
    assert files(path) == ["catalog.sqlite", "write.lock"]


def test_creation_without_a_commit_leaves_nothing(tmp_path, make, put):
    Store.create(tmp_path / "deep" / "er", {}).close()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    with (
        Store.create(tmp_path / "empty", {}) as store,
        pytest.raises(DuplicateIdError),
        store.transaction() as change,
    ):
        put(change, [make("a"), make("a")])
    assert [*tmp_path.rglob("*")] == [tmp_path / "empty"]


def test_creating_as_a_block_keeps_or_undoes(tmp_path):
    with Store.creating(tmp_path / "kept", {}) as store, store.transaction():
        pass
    assert store.transaction() is not None
    store.close()
    with pytest.raises(RuntimeError), Store.creating(tmp_path / "undone", {}):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_an_index_that_is_there_is_not_overwritten_unasked(store):
    store.close()
    with pytest.raises(IndexExistsError, match=r"holds an index already; open it .* overwrite=True"):
        Store.create(store.path, {})
    with Store.open(store.path) as reader:
        assert reader.snapshot.live == 3


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_peoples_folders_are_left_alone(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "segments").mkdir()
    (tmp_path / "parts" / "segments" / "x.seg").write_text("segments without a catalogue")
    for path in (tmp_path, tmp_path / "parts"):
        with pytest.raises(NotAnIndexError, match=r"is not empty and holds no index \(it holds"):
            Store.create(path, {}, overwrite=overwrite)
    with pytest.raises(NotAnIndexError, match=r"thesis.tex is a file; an index is a folder"):
        Store.create(tmp_path / "thesis.tex", {}, overwrite=overwrite)
    (tmp_path / "catalog.sqlite").write_text("not a database")
    with pytest.raises(NotAnIndexError, match="is not a catalogue of hybrid"):
        Store.create(tmp_path, {}, overwrite=True)
    assert files(tmp_path) == ["catalog.sqlite", "parts/segments/x.seg", "thesis.tex"]


def test_overwriting_replaces_all_with_the_first_commit(store, make, put):
    store.close()
    with Store.open(store.path) as reader:
        with Store.create(store.path, {"new": 1}, overwrite=True) as new:
            assert new.snapshot.live == 0
            assert new.settings == {"new": 1}
            assert not reader.refresh()
            with new.transaction() as change:
                put(change, [make("b", year=99)])
            assert new.snapshot.generation == 2
        assert reader.refresh()
        assert reader.settings == {"new": 1}
        assert reader.snapshot.documents([0]) == [make("b", year=99)]
    assert len(list((store.path / "segments").iterdir())) == 1


def test_overwriting_without_a_commit_keeps_the_old_index(store, make, put):
    store.close()
    before = files(store.path)
    Store.create(store.path, {"new": 1}, overwrite=True).close()
    with (
        pytest.raises(DuplicateIdError),
        Store.creating(store.path, {}, overwrite=True) as new,
        new.transaction() as change,
    ):
        put(change, [make("x"), make("x")])
    assert files(store.path) == before
    with Store.open(store.path) as reader:
        assert reader.settings == {"name": "test"}
        assert [*seen(reader.snapshot)] == ["a", "b", "c"]


def test_what_cannot_be_read_is_not_overwritten(store):
    store.close()
    with closing(sqlite3.connect(store.path / "catalog.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(FormatError, match=r"format version 7.*; to replace the index all the same, delete"):
        Store.create(store.path, {}, overwrite=True)
    assert len(list((store.path / "segments").iterdir())) == 1


def test_settings_must_be_json(tmp_path, store):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Store.create(tmp_path / "x", {"a": float("nan")})
    with pytest.raises(TypeError, match="not JSON serializable"), store.transaction() as change:
        change.update_settings({"a": object()})
    assert not (tmp_path / "x").exists()


def test_opening_what_is_no_index_leaves_nothing(tmp_path):
    for mode in ("r", "w"):
        with pytest.raises(NotAnIndexError, match="holds no index"):
            Store.open(tmp_path, mode=mode)
        with pytest.raises(NotAnIndexError, match="holds no index"):
            Store.open(tmp_path / "absent", mode=mode)
    assert list(tmp_path.iterdir()) == []
