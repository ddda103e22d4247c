"""One index that a server holds open: its lines, its newest generation, its changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import hybrid
from hybrid.engine import Ask, search_together
from hybrid.engine.result import Result
from hybrid.errors import FingerprintError, HybridError
from hybrid.server.metrics import Metrics
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
        self.index = hybrid.open(path, "w" if settings.write else "r")
        self._metrics = metrics
        self._refreshing: asyncio.Task[None] | None = None
        self.batches = Batches(
            self._together,
            limit=settings.queue,
            size=settings.batch,
            workers=settings.workers,
            taken=lambda searches, waited: metrics.batch(name, searches, waited),
        )
        self.reads = Line(limit=settings.queue, workers=settings.workers)
        self.changes = Line(limit=16, workers=1)
        metrics.host(
            name,
            waiting=lambda: self.batches.waiting,
            generation=lambda: self.index.generation,
            documents=lambda: len(self.index),
        )

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

    def keep_fresh(self) -> None:
        """Begin to look for newer generations; a writer makes them itself."""
        if not self.settings.write:
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(self.settings.refresh)
            try:
                await asyncio.to_thread(self._look)
            except HybridError as error:
                self._metrics.refresh_failed(self.name)
                logger.warning("%s: the generation before stays: %s", self.name, error)

    def _look(self) -> None:
        try:
            self.index.refresh()
        except FingerprintError:
            replaced, self.index = self.index, hybrid.open(self.path)
            replaced.close()

    async def close(self) -> None:
        """Answer what waits, then let go of the folder."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await self._refreshing
        await self.batches.close()
        self.reads.close()
        self.changes.close()
        self.index.close()
