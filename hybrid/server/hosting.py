"""One index that a server holds open: its lines, its newest generation, its changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import hybrid
from hybrid.engine import Ask, search_together
from hybrid.engine.result import Result
from hybrid.errors import HybridError
from hybrid.server.metrics import Metrics
from hybrid.server.newest import refreshed
from hybrid.server.queues import Batches, Done, Line, Outcome
from hybrid.server.settings import Settings

logger = logging.getLogger("hybrid.server")


class Hosted:
    """An open index with a name. Searches wait in ``batches``, reads in ``reads``, changes in ``changes``.

    A reader moves to a newer generation within ``Settings.refresh`` seconds, whoever wrote it; searches that
    run keep theirs. An index that was replaced by one built with other settings is opened anew.
    """

    def __init__(self, name: str, path: Path, settings: Settings, metrics: Metrics) -> None:
        """Open the index.

        Raises:
            HybridError: it cannot be opened.
        """
        self.name, self.path, self.settings = name, path, settings
        self.index = self._opened()
        self._metrics = metrics
        self._refreshing: asyncio.Task[None] | None = None
        self.batches = Batches(
            self._together,
            limit=settings.queue,
            size=settings.batch,
            workers=settings.workers,
            taken=lambda searches, waited: metrics.batch(name, searches, waited),
        )
        self.reads = Line(limit=settings.queue, workers=settings.workers, seconds=settings.deadline)
        self.changes = Line(limit=16, workers=1)
        metrics.host(
            name,
            waiting=lambda: self.batches.waiting,
            generation=lambda: self.index.generation,
            documents=lambda: len(self.index),
        )

    def _opened(self) -> hybrid.HybridIndex:
        limits = hybrid.Limits(k=max(self.settings.reach, self.settings.max_k))
        return hybrid.open(self.path, "w" if self.settings.write else "r", limits=limits)

    def _together(self, asks: Sequence[Ask], done: Done) -> None:
        search_together(self.index, asks, done)

    async def search(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Run searches with whatever else waits; return what became of each.

        Raises:
            Problem: too many wait.
        """
        found = await asyncio.gather(*self.batches.submit(asks), return_exceptions=True)
        outcomes: list[Outcome] = []
        for outcome in found:
            if isinstance(outcome, Result):
                self._metrics.searched(self.name, outcome)
            elif not isinstance(outcome, Exception):
                raise outcome
            outcomes.append(outcome)
        return outcomes

    async def change(self, change: Callable[[hybrid.HybridIndex], int]) -> dict[str, int]:
        """Make a change; return how many documents it touched, and what the index is after it.

        Raises:
            Problem: too many wait.
        """

        def work() -> dict[str, int]:
            count = change(self.index)
            return {"changed": count, "documents": len(self.index), "generation": self.index.generation}

        return await self.changes.run(work)

    def keep_fresh(self) -> None:
        """Begin to look for newer generations; a writer makes them itself."""
        if not self.settings.write:
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(self.settings.refresh)
            try:
                await asyncio.to_thread(self._look)
            except Exception as error:  # whatever it is, the next look may do better
                self._metrics.refresh_failed(self.name)
                known = isinstance(error, HybridError)
                logger.warning(
                    "%s: the generation before stays: %s", self.name, error, exc_info=None if known else error
                )

    def _look(self) -> None:
        self.index = refreshed(self.index, self._opened)

    async def close(self) -> None:
        """Let go of the folder, when all requests are answered or given up."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await self._refreshing
        self.batches.close()
        self.reads.close()
        self.changes.close()
        self.index.close()
