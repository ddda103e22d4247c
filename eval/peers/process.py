"""Start one phase of a peer, watch its memory, and bring back its report or why there is none."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peers import environments
from peers.protocol import Task
from peers.registry import Peer

HERE = Path(__file__).resolve().parent
MODULES = "peers."
LAST_LINES = 4
POLL_SECONDS = 0.1
THREAD_VARIABLES = (
    "HYBRID_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
    "LANCE_CPU_THREADS",
)
"""Not LANCE_IO_THREADS: at 1, LanceDB 0.40 never ends indexing a text. The processors are pinned anyway."""


class PeerError(Exception):
    """A peer failed; the message is its reason, as it stands in the results."""


def run(peer: Peer, task: Task, phase: str, limits: dict[str, Any], answers: bool = False) -> dict[str, Any]:
    """Run one phase and return the worker's report, with the peak memory of all its processes.

    ``limits``: ``seconds`` for one pass over the queries, ``warm_up`` seconds before it, whether
    there are to be ``passes``, ``timeout`` for the phase in seconds, and ``memory`` for all of the peer's
    processes, in bytes.

    Raises:
        PeerError: it could not be installed, failed, or went over a limit.
    """
    try:
        python = environments.python(peer.environment) if peer.environment else Path(sys.executable)
    except environments.InstallError as error:
        raise PeerError(f"cannot be installed: {error}") from error
    with tempfile.TemporaryDirectory() as temporary:
        order, report, log = (Path(temporary) / name for name in ("order.json", "report.json", "log"))
        processors = sorted(os.sched_getaffinity(0), reverse=True)[: task.threads]
        given = asdict(task) | {"inputs": str(task.inputs), "folder": str(task.folder)}
        order.write_text(
            json.dumps(
                {"module": MODULES + peer.module, "phase": phase, "task": given, "report": str(report)}
                | {"processors": processors, "answers": answers}
                | {name: limits[name] for name in ("seconds", "warm_up", "passes")}
                | {"started": time.time()}
            )
        )
        with log.open("wb") as output:
            process = subprocess.Popen(
                [python, "-P", "-m", "peers.worker", order],
                env=environment(task.threads, peer.environment is None),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            peak = _watch(process, limits)
        if process.returncode or not report.exists():
            raise PeerError(f"{phase} ended with status {process.returncode}: {_tail(log)}")
        found: dict[str, Any] = json.loads(report.read_text())
        return found | {"peak_rss_bytes": max(peak, found["peak_rss_bytes"])}


def environment(threads: int, ours: bool) -> dict[str, str]:
    """Return the variables of a peer's process: threads set for every library, models offline.

    Ours imports the package of this checkout, whatever is installed.
    """
    folders = [HERE.parent, HERE.parent.parent] if ours else [HERE.parent]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return (
        kept
        | offline
        | dict.fromkeys(THREAD_VARIABLES, str(threads))
        | {
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "PYTHONHASHSEED": "0",
            "TQDM_DISABLE": "1",
            "HYBRID_CACHE": "off",
        }
    )


def _watch(process: subprocess.Popen[bytes], limits: dict[str, Any]) -> int:
    """Wait for the process and return the most memory that it and its descendants held at one time."""
    ends, peak = time.monotonic() + limits["timeout"], 0
    try:
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
            peak = max(peak, session_rss(process.pid))
            if peak > limits["memory"]:
                raise PeerError(f"went over the memory limit of {limits['memory'] / 2**30:.1f} GiB")
            if time.monotonic() > ends:
                raise PeerError(f"went over the time limit of {limits['timeout']:.0f} s")
        return peak
    finally:  # also after Ctrl-C: nothing of the peer goes on
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def session_rss(leader: int) -> int:
    """Return the memory of every process in one session, in bytes; shared pages count in each."""
    pages = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # the process may end at any time
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                pages += int((folder / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return " | ".join(lines[-LAST_LINES:])
