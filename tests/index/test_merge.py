"""Merging: a merged segment is, byte for byte, the segment that was written at once."""

from __future__ import annotations

import errno
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.errors import DuplicateIdError, StorageError
from hybrid.index import DocumentRows, Segment, SegmentView, SegmentWriter, Store
from hybrid.index import merge as merge_module
from hybrid.index import strings as strings_module
from hybrid.index import transaction as transaction_module
from hybrid.index.documents import PREFIX
from hybrid.index.merge import order_by_id
from hybrid.index.seen import SeenIds
from hybrid.index.spool import Spool
from hybrid.types import Document

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([1.0, -0.0, 2.5, 2.0**70]),
    st.text(max_size=2),
)
NESTED = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
METADATA = st.dictionaries(st.sampled_from(["a", "b", "a.b", "ü"]), NESTED, max_size=3)
DOCUMENTS = st.lists(
    st.builds(Document, id=st.text("abcß", min_size=1), text=st.text(max_size=9), metadata=METADATA),
    max_size=12,
    unique_by=lambda document: document.id,
)


def write(path, documents, sources=()):
    rows = DocumentRows.from_documents(documents)
    with SegmentWriter(path, sources) as out:
        rows.take(rows.order()).write(out, PREFIX)
    return Segment.open(path)


@settings(deadline=None)
@given(documents=DOCUMENTS, data=st.data())
def test_merged_segments_equal_one_written_at_once(documents, data):
    piece, at_once = data.draw(st.sampled_from([(1, 1), (7, 2), (1 << 23, 1 << 17)]))
    which = data.draw(st.lists(st.integers(0, 2), min_size=len(documents), max_size=len(documents)))
    live = data.draw(st.lists(st.booleans(), min_size=len(documents), max_size=len(documents)))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(strings_module, "PIECE", piece)
        patch.setattr(merge_module, "_SORTED_AT_ONCE", at_once)
        views, base = [], 0
        ordered = sorted(zip(documents, live, strict=True), key=lambda pair: pair[0].id)
        for part in range(3):
            own = [pair for pair, number in zip(ordered, which, strict=True) if number == part]
            segment = write(Path(folder) / f"part{part}", [document for document, _ in own])
            mask = np.array([alive for _, alive in own], np.bool_)
            views.append(SegmentView(segment, str(part), base, len(own), mask))
            base += len(own)
        with SegmentWriter(Path(folder) / "merged") as out:
            count = merge_module.merge(views, {}, out)
        kept = [document for document, alive in zip(documents, live, strict=True) if alive]
        write(Path(folder) / "anew", kept)
        assert count == len(kept)
        merged, anew = (Path(folder) / name for name in ("merged", "anew"))
        assert merged.read_bytes() == anew.read_bytes()


@given(ids=st.lists(st.integers(0, 200), unique=True), parts=st.integers(1, 5), at_once=st.integers(1, 20))
def test_ids_are_sorted_range_by_range(ids, parts, at_once):
    names = [f"{number}" for number in ids]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(merge_module, "_SORTED_AT_ONCE", at_once)
        views, base, every = [], 0, []
        for part in range(parts):
            own = sorted(names[part::parts])
            segment = write(Path(folder) / f"{part}", [Document(id, "") for id in own])
            views.append(SegmentView(segment, f"{part}", base, len(own), None))
            base += len(own)
            every += own
        assert [every[n] for n in order_by_id(views)] == sorted(names)


def test_a_transaction_merges_what_it_added_before_anyone_sees_it(store, make, put, int_rows):
    with Store.open(store.path) as reader:
        with store.transaction() as change:
            for ids in (["z", "d"], ["e"], ["y", "f"]):
                put(change, [make(id, of=id) for id in ids])
            change.delete(store.snapshot.find(["b"]))
            change.consolidate({"n": int_rows})
            assert len(list((store.path / "segments").iterdir())) == 2
            assert reader.refresh() is False
            put(change, [make("g")])
            with pytest.raises(DuplicateIdError, match=r"'y' appears twice: documents 3 and 6 \("):
                put(change, [make("y")])
        assert reader.refresh() is True
        assert [view.size for view in reader.snapshot.segments] == [3, 5, 1]
        assert [document.id for document in reader.snapshot.iterate()] == [*"acdefgyz"]
        assert reader.snapshot.documents([3]) == [make("d", of="d")]
        reader.snapshot.verify()


def test_what_is_not_made_for_searching_is_never_committed(store, make, int_rows):
    def put(change, id):
        rows = {"n": int_rows(np.array([1], np.int64))}
        change.add(DocumentRows.from_documents([make(id)]), rows, passing=True)

    files = len(list((store.path / "segments").iterdir()))
    with pytest.raises(ValueError, match="consolidate"), store.transaction() as change:
        put(change, "d")
    assert len(list((store.path / "segments").iterdir())) == files
    with store.transaction() as change:
        put(change, "d")
        change.consolidate({"n": int_rows})
    assert store.snapshot.find(["d"])[0] >= 0


def test_a_failed_transaction_leaves_no_merged_file(store, make, put, int_rows):
    before = sorted(path.name for path in (store.path / "segments").iterdir())
    with pytest.raises(KeyError), store.transaction() as change:  # noqa: PT012
        put(change, [make("d")])
        put(change, [make("e")])
        change.consolidate({"n": int_rows})
        raise KeyError
    assert sorted(path.name for path in (store.path / "segments").iterdir()) == before


def test_consolidated_segments_stay_small_enough(store, make, put, int_rows, monkeypatch):
    monkeypatch.setattr(transaction_module, "MOST_DOCUMENTS", 3)
    with store.transaction() as change:
        for ids in ("de", "f", "gh", "ijk"):
            put(change, [make(id) for id in ids])
        change.consolidate({"n": int_rows})
    assert [view.size for view in store.snapshot.segments] == [3, 2, 3, 3]


def test_a_repeated_hash_is_no_repeated_id(store, make, put, monkeypatch):
    monkeypatch.setattr("hybrid.index.seen._hashes", lambda ids: np.zeros(len(ids), np.int64))
    with store.transaction() as change:
        for ids in ("de", "f", "gh"):
            put(change, [make(id) for id in ids])
        with pytest.raises(DuplicateIdError, match="'f' appears twice"):
            put(change, [make("f")])
    assert store.snapshot.live == 8


def test_adding_may_replace(store, make):
    rows = DocumentRows.from_documents([make("d"), make("b", year=9)])
    with store.transaction() as change:
        change.add(rows, {}, replace=True)
    assert store.snapshot.documents(store.snapshot.find(["b"])) == [make("b", year=9)]
    assert [document.id for document in store.snapshot.iterate()] == [*"abcd"]


@given(batches=st.lists(st.lists(st.integers(0, 30), unique=True, max_size=9), max_size=6))
def test_seen_ids_are_found_with_their_positions(batches):
    seen, positions, count = SeenIds(), {}, 0
    for batch in batches:
        ids = [b"%d" % number for number in batch]
        found = set(seen.suspects(ids))
        assert {(row, at) for row, id in enumerate(ids) for at in positions.get(id, ())} == found
        seen.add(ids)
        for row, id in enumerate(ids):
            positions.setdefault(id, set()).add(count + row)
        count += len(ids)
    assert seen.count == count


def test_a_spool_gives_back_what_was_added(tmp_path, monkeypatch):
    monkeypatch.setattr("hybrid.index.spool._PIECE", 8)
    with Spool(tmp_path, np.int32) as spool:
        for values in ([1, 2, 3], [], [4], range(5, 30)):
            spool.add(np.array(values, np.int64))
        assert [int(value) for piece in spool for value in piece] == [*range(1, 30)]
        assert spool.count == 29
    assert list(tmp_path.iterdir()) == []


def test_what_the_disk_refuses_a_spool_is_named(tmp_path):
    """What still waits in a buffer is written when it is read again."""

    class Full(io.BytesIO):
        def seek(self, *_):
            raise OSError(errno.ENOSPC, "No space left on device")

    with Spool(tmp_path, np.int32) as spool:
        spool.add(np.arange(3))
        spool._file._file = Full()
        with pytest.raises(StorageError, match=f"cannot write in {tmp_path}: No space left on device"):
            list(spool)
