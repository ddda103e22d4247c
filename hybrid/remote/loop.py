"""One thread with an event loop, for requests that callers wait for."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from hybrid import forking

T = TypeVar("T")

_lock = forking.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None
"""The process whose thread runs it, and the loop."""


def submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Run a coroutine in the process's loop of requests; it starts with the first one."""
    return asyncio.run_coroutine_threadsafe(work, running_loop())


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of this process; a forked one has a loop of its own."""
    global _running  # noqa: PLW0603 - one thread for all services of a process
    with _lock:
        if _running is None or _running[0] != os.getpid():
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="hybrid-requests", daemon=True).start()
            _running = os.getpid(), loop
        return _running[1]
