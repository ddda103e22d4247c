"""Backups, restores, moves, and exports that another index takes in."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import hybrid
from hybrid.index.segment import Segment

PIPELINE = hybrid.Pipeline(
    branches=[
        hybrid.BM25(analyzer="simple"),
        hybrid.Sparse(),
        hybrid.Dense(model=None, dimension=3),
        hybrid.Multivector(dimension=2),
    ]
)
QUERY = hybrid.Query(
    "word ant", {"dense": [1, 2, 0], "sparse": {"ant": 1.0}, "multivector": [[1, 0], [0, 1]]}
)


def document(n, **options):
    vectors = {
        "dense": np.float32([n, 1, -n]),
        "sparse": {"ant": n / 4, "bee": 1.5} if n % 3 else {},
        "multivector": np.float32([[n, 1], [0.5, -1]][: 1 + n % 2]),
    }
    metadata = {"n": n, "tags": ["a", {"b": None}]} if n % 2 else {}
    return hybrid.Document(f"d{n:02}", f"word {n} \n é", f"title {n}", metadata, vectors, **options)


DOCUMENTS = [document(n) for n in range(12)] + [document(12, expires=datetime(2100, 1, 1, tzinfo=UTC))]


@pytest.fixture
def index(tmp_path):
    with hybrid.create(tmp_path / "index", DOCUMENTS[:8], PIPELINE) as opened:
        opened.add(DOCUMENTS[8:])
        opened.update([document(3)])
        opened.delete(["d05"])
        yield opened


def hits(index):
    return index.search(QUERY, 20).hits


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# --- backups -------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", [False, True])
def test_a_backup_is_an_index_of_its_own(index, tmp_path, link):
    expected, versions = hits(index), [index.version(f"d{n:02}") for n in (0, 3, 9)]
    assert index.backup(tmp_path / "backup", link=link) == index.generation == 4
    inodes = [path.stat().st_nlink for path in (tmp_path / "backup" / "segments").iterdir()]
    assert set(inodes) == {2 if link else 1}
    index.delete(where={})
    with hybrid.open(tmp_path / "backup", "w") as copy:
        assert copy.generation == 4
        assert hits(copy) == expected
        assert [copy.version(f"d{n:02}") for n in (0, 3, 9)] == versions
        copy.add([document(20)])
    assert len(index) == 0


def test_a_backup_does_not_touch_what_is_there(index, tmp_path):
    index.backup(tmp_path / "backup")
    with pytest.raises(hybrid.IndexExistsError):
        index.backup(tmp_path / "backup")
    with pytest.raises(hybrid.IndexExistsError):
        index.backup(index.path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(hybrid.NotAnIndexError):
        index.backup(tmp_path / "other")
    assert files(tmp_path / "other") == ["letter.txt"]


def test_a_damaged_index_is_not_backed_up(index, tmp_path):
    path = max((index.path / "segments").iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    index.close()
    path.write_bytes(content)
    with (
        hybrid.open(index.path) as reader,
        pytest.raises(hybrid.CorruptIndexError, match=path.name) as caught,
    ):
        reader.backup(tmp_path / "backup")
    assert str(index.path) in str(caught.value)
    assert not (tmp_path / "backup").exists()


def test_a_backup_while_the_index_changes_is_one_of_its_states(index, tmp_path):
    """Every commit adds one document and deletes the one before; so each state holds exactly one of them."""
    stop = threading.Event()

    def change():
        n = 100
        while not stop.is_set():
            index.update([document(n)])
            index.delete([f"d{n - 1:02}"], missing="ignore")
            n += 1

    reader = hybrid.open(index.path)
    writing = threading.Thread(target=change)
    writing.start()
    try:
        for n in range(6):
            reader.refresh()
            target = tmp_path / f"backup-{n}"
            generation = (index if n % 2 else reader).backup(target)
            with hybrid.open(target) as copy:
                assert copy.generation == generation
                assert sum(len(d.id) > 3 for d in copy.documents()) in (0, 1, 2)
                assert len(hits(copy)) == len(copy)
    finally:
        stop.set()
        writing.join()
        reader.close()


def test_a_file_that_was_merged_away_is_still_backed_up(index, tmp_path):
    with hybrid.open(index.path) as reader:
        expected = hits(reader)
        index.optimize()
        reader.backup(tmp_path / "backup", link=True)
    with hybrid.open(tmp_path / "backup") as copy:
        assert hits(copy) == expected
        assert copy.stats().segments > 1


def test_restore_puts_a_backup_back(index, tmp_path):
    expected = hits(index)
    index.backup(tmp_path / "backup")
    index.optimize()
    index.delete(where={})
    reader = hybrid.open(index.path)
    with pytest.raises(hybrid.IndexExistsError):
        hybrid.restore(tmp_path / "backup", index.path)
    with pytest.raises(hybrid.IndexLockedError):
        hybrid.restore(tmp_path / "backup", index.path, overwrite=True)
    before = index.generation
    index.close()
    assert hybrid.restore(tmp_path / "backup", index.path, overwrite=True) == before + 1
    assert reader.refresh()
    assert hits(reader) == expected
    reader.close()
    assert hybrid.restore(tmp_path / "backup", tmp_path / "new" / "place") == 4
    for folder in (index.path, tmp_path / "new" / "place"):
        with hybrid.open(folder, "w") as restored:
            assert hits(restored) == expected
            assert sorted(view.uuid + ".seg" for view in restored._store.snapshot.segments) == sorted(
                path.name for path in (folder / "segments").iterdir()
            )


def test_restore_replaces_a_damaged_segment_of_the_same_name(index, tmp_path):
    expected = hits(index)
    index.backup(tmp_path / "backup")
    index.close()
    for path in (index.path / "segments").iterdir():
        content = bytearray(path.read_bytes())
        content[200] ^= 1
        path.write_bytes(content)
    hybrid.restore(tmp_path / "backup", index.path, overwrite=True)
    with hybrid.open(index.path) as restored:
        assert hits(restored) == expected


def test_a_damaged_backup_changes_nothing(index, tmp_path):
    index.backup(tmp_path / "backup")
    path = next((tmp_path / "backup" / "segments").iterdir())
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    index.close()
    before = files(index.path)
    with pytest.raises(hybrid.CorruptIndexError):
        hybrid.restore(tmp_path / "backup", index.path, overwrite=True)
    with pytest.raises(hybrid.NotAnIndexError):
        hybrid.restore(tmp_path, index.path, overwrite=True)
    assert files(index.path) == before


def test_a_full_disk_leaves_no_backup(index, tmp_path, monkeypatch):
    opened = []

    def full(path, source):
        opened.append(path)
        if len(opened) == 2:
            raise OSError(28, "No space left on device")
        return Segment.open(path)

    monkeypatch.setattr("hybrid.index.moving._checked", full)
    with pytest.raises(hybrid.StorageError, match="No space left"):
        index.backup(tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_an_index_can_be_moved(index, tmp_path):
    expected = hits(index)
    index.close()
    shutil.move(index.path, tmp_path / "elsewhere")
    shutil.copytree(tmp_path / "elsewhere", tmp_path / "copied")
    for folder in (tmp_path / "elsewhere", tmp_path / "copied"):
        with hybrid.open(folder, "w") as moved:
            assert hits(moved) == expected
            moved.add([document(30)])
            moved.optimize()


# --- exports -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz", "all.parquet"])
def test_an_export_is_taken_in_as_it_was(index, tmp_path, name):
    assert index.export(tmp_path / name) == len(index) == 12
    found = [*hybrid.read_export(tmp_path / name)]
    assert [replace(d, expires=None) for d in found] == [replace(d, expires=None) for d in index.documents()]
    assert [d.expires for d in found].count(4_102_444_800) == 1
    with hybrid.create(tmp_path / "second", found, PIPELINE) as second:
        assert hits(second) == hits(index)
        assert [*second.documents()] == [*index.documents()]
        assert second.get("d12").expires == datetime(2100, 1, 1, tzinfo=UTC)


class Encoder:
    dimension, normalized = 2, False

    def fingerprint(self):
        return {"model": "lengths"}

    def encode_documents(self, texts, progress=None):
        return hybrid.DenseBatch(np.float32([[len(text), 1] for text in texts]), np.zeros(len(texts), bool))

    encode_queries = encode_documents


def test_vectors_that_a_model_made_can_be_exported(tmp_path):
    pipeline = hybrid.Pipeline(branches=[hybrid.Dense(model="lengths")], passages=None)
    texts = [{"id": "a", "text": "aaa"}, {"id": "b", "text": "bb"}]
    with hybrid.create(
        tmp_path / "index", texts, pipeline, encoders={"lengths": Encoder()}, cache="off"
    ) as index:
        index.export(tmp_path / "needed.jsonl")
        index.export(tmp_path / "all.parquet", vectors="all")
        index.export(tmp_path / "all.jsonl", vectors="all")
        index.export(tmp_path / "none.jsonl", vectors="none")
        with pytest.raises(hybrid.InputError, match="'needed', 'all' or 'none'"):
            index.export(tmp_path / "x.jsonl", vectors="some")
    assert [d.vectors for d in hybrid.read_export(tmp_path / "needed.jsonl")] == [{}, {}]
    assert (tmp_path / "needed.jsonl").read_text() == (tmp_path / "none.jsonl").read_text()
    for name in ("all.parquet", "all.jsonl"):
        found = [d.vectors["dense"] for d in hybrid.read_export(tmp_path / name)]
        assert found == [[3.0, 1.0], [2.0, 1.0]]


def test_vectors_of_passages_cannot_be_exported(tmp_path):
    pipeline = hybrid.Pipeline(branches=[hybrid.Dense(model="lengths")])  # cuts long documents
    texts = [{"id": "a", "text": "one two three. four five six."}]
    options = {"encoders": {"lengths": Encoder()}, "cache": "off"}
    with hybrid.create(tmp_path / "index", texts, pipeline, **options) as index:
        with pytest.raises(hybrid.InputError, match="passages"):
            index.export(tmp_path / "x.jsonl", vectors="all")
        assert index.export(tmp_path / "x.jsonl") == 1
        assert [*hybrid.read_export(tmp_path / "x.jsonl")] == [*index.documents()]


def test_an_empty_index_is_exported(tmp_path):
    with hybrid.create(tmp_path / "index", pipeline=PIPELINE) as index:
        for name in ("x.jsonl", "x.parquet"):
            assert index.export(tmp_path / name) == 0
            assert [*hybrid.read_export(tmp_path / name)] == []


def test_what_is_no_export_is_refused(index, tmp_path):
    with pytest.raises(hybrid.InputError, match=r"\.jsonl, \.jsonl\.gz or \.parquet"):
        index.export(tmp_path / "x.csv")
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a"], "text": ["b"]}), tmp_path / "table.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with gzip.open(tmp_path / "bad.jsonl.gz", "wt") as file:
        file.write(json.dumps({"_id": "a", "text": "b", "_expires": "soon"}))
    for name, said in [
        ("table.parquet", "no column expires, metadata, title"),
        ("text.parquet", "cannot be read as Parquet"),
        ("absent.parquet", "no file"),
        ("bad.jsonl.gz", "_expires"),
    ]:
        with pytest.raises(hybrid.CorpusError, match=said):
            [*hybrid.read_export(tmp_path / name)]
