"""Analysis in processes of its own: Python runs one thread at a time, and analysis is Python.

A process is started anew and given requests through pipes. It imports this package and nothing of
the caller's program, and ends when its input does, so none can outlive the one that started it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hybrid.errors import BranchError
from hybrid.text.analysis import Analyzer
from hybrid.text.counts import TermCounts, count_terms
from hybrid.text.worker import GREETING

_BOOTSTRAP = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from hybrid.text.worker import serve; serve()"
)
_SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PATIENCE = 5.0
_LOCAL = threading.local()


class Workers:
    """Processes that analyse, each for one thread; started when that thread first needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Let `analyse`, in this thread and until the exit, use a process of its own."""
        _LOCAL.worker = worker = _Worker(self)
        try:
            yield
        finally:
            _LOCAL.worker = None
            worker.close()

    def kill(self) -> None:
        """End all processes at once, and let none be started any more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def start(self) -> subprocess.Popen[bytes] | None:
        """Start a process, unless all were killed."""
        with self._lock:
            if self._stopped:
                return None
            apart: dict[str, Any] = {"process_group": 0}  # Ctrl-C is for us
            if sys.platform == "win32":
                apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOTSTRAP],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **dict.fromkeys(_SINGLE_THREADED, "1")},
                **apart,
            )
            self._running.add(process)
            return process

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """Close a process's pipes, wait until it has ended, and return its exit status."""
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # it may have died with a request half-written
                    pipe.close()
        try:
            status = process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        with self._lock:
            self._running.discard(process)
        return status


class _Worker:
    """One thread's process."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None
        self._useless = not can_start()

    def ask(self, analyzer: Analyzer, texts: Sequence[str], fields: int) -> TermCounts | None:
        """Return what the process counts, or None if that is for the caller to do.

        Raises:
            BranchError: the process died.
        """
        if self._process is None and not self._useless:
            self._start()
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return None
        try:
            pickle.dump((analyzer, texts, fields), process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            found: TermCounts | None = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise BranchError(
                f"a process that analysed documents ended in the middle of it ({_cause(self.close())}); "
                "if memory is short, give it less with HYBRID_THREADS=1, which uses one process"
            ) from error
        return found

    def _start(self) -> None:
        self._useless = True
        try:
            self._process = self._workers.start()
            if self._process is not None:
                _greet(self._process)
                self._useless = False
        except (EOFError, OSError) as error:
            self.close()
            warnings.warn(
                f"documents are analysed in one process only: {sys.executable} could not be started as "
                f"another ({error})",
                RuntimeWarning,
                stacklevel=2,
            )

    def close(self) -> int:
        """End the process, if there is one; return its exit status."""
        process, self._process = self._process, None
        return 0 if process is None else self._workers.end(process)


def analyse(analyzer: Analyzer, texts: Sequence[str], fields: int = 1) -> TermCounts:
    """Count the terms of texts as `count_terms` does, in this thread's process if it has one.

    Raises:
        BranchError: that process died.
    """
    worker: _Worker | None = getattr(_LOCAL, "worker", None)
    found = None
    if worker is not None and type(analyzer) is Analyzer:  # another class might be unknown there
        found = worker.ask(analyzer, texts, fields)
    return count_terms(analyzer, texts, fields) if found is None else found


def can_start() -> bool:
    """Return whether this program can start itself as a plain Python (a frozen one cannot)."""
    name = Path(sys.executable or "").name.lower()
    return name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)


def _greet(process: subprocess.Popen[bytes]) -> None:
    """Tell a new process where to import from, and wait until it is ready."""
    if process.stdin is None or process.stdout is None:
        raise EOFError("no pipes")
    pickle.dump([*map(str, sys.path)], process.stdin)
    process.stdin.flush()
    while (line := process.stdout.readline()) != GREETING:
        if not line:
            raise EOFError("it ended at once")


def _cause(status: int) -> str:
    """Return in words why a process ended."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
