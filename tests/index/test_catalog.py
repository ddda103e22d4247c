"""The catalogue: states come back whole, and nothing else is taken for one."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager

import numpy as np
import pytest

from hybrid.errors import CorruptIndexError, FormatError, NotAnIndexError, StorageError
from hybrid.index import catalog
from hybrid.index.catalog import SegmentRecord, State, read_catalog, write_catalog

ONE = SegmentRecord("1" * 32, 10, 1000, "ab", 1)
TWO = SegmentRecord("2" * 32, 20, 2000, "cd", 2)
FIRST = State(1, {"pipeline": {"k": [1, None]}}, (ONE,))
SECOND = State(2, {"name": "é"}, (ONE, TWO), {ONE.uuid: np.array([3, 7])})
THIRD = State(3, {"name": "é"}, (ONE, TWO), {ONE.uuid: np.array([0, 3, 7]), TWO.uuid: np.array([19])})
FOURTH = State(4, {}, (TWO,), {TWO.uuid: np.array([19])})


def plain(state):
    return (
        state.generation,
        dict(state.settings),
        state.segments,
        {uuid: dead.tolist() for uuid, dead in state.tombstones.items()},
    )


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "catalog.sqlite"
    write_catalog(path, None, FIRST)
    return path


def change(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_each_state_comes_back(path):
    assert plain(read_catalog(path)) == plain(FIRST)
    before = FIRST
    for after in (SECOND, THIRD, FOURTH):
        write_catalog(path, before, after)
        assert plain(read_catalog(path)) == plain(after)
        before = after


def test_nothing_stays_beside_the_file(path):
    write_catalog(path, FIRST, SECOND)
    read_catalog(path)
    assert [file.name for file in path.parent.iterdir()] == ["catalog.sqlite"]


def test_durability_is_asked_for(path):
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_catalogue_that_moved_on_is_not_changed(path):
    with pytest.raises(StorageError, match="is at generation 1 and not at 2: something else changed it"):
        write_catalog(path, SECOND, THIRD)
    assert plain(read_catalog(path)) == plain(FIRST)


def test_a_failing_commit_changes_nothing(path):
    twice = State(2, {}, (ONE, TWO, TWO))
    with pytest.raises(StorageError):
        write_catalog(path, FIRST, twice)
    assert plain(read_catalog(path)) == plain(FIRST)


def test_a_missing_or_foreign_file_is_no_index(tmp_path):
    path = tmp_path / "catalog.sqlite"
    with pytest.raises(NotAnIndexError, match=r"holds no index \(there is no catalog.sqlite\); create one"):
        read_catalog(path)
    for content in (b"", b"hello", b"SQLite"):
        path.write_bytes(content)
        with pytest.raises(NotAnIndexError, match="it is no SQLite database"):
            read_catalog(path)
    path.unlink()
    change(path, "CREATE TABLE theirs (a)")
    with pytest.raises(NotAnIndexError, match="another program's database"):
        read_catalog(path)


def test_a_newer_format_names_its_writer_and_the_remedy(path):
    change(path, "UPDATE head SET release = '9.8.7'")
    change(path, "PRAGMA user_version = 2")
    with pytest.raises(FormatError, match=r"format version 2, written by hybrid 9.8.7.*version 1: upgrade"):
        read_catalog(path)
    change(path, "DROP TABLE head")
    with pytest.raises(FormatError, match="format version 2, written by another release"):
        read_catalog(path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE head SET generation = 7",
        "UPDATE head SET settings = '{}'",
        "UPDATE head SET settings = '{'",
        "UPDATE segments SET documents = 11",
        "UPDATE segments SET checksum = 'xx'",
        "DELETE FROM segments",
        "DELETE FROM tombstones",
        "UPDATE tombstones SET ordinal = 'x' WHERE ordinal = 3",
        "DELETE FROM head",
        "DROP TABLE tombstones",
        "PRAGMA user_version = 0",
    ],
)
def test_changed_content_is_corruption(path, statement):
    write_catalog(path, FIRST, SECOND)
    change(path, statement)
    with pytest.raises(
        CorruptIndexError, match=r"catalog.sqlite is damaged: .*; restore the index from a copy"
    ):
        read_catalog(path)


def test_no_changed_byte_gives_another_state(path):
    write_catalog(path, FIRST, SECOND)
    good = path.read_bytes()
    noticed = 0
    for position in [i for i in range(len(good)) if good[i] or i % 101 == 0]:
        bad = bytearray(good)
        bad[position] ^= 0x11
        path.write_bytes(bad)
        try:
            assert plain(read_catalog(path)) == plain(SECOND)
        except StorageError:
            noticed += 1
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    assert noticed > 20


def test_a_held_catalogue_keeps_its_log_until_it_is_let_go(path):
    held = catalog.hold_catalog(path)
    write_catalog(path, FIRST, State(FIRST.generation + 1, {"x": 1}))
    log = path.with_name("catalog.sqlite-wal")
    assert log.stat().st_size > 0
    assert read_catalog(path).settings == {"x": 1}
    held.close()
    assert not log.exists()
    assert read_catalog(path).settings == {"x": 1}


def test_a_truncated_catalogue_is_corruption(path):
    (path.parent / "segments").mkdir()
    good = path.read_bytes()
    for length in (0, 10, 100, 4096, len(good) // 2):
        path.write_bytes(good[:length])
        with pytest.raises(CorruptIndexError):
            read_catalog(path)


def test_a_schema_that_is_not_text_is_corruption(path):
    """SQLite's message repeats it, and Python cannot read the message."""
    good = path.read_bytes()
    assert b"CREATE TABLE head" in good
    path.write_bytes(good.replace(b"CREATE TABLE head", b"CREATE \xffABLE head"))
    with pytest.raises(CorruptIndexError, match="not UTF-8"):
        read_catalog(path)


def test_a_folder_that_cannot_be_written_can_be_read(path, monkeypatch):
    real = sqlite3.connect

    def refusing(address, **options):
        if "immutable" not in address:
            with closing(real("file:/nonexistent/x?mode=ro", uri=True)):
                pass
        return real(address, **options)

    monkeypatch.setattr(catalog.sqlite3, "connect", refusing)
    assert plain(read_catalog(path)) == plain(FIRST)
    path.with_name("catalog.sqlite-wal").write_bytes(b"x")
    with pytest.raises(
        StorageError, match=r"its last changes are still in catalog.sqlite-wal.*open the index once"
    ):
        read_catalog(path)


def test_a_full_disk_keeps_the_old_state(path):
    before = FIRST
    many = State(2, {"x": "y" * 100_000}, (ONE,), {ONE.uuid: np.arange(10)})
    pages = path.stat().st_size // 4096
    real = catalog._connect

    @contextmanager
    def small(*arguments):
        with real(*arguments) as connection:
            connection.execute(f"PRAGMA max_page_count = {pages + 1}")
            yield connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "_connect", small)
        with pytest.raises(StorageError, match="database or disk is full"):
            write_catalog(path, before, many)
    assert plain(read_catalog(path)) == plain(FIRST)
    write_catalog(path, before, many)
    assert plain(read_catalog(path)) == plain(many)
