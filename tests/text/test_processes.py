"""Counting terms, here and in other processes: the same columns, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.errors import BranchError
from hybrid.text import Analyzer, Workers, analyse, analyzer, count_terms, processes

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["The cats' cradle", "", "cats, cats and \ud800 猫!", "Straße 3.11"]
WORDS = st.lists(st.sampled_from(["a", "b", "B", "ü", "c d", ""])).map(" ".join)


def same(one, other):
    return all(
        getattr(one, name).dtype == getattr(other, name).dtype
        and np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("vocabulary", "offsets", "indptr", "terms", "counts", "lengths")
    )


@given(documents=st.lists(st.tuples(WORDS, WORDS), max_size=6), fields=st.sampled_from([1, 2]))
def test_counts_are_those_of_counting_by_hand(documents, fields):
    texts = [text for document in documents for text in document[:fields]]
    found = count_terms(analyzer("simple"), texts, fields)
    vocabulary = [
        bytes(found.vocabulary[start:stop]).decode()
        for start, stop in zip(found.offsets[:-1], found.offsets[1:], strict=True)
    ]
    terms = [[analyzer("simple").terms(text) for text in document[:fields]] for document in documents]
    assert vocabulary == sorted({term for document in terms for field in document for term in field})
    assert found.lengths.tolist() == [[len(document[f]) for document in terms] for f in range(fields)]
    assert found.indptr[0] == 0
    for number, document in enumerate(terms):
        entries = slice(found.indptr[number], found.indptr[number + 1])
        spelled = [vocabulary[n] for n in found.terms[entries].tolist()]
        counters = [Counter(field) for field in document]
        assert spelled == sorted(set().union(*counters))
        assert found.counts[:, entries].tolist() == [[c[term] for term in spelled] for c in counters]


def test_a_process_counts_the_same():
    workers = Workers()
    with workers.attached():
        for name, fields in (("english", 1), ("code", 2), ("multilingual", 4)):
            expected = count_terms(analyzer(name), TEXTS, fields)
            assert same(analyse(analyzer(name), TEXTS, fields), expected)
        (process,) = workers._running
        assert process.pid != os.getpid()
    assert process.returncode == 0
    assert not workers._running
    assert same(analyse(analyzer("english"), TEXTS), count_terms(analyzer("english"), TEXTS))


def test_each_thread_has_its_own_process():
    workers, barrier, pids = Workers(), threading.Barrier(2), set()

    def work():
        with workers.attached():
            analyse(Analyzer(), TEXTS)
            pids.update(process.pid for process in workers._running)
            barrier.wait(30)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 2
    assert not workers._running


def test_a_process_that_dies_is_a_clear_error():
    workers = Workers()
    with workers.attached():
        analyse(Analyzer(), TEXTS)
        (process,) = workers._running
        process.kill()
        process.wait()
        with pytest.raises(BranchError, match=r"killed by SIGKILL.*HYBRID_THREADS=1"):
            analyse(Analyzer(), TEXTS)
    assert not workers._running


def test_killing_ends_an_analysis_at_once():
    workers, errors, started = Workers(), [], threading.Event()
    endless = ["wort" * 5 + str(n) for n in range(2_000_000)]

    def work():
        with workers.attached():
            analyse(Analyzer(), TEXTS)
            started.set()
            try:
                analyse(Analyzer(), endless)
            except BranchError as error:
                errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(60)
    time.sleep(0.1)
    workers.kill()
    thread.join(30)
    assert not thread.is_alive()
    assert len(errors) == 1
    assert workers.start() is None


def test_what_fails_there_fails_here(monkeypatch):
    workers = Workers()
    with workers.attached(), pytest.raises(AttributeError):
        analyse(Analyzer(), [7])
    assert not workers._running


@dataclass(frozen=True)
class Shouting(Analyzer):
    """An analyzer that another process might not be able to import."""

    def terms(self, text):
        return [term.upper() for term in super().terms(text)]


def test_an_analyzer_of_another_class_stays_here():
    workers = Workers()
    with workers.attached():
        assert bytes(analyse(Shouting(), ["a b"]).vocabulary) == b"AB"
        assert not workers._running


def test_without_another_python_all_is_done_here(monkeypatch, tmp_path):
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\necho no Python\n")
    silent.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(silent))
    workers = Workers()
    with workers.attached(), pytest.warns(RuntimeWarning, match="one process only"):  # noqa: PT031
        assert same(analyse(Analyzer(), TEXTS), count_terms(Analyzer(), TEXTS))
        assert same(analyse(Analyzer(), TEXTS), count_terms(Analyzer(), TEXTS))  # and tried once only
    monkeypatch.setattr(sys, "executable", "/usr/bin/blender")
    assert not processes.can_start()
    with workers.attached():
        assert same(analyse(Analyzer(), TEXTS), count_terms(Analyzer(), TEXTS))
    assert not workers._running


def test_what_is_printed_at_the_start_does_no_harm(monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('welcome')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    workers = Workers()
    with workers.attached():
        assert same(analyse(Analyzer(), TEXTS), count_terms(Analyzer(), TEXTS))
        assert len(workers._running) == 1


ORPHAN = """
import os, sys
sys.path.insert(0, {root!r})
from hybrid.text import Analyzer, Workers, analyse
workers = Workers()
with workers.attached():
    analyse(Analyzer(), ["a"])
    print(*(process.pid for process in workers._running), flush=True)
    os.read(0, 1)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_no_process_outlives_the_one_that_started_it():
    code = ORPHAN.format(root=str(ROOT))
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with parent:
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and alive(pid):
        time.sleep(0.02)
    assert not alive(pid)


def alive(pid):
    """Whether a process runs (one that ended may stay listed until somebody asks for its status)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
