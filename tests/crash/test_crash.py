"""Processes killed, refused and unplugged: what was acknowledged is there, and nothing is half there.

`tests.crash.campaign` is the long mode; here every named step of one history is tried once or so.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hybrid
from tests.crash import campaign, tracer, workload
from tests.crash.disk import Disk
from tests.crash.tracer import Step

ROOT = Path(__file__).resolve().parents[2]
traced = pytest.mark.skipif(not tracer.available(), reason="this system lets no process trace its child")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return campaign.Case(0, tmp_path_factory.mktemp("case"), length=5)


def sample(case, kind, most):
    """Return steps of every name, as many as one test may take."""
    chosen = random.Random(5)
    found: dict[str, list[int]] = {}
    for at in case.places(kind):
        found.setdefault(case.steps[min(at, len(case.steps) - 1)].kind, []).append(at)
    return sorted(chosen.choice(group) for group in found.values())[:most]


@traced
def test_the_steps_of_a_history_are_all_there(case):
    """The tracer sees what Python, SQLite and the lock do; a step that vanished would not be tested."""
    names = {step.kind for step in case.steps}
    assert names >= {
        "mkdir folder", "open segment", "write segment", "fsync segment", "fsync folder", "open write.lock",
        "pwrite catalog.new", "fdatasync catalog.new", "rename catalog.new", "pwrite catalog.sqlite-wal",
        "fdatasync catalog.sqlite-wal", "pwrite catalog.sqlite", "fdatasync catalog.sqlite",
        "unlink catalog.sqlite-wal", "unlink writer.json",
    }  # fmt: skip


@traced
def test_killed_before_each_kind_of_step(case):
    for at in sample(case, "steps", 40):
        case.one("steps", at)


@traced
def test_killed_in_the_middle_of_writes(case):
    for at in random.Random(2).sample(case.places("torn"), 4):
        case.one("torn", at)


def test_killed_at_random_times(tmp_path):
    case = campaign.Case(3, tmp_path, length=4) if tracer.available() else None
    if case is None:
        pytest.skip("the history is recorded by tracing it")
    for number in range(4):
        case.one("random", number)


@traced
def test_refused_by_the_system_at_each_kind_of_step(case):
    for at in sample(case, "errors", 40):
        case.one("errors", at)


@traced
def test_power_lost_after_each_step(case):
    for at in random.Random(4).sample(case.places("power"), 40):
        case.one("power", at)


def test_an_unsynced_disk_loses_what_it_may(tmp_path):
    """The emulation itself: without fsync nothing is sure, with it everything is."""
    disk = Disk(Path("/d"))
    creating = os.O_CREAT
    disk.take(Step("open", "/d/a", flags=creating))
    disk.take(Step("write", "/d/a", data=b"one"))
    lost, kept = tmp_path / "lost", tmp_path / "kept"
    for place in (lost, kept):
        place.mkdir()
    disk.crashed(lost, "nothing", random.Random(0))
    assert list(lost.iterdir()) == []
    disk.take(Step("fsync", "/d"))
    disk.crashed(lost, "nothing", random.Random(0))
    assert (lost / "a").read_bytes() == b""
    disk.take(Step("fsync", "/d/a"))
    disk.take(Step("write", "/d/a", data=b"two", offset=3))
    disk.take(Step("rename", "/d/a", "/d/b"))
    disk.crashed(kept, "nothing", random.Random(0))
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {"a": b"one"}
    shutil.rmtree(kept)
    kept.mkdir()
    disk.crashed(kept, "everything", random.Random(0))
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {"b": b"onetwo"}


@pytest.fixture
def small(tmp_path):
    """An index of three documents, closed."""
    hybrid.create(tmp_path / "index", workload.history(0)[0].documents, workload.PIPELINE).close()
    return tmp_path / "index"


def document(id, words=20):
    return hybrid.Document(id, "w1 " * words, vectors={"dense": [1, 0, 0, 0]})


def ids(path):
    with hybrid.open(path) as index:
        return [document.id for document in index.documents()]


def in_child(work):
    """Run something in a forked process, whose limits may be changed; return what it says."""
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(there, str(work()).encode())
        except BaseException as error:
            os.write(there, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(there)
    with open(here, "rb") as file:
        said = file.read().decode()
    os.waitpid(pid, 0)
    return said


def test_a_limit_on_the_size_of_files_is_an_error_with_a_reason(small):
    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with hybrid.open(small, "w") as index:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            with pytest.raises(hybrid.StorageError, match=os.strerror(errno.EFBIG)):
                index.add([document("big", 4000)])
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return index.add([document("big", 4000)])

    assert in_child(work) == "1"
    assert ids(small) == ["big", "d000", "d001", "d002"]
    assert not hybrid.verify(small).findings


def leave(spare):
    """Let this process open only so many files more."""
    used = {int(name) for name in os.listdir("/proc/self/fd")}
    free = (number for number in itertools.count() if number not in used)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(itertools.islice(free, spare, None)), 4096))


def test_no_file_descriptors_left_is_an_error_with_a_reason(small):
    def work():
        told: list[str] = []
        for spare in range(20):
            with hybrid.open(small, "w") as index:
                leave(spare)
                try:
                    index.add([document("n")])
                    break
                except hybrid.StorageError as error:
                    told.append(str(error))
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        with hybrid.open(small) as reader:
            return (
                len(told) > 1,
                len(reader),
                [each for each in told if os.strerror(errno.EMFILE) not in each],
            )

    assert in_child(work) == "(True, 4, [])"
    assert hybrid.verify(small).ok


def fill(index):
    """Add documents until the disk is full; return how many there are, and the error."""
    for added in range(1000):
        try:
            index.add([document(f"b{added:03d}", 2000)])
        except hybrid.StorageError as error:
            return added, error
    return None


def test_a_full_disk(tmp_path):
    """A real one: a file system of 512 KiB in memory, where that may be mounted."""
    place = tmp_path / "small-disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        (place / "ballast").write_bytes(bytes(100_000))
        with hybrid.create(place / "index", [document("a")], workload.PIPELINE) as index:
            added, error = fill(index)
            assert added > 3
            assert re.search("No space left|disk is full", str(error))
            before = ids(place / "index")
            assert len(index) == len(before) == added + 1
            (place / "ballast").unlink()  # even a delete needs some space for its commit
            assert index.delete(before[1:]) == added
            index.add([document("c", 2000)])
        assert not hybrid.verify(place / "index").findings
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        assert ids(place / "index") == ["a", "c"]
        with pytest.raises(hybrid.StorageError, match="Read-only"):
            hybrid.open(place / "index", "w")
        assert hybrid.verify(place / "index").ok
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_clock_that_jumps(small, monkeypatch):
    """No time is compared with another: only the lock's note and expiries ever look at a clock."""
    chosen = random.Random(1)
    monkeypatch.setattr(time, "time", lambda: chosen.uniform(0, 4e9))
    monkeypatch.setattr(time, "time_ns", lambda: chosen.randrange(4 * 10**18))
    with hybrid.open(small, "w") as index:
        for n in range(4):
            index.update([document(f"c{n}")])
            os.utime(small / "catalog.sqlite", (chosen.uniform(0, 4e9), chosen.uniform(0, 4e9)))
        index.optimize()
        assert len(index) == 7
    assert not hybrid.verify(small, deep=True).findings


WRITER = """
import sys, hybrid
with hybrid.open(sys.argv[1], "w") as index:
    print("open", flush=True)
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_writer_is_free(small):
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(small)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    with child:
        assert child.stdout.readline() == b"open\n"
        with pytest.raises(hybrid.IndexLockedError, match=f"process {child.pid} on "):
            hybrid.open(small, "w")
        child.kill()
        child.wait()
    assert (small / "writer.json").exists()  # what it left, and nobody minds
    with hybrid.open(small, "w") as index:
        index.add([document("next")])
    assert "next" in ids(small)
    assert not (small / "writer.json").exists()
