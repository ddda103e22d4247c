"""The cache in a file: processes, the bound, damage."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import hybrid
from hybrid.encoders.caching import sqlite_cache

ROOT = Path(__file__).resolve().parents[3]
MIB = 1 << 20


def keys(count, start=0):
    return [n.to_bytes(20, "big") for n in range(start, start + count)]


@pytest.fixture
def cache(tmp_path):
    cache = hybrid.SQLiteCache(tmp_path / "cache.sqlite", MIB)
    yield cache
    cache.close()


WRITER = """
import sys
sys.path.insert(0, {root!r})
from hybrid.encoders.caching import SQLiteCache
cache = SQLiteCache({path!r})
number = int(sys.argv[1])
for n in range(100):
    mine = {{(1000 * number + 5 * n + i).to_bytes(20, "big"): b"%d" % number * 100 for i in range(5)}}
    shared = {{n.to_bytes(20, "big"): b"shared"}}
    cache.put(mine | shared)
    assert dict(cache.get([*mine, *shared])) == mine | shared
"""


def test_processes_write_at_once(tmp_path):
    path = tmp_path / "new" / "cache.sqlite"
    code = WRITER.format(root=str(ROOT), path=str(path))
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(n)], stderr=subprocess.PIPE) for n in range(1, 5)
    ]
    for writer in writers:
        assert writer.communicate(timeout=60)[1] == b""
        assert writer.returncode == 0
    cache = hybrid.SQLiteCache(path)
    assert cache.figures()["entries"] == 4 * 500 + 100
    assert cache.get([(4000 + 499).to_bytes(20, "big")]) == {(4499).to_bytes(20, "big"): b"4" * 100}
    cache.close()
    assert path.stat().st_mode & 0o077 == 0  # nobody else's business


def test_the_entries_used_longest_ago_make_room(cache, monkeypatch):
    now = [1_000_000]
    monkeypatch.setattr(sqlite_cache.time, "time", lambda: now[0])
    for n in range(200):
        now[0] += 10
        cache.put({keys(1, n)[0]: b"x" * 4000})
    assert len(cache.get(keys(200))) == 200
    now[0] += 2 * sqlite_cache.RESOLUTION
    assert len(cache.get(keys(20))) == 20  # used again
    for n in range(200, 300):
        now[0] += 10
        cache.put({keys(1, n)[0]: b"y" * 4000})
        assert cache.figures()["bytes"] <= MIB
    there = sorted(int.from_bytes(key, "big") for key in cache.get(keys(300)))
    assert set(range(20)) <= set(there)  # used last before the new ones
    rest = [n for n in there if n >= 20]
    assert rest == list(range(rest[0], 300))  # the oldest are gone, in order
    assert 20 < rest[0] < 200


def test_the_file_keeps_its_bound(cache):
    for n in range(60):
        cache.put(dict.fromkeys(keys(20, 20 * n), b"z" * 5000))
    cache.close()
    assert cache.path.stat().st_size <= MIB + 20 * 8192  # one portion above it at most
    cache.put({keys(1, 9999)[0]: b"huge" * MIB})  # more than everything
    assert cache.get(keys(1, 9999)) in ({}, {keys(1, 9999)[0]: b"huge" * MIB})
    cache.put({keys(1)[0]: b"small"})
    assert cache.get(keys(1)) == {keys(1)[0]: b"small"}
    assert cache.figures()["bytes"] <= MIB


@pytest.mark.parametrize("damage", ["no database", "zeros inside", "cut short"])
def test_a_damaged_file_is_set_aside(cache, damage, caplog):
    cache.put(dict.fromkeys(keys(100), b"v" * 3000))
    cache.close()
    content = bytearray(cache.path.read_bytes())
    if damage == "no database":
        content[:] = b"no database at all" * 100
    elif damage == "zeros inside":
        content[1024:] = bytes(len(content) - 1024)
    else:
        del content[len(content) // 2 :]
    cache.path.write_bytes(content)
    found = cache.get(keys(100))
    assert set(found.values()) <= {b"v" * 3000}
    cache.put(dict.fromkeys(keys(100), b"w"))
    assert set(cache.get(keys(100)).values()) == {b"w"}
    aside = [path for path in cache.path.parent.iterdir() if ".damaged-" in path.name]
    assert [path.read_bytes()[:500] for path in aside] == [bytes(content)[:500]]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert aside[0].name in caplog.text


def test_what_another_process_set_aside_stays(cache, caplog):
    other = hybrid.SQLiteCache(cache.path, MIB)
    cache.path.write_bytes(b"no database at all" * 100)
    cache._opened = other._opened = (cache.path.stat().st_dev, cache.path.stat().st_ino, 0)
    error = sqlite3.DatabaseError("damaged")
    cache._set_aside(error)
    cache.put({keys(1)[0]: b"kept"})
    other._set_aside(error)  # it saw the damage too, and comes late
    assert other.get(keys(1)) == {keys(1)[0]: b"kept"}
    assert len(caplog.records) == 1
    other.close()


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "mine.db"
    with sqlite3.connect(path) as mine:
        mine.execute("CREATE TABLE things (a)")
    mine.close()
    before = path.read_bytes()
    with pytest.raises(hybrid.StorageError, match="another program's database"):
        hybrid.SQLiteCache(path).get(keys(1))
    with sqlite3.connect(path) as mine:
        assert mine.execute("SELECT count(*) FROM things").fetchone() == (0,)
    mine.close()
    assert path.read_bytes()[100:] == before[100:]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(hybrid.StorageError, match="cannot be used"):
        hybrid.SQLiteCache(tmp_path / "file" / "cache.sqlite").put({keys(1)[0]: b""})


@pytest.mark.parametrize("limit", [0, MIB - 1, 1e9, "4GB"])
def test_a_wrong_limit(tmp_path, limit):
    with pytest.raises(hybrid.InputError, match="at least 1,048,576"):
        hybrid.SQLiteCache(tmp_path / "c", limit)
