"""Asking and changing an index from an event loop, which goes on meanwhile: the work is done in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, TypeAlias

from hybrid.types import Document, Progress

Source: TypeAlias = "Iterable[Document | Mapping[str, Any]] | AsyncIterable[Document | Mapping[str, Any]]"

BLOCK = 256
"""How many documents of an asynchronous source are handed over at a time."""


class _StoppedError(Exception):
    """The caller was cancelled."""


def on_loop(progress: Progress | None) -> Progress | None:
    """Return a callback for other threads that has ``progress`` called by the running event loop."""
    if progress is None:
        return None
    loop, wanted = asyncio.get_running_loop(), progress

    def report(stage: str, done: int, total: int | None) -> None:
        loop.call_soon_threadsafe(wanted, stage, done, total)

    return report


async def changed(
    change: Callable[[Iterable[Any], Progress], int], documents: Source, progress: Progress | None
) -> int:
    """Run a change that takes documents and a progress callback in a thread; return what it returns.

    If the caller is cancelled, so is the change, unless it has come to its end; then this waits until the
    index is as it was.
    """
    stop = threading.Event()
    told = on_loop(progress)

    def report(stage: str, done: int, total: int | None) -> None:
        if stop.is_set():
            raise _StoppedError
        if told is not None:
            told(stage, done, total)

    stream = _Stream(documents, stop) if isinstance(documents, AsyncIterable) else None
    source: Any = documents if stream is None else stream
    work = asyncio.ensure_future(asyncio.to_thread(change, source, report))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        if stream is not None:
            stream.cancel()
        await asyncio.wait([work])
        work.exception()  # looked at, so that nobody complains that it was not
        raise
    finally:
        if stream is not None:
            await stream.close()


class _Stream:
    """The documents of an asynchronous source, for a thread that asks the loop for them."""

    def __init__(self, documents: AsyncIterable[Any], stop: threading.Event) -> None:
        self._source: AsyncIterator[Any] = aiter(documents)
        self._loop = asyncio.get_running_loop()
        self._stop = stop
        self._pending: Future[tuple[list[Any], bool]] | None = None

    def __iter__(self) -> Iterator[Any]:
        more = True
        while more:
            self._pending = asyncio.run_coroutine_threadsafe(self._some(), self._loop)
            if self._stop.is_set():
                self._pending.cancel()
            block, more = self._pending.result()
            yield from block

    async def _some(self) -> tuple[list[Any], bool]:
        """Return the next documents, and whether there may be more."""
        block: list[Any] = []
        while len(block) < BLOCK:
            try:
                block.append(await anext(self._source))
            except StopAsyncIteration:
                return block, False
        return block, True

    def cancel(self) -> None:
        """Wake the thread if it waits for documents; it gets an error."""
        if self._pending is not None:
            self._pending.cancel()

    async def close(self) -> None:
        """Let the source end."""
        end = getattr(self._source, "aclose", None)
        if end is not None:
            await end()
