"""Documents that expire: a snapshot as time goes by.

A document is not found from the moment on at which its expiry is seen to have passed, on the machine's
clock. It stays away then, whatever the clock does: for every process, as soon as anything is committed
(that deletes what has expired), and until then for the process that has seen it. Were the clock put back
and the process started again before any commit, the document would be there until its time comes again.
Documents added after a clock was put back are judged by the time that it shows then.
"""

from __future__ import annotations

import time

from hybrid import forking
from hybrid.index.lives import NEVER
from hybrid.index.snapshot import Snapshot


class Ages:
    """What one process has seen of the time, for each segment. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = forking.Lock()
        self._seen: dict[str, int] = {}  # by uuid, the latest time at which a segment was looked at
        self._last: tuple[Snapshot, Snapshot] | None = None  # whole, and what is left of it

    def now(self, whole: Snapshot) -> Snapshot:
        """Return a snapshot without the documents that have expired; the same object while none does."""
        if whole.until == NEVER:
            return whole
        last = self._last
        if last is not None and last[0] is whole and last[1].until > time.time():
            return last[1]
        with self._lock:
            left = self._left(whole, int(time.time()))
            self._last = whole, left
            return left

    def _left(self, whole: Snapshot, now: int) -> Snapshot:
        """Return what is left at the latest time that was seen of each segment."""
        mortal = [view.uuid for view in whole.segments if view.mortal]
        self._seen = {uuid: max(now, self._seen.get(uuid, 0)) for uuid in mortal}
        left = Snapshot(whole.generation, [view.at(self._seen.get(view.uuid, 0)) for view in whole.segments])
        last = whole if self._last is None or self._last[0] is not whole else self._last[1]
        return last if left.live == last.live else left
