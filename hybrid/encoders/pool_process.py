"""One process of a pool, as the caller sees it: a fresh interpreter at the other end of two pipes."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hybrid import errors
from hybrid.batches import Encoded, Representation, Side
from hybrid.errors import EncoderError, InputError
from hybrid.forking import abandon, renewed_after_fork
from hybrid.threads import VARIABLE
from hybrid.types import Encoder

_BOOTSTRAP = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from hybrid.encoders.pool_worker import serve; serve()"
)
_PATIENCE = 5.0  # seconds that a process has to end by itself
_RAISED = ("InputError", "EncoderError", "FingerprintError", "MissingDependencyError")


@dataclass(frozen=True, slots=True)
class Description:
    """What a process says of the model that it loaded."""

    representations: tuple[Representation, ...]
    properties: Mapping[str, Any]
    fingerprint: Mapping[str, str | int | bool]


class PoolProcess:
    """A process with a copy of a model; one call at a time."""

    def __init__(
        self,
        model: str | Callable[[str | None], Encoder],
        device: str | None,
        options: Mapping[str, Any],
        threads: int,
    ) -> None:
        """Take what to load; nothing is started yet. ``threads``: its share of the processors."""
        self._place = f"process on {device}" if device else "process"
        self._threads = threads
        try:
            self._order = pickle.dumps((model, device, dict(options)), pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise InputError(
                f"the model {model!r} cannot be sent to another process ({error}); give a name, or a "
                "function at the top level of a module"
            ) from error
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[..., Any] | None = None
        renewed_after_fork(self)

    def renew(self) -> None:
        """Leave the process to the one that this was forked from; the next call starts another."""
        process, self._process = self._process, None
        if process is None or self._end is None:
            return
        self._end.detach()
        self._end = None
        with open(os.devnull, "r+b") as nothing:  # the parent's end of the pipes must be the only one
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    os.dup2(nothing.fileno(), pipe.fileno())
        abandon(process)

    def start(self) -> None:
        """Start the process and tell it what to load."""
        apart: dict[str, Any] = {"process_group": 0}  # Ctrl-C is for the caller
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOTSTRAP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, VARIABLE: str(self._threads), "OMP_NUM_THREADS": str(self._threads)},
            **apart,
        )
        self._process, self._end = process, weakref.finalize(self, _ended, process)
        self._send(pickle.dumps([*map(str, sys.path)]) + self._order)

    def ready(self) -> Description:
        """Wait until the model is loaded.

        Raises:
            EncoderError: it cannot be loaded, or the process died.
        """
        description: Description = self._receive("loaded its model")
        return description

    def encode(
        self, texts: Sequence[str], side: Side, representations: tuple[Representation, ...]
    ) -> Encoded:
        """Encode texts there; a process that died before is started anew.

        Raises:
            EncoderError: the model failed, or the process died.
        """
        if self._process is None:
            self.start()
            self.ready()
        self._send(pickle.dumps((list(texts), side, representations), pickle.HIGHEST_PROTOCOL))
        encoded: Encoded = self._receive(f"encoded {len(texts)} texts")
        return encoded

    def _send(self, message: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it died: what is received next says so
                self._process.stdin.write(message)
                self._process.stdin.flush()

    def _receive(self, doing: str) -> Any:
        """Return the answer, or raise the error that is the answer."""
        if self._process is None or self._process.stdout is None:
            raise EncoderError(f"the {self._place} was closed; make another Pool")
        try:
            failed, answer = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise EncoderError(
                f"the {self._place} ended while it {doing} ({_cause(self.close())}); if memory is short, use "
                "fewer processes"
            ) from error
        except BaseException:  # interrupted: what comes next would be taken for the next answer
            self.close()
            raise
        if failed:
            kind, message = answer
            raise _error(kind, f"{message} (in the {self._place})")
        return answer

    def close(self) -> int:
        """End the process, if there is one; return its exit status."""
        end, self._process, self._end = self._end, None, None
        return 0 if end is None else int(end() or 0)


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Close a process's pipes, wait until it has ended, and return its exit status."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # it may have died with a request half-written
                pipe.close()
    try:
        return process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _error(kind: str, message: str) -> errors.HybridError:
    """Return the error of a process as one of this package's."""
    if kind == "InputError":
        return InputError(message)
    return EncoderError(message if kind in _RAISED else f"{kind}: {message}")


def _cause(status: int) -> str:
    """Return in words why a process ended."""
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"
