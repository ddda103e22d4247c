"""Building: the same segments however the work was cut, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import hybrid
from hybrid.engine import building
from hybrid.index.dense import neighbours
from hybrid.text import Workers

ROOT = Path(__file__).resolve().parents[2]
DIMENSION = 4
PIPELINE = hybrid.Pipeline(branches=[hybrid.BM25(), hybrid.Dense(model=None, dimension=DIMENSION)])


def collection(count=400, seed=0):
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(count)
    for number in numbers.tolist():
        words = " ".join(f"w{n}" for n in rng.zipf(1.3, 30) % 1000)
        metadata = {"year": 1990 + number % 40, "tags": [f"t{number % 7}", number]} if number % 3 else {}
        vectors = {"dense": rng.normal(size=DIMENSION).astype(np.float32)}
        yield hybrid.Document(f"d{number}", words, f"Title {number}", metadata, vectors)


def build(path, monkeypatch, documents, *, threads=1, group=8192, share=8, alone=0):
    monkeypatch.setenv("HYBRID_THREADS", str(threads))
    monkeypatch.setattr(building, "GROUP_DOCUMENTS", group)
    monkeypatch.setattr(building, "ROWS_SHARE", share)
    monkeypatch.setattr(building, "ALONE", alone)
    with hybrid.create(path, documents, PIPELINE) as index:
        assert len(index) == 400
    return [file.read_bytes() for file in (path / "segments").iterdir()]


def test_the_same_bytes_for_any_number_of_processes_and_any_memory(tmp_path, monkeypatch):
    started = []
    start = Workers.start
    monkeypatch.setattr(Workers, "start", lambda self: started.append(self) or start(self))
    (expected,) = build(tmp_path / "plain", monkeypatch, collection())
    assert not started
    for n, (threads, group, share) in enumerate([(1, 7, 1 << 14), (2, 50, 8), (3, 9, 1 << 15), (2, 1, 8)]):
        del started[:]
        found = build(tmp_path / str(n), monkeypatch, collection(), threads=threads, group=group, share=share)
        assert found == [expected], (threads, group, share)
        assert bool(started) == (threads > 1)


@pytest.mark.parametrize(("bytes", "helped"), [(1 << 16, False), (1 << 15, True)])
def test_processes_are_started_for_texts_only(tmp_path, monkeypatch, bytes, helped):
    """Vectors and metadata make more groups, and no more work for others."""
    started, groups = [], []
    start, share = Workers.start, building._Group.share.fget
    monkeypatch.setattr(Workers, "start", lambda self: started.append(self) or start(self))
    monkeypatch.setattr(building._Group, "share", property(lambda self: groups.append(self) or share(self)))
    monkeypatch.setattr(building, "GROUP_BYTES", bytes)
    build(tmp_path / "index", monkeypatch, collection(), threads=2, alone=1)
    assert len(set(map(id, groups))) > 1
    assert bool(started) == helped


def test_memory_cuts_segments_that_are_merged_in_the_end(tmp_path, monkeypatch):
    added, stages = [], []
    monkeypatch.setattr(building, "GROUP_DOCUMENTS", 10)
    add = building.Transaction.add
    monkeypatch.setattr(
        building.Transaction,
        "add",
        lambda self, rows, *others, **options: added.append(len(rows)) or add(self, rows, *others, **options),
    )
    monkeypatch.setattr(building, "ROWS_SHARE", building.MEMORY // 20_000)
    with hybrid.create(
        tmp_path / "index", collection(), PIPELINE, progress=lambda *told: stages.append(told)
    ) as index:
        assert index.stats().segments == 1
        assert len(added) > 4
        assert sum(added) == 400
        assert ("write", 400, 400) in stages
        assert stages[-1] == ("merge", 3, 3)
        assert [document.id for document in index.documents()] == sorted(f"d{n}" for n in range(400))


@pytest.mark.parametrize("last", [390, 400])
def test_what_is_merged_in_the_end_is_made_for_searching_once(tmp_path, monkeypatch, last):
    """Cut by memory, with or without a rest after the last cut."""
    monkeypatch.setattr("hybrid.index.dense.writing.APPROXIMATE_FROM", 8)
    dense = hybrid.Dense(model=None, dimension=DIMENSION, index=hybrid.HNSW())
    pipeline = hybrid.Pipeline(branches=[dense])
    documents = list(collection())[:last]
    with hybrid.create(tmp_path / "whole", documents, pipeline) as index:
        (whole,) = (file.read_bytes() for file in (index.path / "segments").iterdir())
    monkeypatch.setattr(building, "GROUP_DOCUMENTS", 100)
    held, cuts, built = building._Collected.add, [], []

    def cut(self, *rows):
        held(self, *rows)
        self.write(passing=True)
        cuts.append(self.written)

    build_graph = neighbours.build
    monkeypatch.setattr(building._Collected, "add", cut)
    monkeypatch.setattr(neighbours, "build", lambda *given: built.append(given[1]) or build_graph(*given))
    with hybrid.create(tmp_path / "cut", documents, pipeline) as index:
        assert [file.read_bytes() for file in (index.path / "segments").iterdir()] == [whole]
    assert cuts == [100, 200, 300, last]
    assert built == [last]
    del cuts[:], built[:]
    with hybrid.create(tmp_path / "one", documents[:50], pipeline) as index:
        assert len(index.search(vectors("dense"), k=3)) == 3
    assert (cuts, built) == ([50], [50])


def vectors(branch):
    return hybrid.Query("", vectors={branch: np.ones(DIMENSION, np.float32)})


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("change", ["add", "update"])
def test_an_id_given_twice_is_named_with_both_places(tmp_path, monkeypatch, threads, change):
    monkeypatch.setenv("HYBRID_THREADS", str(threads))
    monkeypatch.setattr(building, "GROUP_DOCUMENTS", 20)
    monkeypatch.setattr(building, "ROWS_SHARE", building.MEMORY // 20_000)
    documents = list(collection())
    with hybrid.create(tmp_path / "index", documents[:30], PIPELINE) as index:
        before = sorted(file.name for file in (index.path / "segments").iterdir())
        again = [*documents[30:], documents[37]]
        with pytest.raises(hybrid.DuplicateIdError, match=rf"'{documents[37].id}' .* 7 and 370 "):
            getattr(index, change)(again)
        assert sorted(file.name for file in (index.path / "segments").iterdir()) == before
        assert (index.generation, len(index)) == (1, 30)
        with pytest.raises(hybrid.DuplicateIdError, match="update"):
            index.add([*documents[30:], documents[3]])
        assert index.update([*documents[20:]]) == 380
        assert len(index) == 400


def test_a_budget_that_is_too_small_is_refused(tmp_path):
    with pytest.raises(hybrid.InputError, match="32 MiB"):
        building.add_documents(None, None, [], [], None, replace=False, memory=1000)


def test_a_process_that_dies_leaves_no_index(tmp_path, monkeypatch):
    start = Workers.start

    def dying(self):
        process = start(self)
        process.send_signal(signal.SIGSTOP)  # so that it is in the middle of something
        process.send_signal(signal.SIGKILL)
        return process

    monkeypatch.setattr(building, "ALONE", 0)
    ask = "hybrid.text.processes._greet"
    monkeypatch.setattr(Workers, "start", dying)
    monkeypatch.setattr(ask, lambda process: process.wait())
    monkeypatch.setenv("HYBRID_THREADS", "2")
    monkeypatch.setattr(building, "GROUP_DOCUMENTS", 3)
    with pytest.raises(hybrid.BranchError, match="killed by SIGKILL"):
        hybrid.create(tmp_path / "index", collection(), PIPELINE)
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = """
import os, signal, sys, time
sys.path.insert(0, {root!r})
import hybrid
from hybrid.engine import building
from hybrid.index.dense import neighbours
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
building.GROUP_DOCUMENTS = 10
building.ALONE = 0

def documents():
    n = 0
    while True:
        yield hybrid.Document(f"d{{n}}", f"some words {{n}} " * 20)
        n += 1
        if n == 3000:
            print("ready", flush=True)

try:
    hybrid.create({path!r}, documents(), hybrid.Pipeline(branches=[hybrid.BM25()]))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_ctrl_c_ends_everything_and_leaves_nothing(tmp_path):
    code = INTERRUPTED.format(root=str(ROOT), path=str(tmp_path / "index"))
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HYBRID_THREADS": "3"},
    )
    with parent:
        assert parent.stdout.readline() == "ready\n"
        helpers = children(parent.pid)
        start = time.monotonic()
        parent.send_signal(signal.SIGINT)
        assert parent.stdout.readline() == "interrupted\n"
        assert parent.wait(30) == 0
        assert time.monotonic() - start < 20
        assert parent.stderr.read() == ""
    assert helpers
    assert not [pid for pid in helpers if Path(f"/proc/{pid}").exists()]
    assert list(tmp_path.iterdir()) == []


def children(pid):
    return [
        int(child)
        for listed in Path(f"/proc/{pid}/task").glob("*/children")
        for child in listed.read_text().split()
    ]


MEASURED = """
import resource, sys
sys.path.insert(0, {root!r})
import numpy as np
import hybrid

def documents():
    rng = np.random.default_rng(0)
    words = np.array([f"word{{n}}" for n in range(20_000)])
    for n in range({count}):
        yield hybrid.Document(f"d{{n}}", " ".join(words[rng.integers(0, 20_000, 150)]))

pipeline = hybrid.Pipeline(branches=[hybrid.BM25()])
with hybrid.create({path!r}, documents(), pipeline, memory=64 << 20) as index:
    assert index.stats().segments == 1
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, index.stats().bytes >> 20)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB there")
def test_memory_does_not_grow_with_the_collection(tmp_path):
    peaks, sizes = [], []
    for count in (20_000, 100_000):
        code = MEASURED.format(root=str(ROOT), path=str(tmp_path / str(count)), count=count)
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "HYBRID_THREADS": "1"},
        )
        peak, size = map(int, done.stdout.split())
        peaks.append(peak)
        sizes.append(size)
    assert sizes[1] > 4 * sizes[0]
    assert sizes[1] - sizes[0] > 100
    assert peaks[1] - peaks[0] < 60, (peaks, sizes)
