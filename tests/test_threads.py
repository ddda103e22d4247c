import os
import subprocess
import sys
import threading
import time

import pytest

from hybrid.errors import InputError
from hybrid.threads import Abandonment, Workers, parallel, thread_count, when_abandoned


def test_the_variable_decides(monkeypatch):
    monkeypatch.setenv("HYBRID_THREADS", " 3 ")
    assert thread_count() == 3


@pytest.mark.parametrize("unset", [None, "", "  "])
def test_without_it_every_processor_that_this_process_may_use(monkeypatch, unset):
    if unset is None:
        monkeypatch.delenv("HYBRID_THREADS", raising=False)
    else:
        monkeypatch.setenv("HYBRID_THREADS", unset)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 5}, raising=False)
    assert thread_count() == 3


def test_where_there_is_no_affinity_every_processor(monkeypatch):
    monkeypatch.delenv("HYBRID_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert thread_count() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert thread_count() == 1


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²", "1_000"])
def test_anything_else_is_an_error_that_names_it(monkeypatch, value):
    monkeypatch.setenv("HYBRID_THREADS", value)
    with pytest.raises(InputError, match="HYBRID_THREADS") as caught:
        thread_count()
    assert repr(value) in str(caught.value)


@pytest.fixture
def four(monkeypatch):
    monkeypatch.setenv("HYBRID_THREADS", "4")


def test_results_stand_in_the_order_of_the_items(four):
    def late(number):
        time.sleep(0.002 * (7 - number))
        return number

    assert parallel(late, range(8)) == list(range(8))


def test_no_more_threads_than_the_setting_work_at_once_however_deep(four):
    lock, now, most = threading.Lock(), 0, 0

    def leaf(_):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1

    parallel(lambda _: parallel(leaf, range(6)), range(6))
    assert most == 4


def test_one_thread_means_the_calling_one(monkeypatch):
    monkeypatch.setenv("HYBRID_THREADS", "1")
    assert set(parallel(lambda _: threading.get_ident(), range(5))) == {threading.get_ident()}


def test_the_earliest_error_is_raised_and_nothing_more_is_begun(four):
    begun = []

    def work(number):
        begun.append(number)
        if number == 1:
            time.sleep(0.01)
        if number >= 1:
            raise ValueError(number)
        time.sleep(0.03)

    with pytest.raises(ValueError, match="1"):
        parallel(work, range(100))
    assert len(begun) < 10
    assert parallel(str, [1, 2, 3]) == ["1", "2", "3"]  # the helpers are free again


def test_a_forked_process_has_threads_of_its_own(four):
    parallel(str, range(8))
    child = os.fork()
    if not child:
        os._exit(0 if parallel(str, range(8)) == [*map(str, range(8))] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_work_is_told_that_nobody_waits():
    told = []
    waiting = Abandonment()

    def work():
        with when_abandoned(lambda: told.append("over")):
            pass
        with when_abandoned(lambda: told.append("inside")):
            waiting.tell()
            assert told == ["inside"]  # not what is over
        with when_abandoned(lambda: told.append("late")):
            assert told == ["inside", "late"]
        return 7

    assert waiting.work(work) == 7
    with when_abandoned(lambda: told.append("elsewhere")):
        waiting.tell()
    assert told == ["inside", "late"]


def test_workers_use_again_what_is_idle_and_take_no_more_than_so_many():
    workers, gate = Workers(3, "test"), threading.Event()
    for n in range(20):
        assert workers.submit(lambda n: n * n, n).result(10) == n * n
        time.sleep(0.005)
    assert sum(thread.name.startswith("test-") for thread in threading.enumerate()) == 1
    waiting = [workers.submit(gate.wait, 10) for _ in range(8)]
    time.sleep(0.05)
    assert sum(thread.name.startswith("test-") for thread in threading.enumerate()) == 3
    assert waiting[-1].cancel()
    gate.set()
    assert all(future.result(10) for future in waiting[:-1])
    with pytest.raises(ZeroDivisionError):
        workers.submit(lambda: 1 / 0).result(10)
    workers.shutdown()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test-")]
    with pytest.raises(RuntimeError, match="no work"):
        workers.submit(int)


def test_what_hangs_does_not_keep_a_process_alive():
    code = "import time; from hybrid.threads import Workers; Workers(1, 'x').submit(time.sleep, 60)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
