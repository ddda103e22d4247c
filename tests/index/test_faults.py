"""A disk that refuses at any point, and a process that dies at any point."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hybrid.errors import StorageError
from hybrid.index import Store
from hybrid.index import segment as segment_module
from hybrid.index import store as store_module

ROOT = Path(__file__).resolve().parents[2]


def ids(store):
    return [document.id for document in store.snapshot.iterate()]


def files(folder):
    """The files of an index, without the log that SQLite keeps while a writer has it open."""
    found = (
        path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    )
    return sorted(str(path.relative_to(folder)) for path in found)


class Refusing:
    """Stands for a system call, and fails at its n-th use."""

    def __init__(self, real, n, code):
        self.real, self.left, self.code = real, n, code

    def __call__(self, *arguments):
        self.left -= 1
        if self.left == 0:
            raise OSError(self.code, os.strerror(self.code))
        return self.real(*arguments)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_refusing_disk_changes_nothing(store, make, put, monkeypatch, call, code):
    before = files(store.path)
    real = getattr(os, call)
    for n in range(1, 200):
        refusing = Refusing(real, n, code)
        monkeypatch.setattr(os, call, refusing)
        try:
            with store.transaction() as change:
                change.delete(store.snapshot.find(["a"]))
                put(change, [make("d"), make("e")])
        except StorageError as error:
            message = str(error)
            assert os.strerror(code) in message
            assert ".seg" in message
            monkeypatch.setattr(os, call, real)
            assert files(store.path) == before
            assert ids(store) == ["a", "b", "c"]
            with Store.open(store.path) as reader:
                assert (reader.snapshot.generation, ids(reader)) == (1, ["a", "b", "c"])
        else:
            break
    assert refusing.left > 0
    assert n > (20 if call == "write" else 2)
    assert ids(store) == ["b", "c", "d", "e"]
    with Store.open(store.path, verify=True) as reader:
        assert ids(reader) == ["b", "c", "d", "e"]


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "mkdir", "open"])
def test_a_refusing_disk_during_creation_leaves_nothing(tmp_path, make, put, monkeypatch, call):
    real = getattr(os, call)
    failed = 0
    for n in range(1, 200):
        refusing = Refusing(real, n, errno.ENOSPC)
        monkeypatch.setattr(os, call, refusing)
        try:
            with Store.creating(tmp_path / "new" / "index", {}) as store, store.transaction() as change:
                put(change, [make("a")])
        except StorageError as error:
            monkeypatch.setattr(os, call, real)
            message = str(error)
            assert os.strerror(errno.ENOSPC) in message
            failed += 1
            if list(tmp_path.iterdir()):  # the catalogue was in place, and only its folder's fsync failed
                assert call in ("fsync", "open")
                with Store.open(tmp_path / "new" / "index") as reader:
                    assert ids(reader) == ["a"]
                return
        else:
            break
    monkeypatch.setattr(os, call, real)
    assert failed > 0
    assert ids(store) == ["a"]
    store.close()


def test_a_refused_optimize_keeps_everything(store, make, put, int_rows, monkeypatch):
    with store.transaction() as change:
        change.delete(store.snapshot.find(["a"]))
        put(change, [make("d")])
    before = files(store.path)
    monkeypatch.setattr(os, "write", Refusing(os.write, 5, errno.ENOSPC))
    with pytest.raises(StorageError, match="No space left on device"):
        store.optimize({"n": int_rows})
    monkeypatch.undo()
    assert files(store.path) == before
    assert store.optimize({"n": int_rows})
    assert ids(store) == ["b", "c", "d"]


def test_a_refused_catalogue_keeps_everything(store, make, put, monkeypatch):
    before = files(store.path)

    def refuse(*_):
        raise StorageError("the disk is full")

    monkeypatch.setattr(store_module, "write_catalog", refuse)
    with pytest.raises(StorageError, match="the disk is full"), store.transaction() as change:
        put(change, [make("d")])
    monkeypatch.undo()
    assert files(store.path) == before
    with store.transaction() as change:
        put(change, [make("d")])
    assert (store.snapshot.generation, ids(store)) == (2, ["a", "b", "c", "d"])


def test_a_first_commit_that_was_refused_can_be_tried_again(tmp_path, make, put, monkeypatch):
    def refuse(*_):
        raise StorageError("the disk is full")

    with Store.create(tmp_path / "index", {"k": 1}) as store:
        monkeypatch.setattr(store_module, "install_catalog", refuse)
        with pytest.raises(StorageError, match="the disk is full"), store.transaction() as change:
            put(change, [make("a")])
        monkeypatch.undo()
        with store.transaction() as change:
            put(change, [make("b")])
    with Store.open(tmp_path / "index") as reader:
        assert (reader.snapshot.generation, ids(reader), reader.settings) == (1, ["b"], {"k": 1})


def test_a_commit_of_unknown_outcome_keeps_its_files_and_ends_the_store(store, make, put, monkeypatch):
    real = store_module.write_catalog

    def succeed_and_fail(*arguments):
        real(*arguments)
        raise StorageError("no answer from the disk")

    monkeypatch.setattr(store_module, "write_catalog", succeed_and_fail)
    with pytest.raises(StorageError, match="no answer"), store.transaction() as change:
        put(change, [make("d")])
    monkeypatch.undo()
    with pytest.raises(StorageError, match="failed half-way; close the index and open it again"):
        store.transaction()
    store.close()
    with Store.open(store.path, mode="w", verify=True) as again:
        assert (again.snapshot.generation, ids(again)) == (2, ["a", "b", "c", "d"])


CHILD = """
import os, sys
from hybrid.index import DocumentRows, Store, segment, store as store_module
from hybrid.types import Document

path, action, step = sys.argv[1:]

def die(*_):
    os._exit(42)

def after(module, name):
    real = getattr(module, name)
    def wrapped(*arguments, **options):
        real(*arguments, **options)
        die()
    setattr(module, name, wrapped)

match step:
    case "during the segment":
        segment.sync_folder = die
    case "after the segment":
        after(segment.SegmentWriter, "close")
    case "before the commit":
        store_module.write_catalog = die
    case "inside the commit":
        from hybrid.index import catalog
        catalog._write_changes = (lambda real: lambda *a: (real(*a), die()))(catalog._write_changes)
    case "after the commit":
        after(store_module, "write_catalog")
    case "before the first name":
        store_module.install_catalog = die
    case "after the first name":
        after(store_module, "install_catalog")

def add(store, ids):
    with store.transaction() as change:
        change.delete(store.snapshot.find(ids)[store.snapshot.find(ids) >= 0])
        change.add(DocumentRows.from_documents([Document(id, text="new") for id in ids]), {})

match action:
    case "add":
        add(Store.open(path, mode="w"), ["b", "d"])
    case "optimize":
        Store.open(path, mode="w").optimize({})
    case "create":
        add(Store.create(path, {}), ["b", "d"])
    case "overwrite":
        add(Store.create(path, {}, overwrite=True), ["b", "d"])
os._exit(7)
"""


def crash(path, action, step):
    command = [sys.executable, "-c", CHILD, str(path), action, step]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert child.returncode == 42, child.stderr.decode()


def contents(store):
    return {document.id: document.text for document in store.snapshot.iterate()}


BEFORE = {"a": "", "b": "", "c": ""}
AFTER = {"a": "", "b": "new", "c": "", "d": "new"}
EARLY = ["during the segment", "after the segment", "before the commit", "inside the commit"]


@pytest.fixture
def plain(tmp_path):
    """An index of a, b, c in two segments, without branches, closed, with one deleted document."""
    from hybrid.index import DocumentRows
    from hybrid.types import Document

    path = tmp_path / "plain"
    with Store.create(path, {}) as store:
        for batch in (["a", "x"], ["b", "c"]):
            with store.transaction() as change:
                change.add(DocumentRows.from_documents([Document(id) for id in batch]), {})
        with store.transaction() as change:
            change.delete(store.snapshot.find(["x"]))
    return path


@pytest.mark.parametrize("step", [*EARLY, "after the commit"])
@pytest.mark.parametrize(
    ("action", "after"), [("add", AFTER), ("optimize", BEFORE), ("overwrite", {"b": "new", "d": "new"})]
)
def test_a_crash_leaves_the_generation_before_or_after(plain, action, after, step):
    crash(plain, action, step)
    committed = step == "after the commit"
    with Store.open(plain, verify=True) as reader:
        assert reader.snapshot.generation == 3 + committed
        assert contents(reader) == (after if committed else BEFORE)
    with Store.open(plain, mode="w") as store:
        assert contents(store) == (after if committed else BEFORE)
        named = {view.segment.path for view in store.snapshot.segments}
        assert set((plain / "segments").iterdir()) == named
        store.optimize({})
        assert contents(store) == (after if committed else BEFORE)


@pytest.mark.parametrize("step", [*EARLY, "before the first name", "after the first name"])
def test_a_crash_while_creating_leaves_no_index_or_a_whole_one(tmp_path, step):
    path = tmp_path / "index"
    crash(path, "create", step)
    if step == "after the first name":
        with Store.open(path, mode="w", verify=True) as store:
            assert contents(store) == {"b": "new", "d": "new"}
    else:
        with pytest.raises(StorageError, match="holds no index"):
            Store.open(path)
        with Store.create(path, {}) as store, store.transaction():
            pass
        assert list((path / "segments").iterdir()) == []
    assert files(path)[0] == "catalog.sqlite"
    assert not (path / "unfinished").exists()


def test_the_fault_points_exist():
    """The child above replaces these names; a rename must not turn its crashes into passes."""
    assert callable(segment_module.sync_folder)
    assert callable(store_module.write_catalog)
    assert callable(store_module.install_catalog)
