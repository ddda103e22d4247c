"""What a forked process must not take over: locks that nobody will release, threads that stayed behind.

Servers such as gunicorn load an index and then fork their workers. The child has the parent's memory, but
only the thread that forked: a lock that another thread held stays held for ever, and a pool of threads is a
pool of none. So locks that live long are made here, and whatever depends on threads, processes or
connections has itself made anew in the child (`renewed_after_fork`). What cannot be renewed are Python's own
locks of modules that another thread is importing: fork when the first searches are done, or before them.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class Renewed(Protocol):
    """What has to be made anew in a forked process."""

    def renew(self) -> None:
        """Let go of what belongs to the parent; called in the child, before anything else runs there."""
        ...


_OWNERS: WeakSet[Renewed] = WeakSet()


def renewed_after_fork(owner: Renewed) -> None:
    """Have ``owner.renew()`` called in every forked process, as long as the owner lives."""
    _OWNERS.add(owner)


class Lock:
    """A lock that is free in a forked process, whoever held it in the parent; a context manager.

    ``kind``: what makes the lock itself, ``threading.Lock`` or ``threading.RLock``.
    """

    __slots__ = ("__weakref__", "_kind", "_lock")

    def __init__(self, kind: Callable[[], Any] = threading.Lock) -> None:
        self._kind = kind
        self._lock = kind()
        renewed_after_fork(self)

    def renew(self) -> None:
        """Be free."""
        self._lock = self._kind()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


class cached_property(functools.cached_property[T]):  # noqa: N801 - it is the one of functools
    """``functools.cached_property``, whose lock (until Python 3.12) is free in a forked process, too."""

    def __init__(self, func: Callable[[Any], T]) -> None:
        super().__init__(func)
        renewed_after_fork(self)

    def renew(self) -> None:
        """Be free."""
        self.lock = threading.RLock()


def abandon(thing: object) -> None:
    """Keep a thing for ever: its destructor would wait for threads that a forked process does not have."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def end_without_destructors() -> None:
    """Have this process end after Python has cleaned up, before libraries do, with its exit status.

    ONNX Runtime's own end waits for threads that a forked process does not have, or aborts. Where the C
    library cannot be told so (it has no ``on_exit``), end forked processes by ``os._exit``.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit") and not _ENDING:
        _ENDING.append(libc.on_exit(libc._exit, None))


_ENDING: list[int] = []
_LOADED: set[str] = set()


def forked_after_loading(module: str) -> bool:
    """Return whether this process was forked from one that had loaded a module, and its threads, already."""
    return module in _LOADED


def _renew() -> None:
    _LOADED.update(name for name in ("torch",) if name in sys.modules)
    for owner in list(_OWNERS):
        owner.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
