"""Page after page of one result, though the index changes meanwhile.

A cursor says where the next page begins, and names the generation that the first page was made of. The
process that gave it keeps that generation for a while, so all pages come from one state of the index. Cursors
are opaque, and signed with a digest of the generation's content, which only readers of the index know.
"""

from __future__ import annotations

import base64
import json
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

import numpy as np

from hybrid.engine.result import Hit, Result
from hybrid.errors import CursorError
from hybrid.forking import Lock, cached_property
from hybrid.fusion import Fusion
from hybrid.index import Snapshot, Store
from hybrid.index.catalog import State
from hybrid.pipeline import Pipeline, to_dict
from hybrid.types import Query

PINNED = 16
"""How many generations are kept for cursors, beside the current one."""

KEPT = 600.0
"""For how many seconds a generation is kept after a cursor of it was last given or used."""

GROWTH = 4
_PLACE = struct.Struct("<BQQQ?16s")
_VERSION = 1
_DIGEST = 16


@dataclass(frozen=True, eq=False)
class Pinned:
    """A generation as a first page saw it."""

    state: State
    snapshot: Snapshot

    @cached_property
    def key(self) -> bytes:
        """What cursors of it are signed with."""
        return self.state.digest().encode()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after ``offset`` hits.

    ``exact``: whether all pages so far were; otherwise ``first`` is how long the first list is that pages are
    cut from (see `page`). ``asked``: a digest of the query and its options.
    """

    generation: int
    offset: int
    first: int
    exact: bool
    asked: bytes

    def signed(self, key: bytes) -> str:
        """Return the cursor."""
        packed = _PLACE.pack(_VERSION, self.generation, self.offset, self.first, self.exact, self.asked)
        return base64.urlsafe_b64encode(packed + _signature(packed, key)).decode().rstrip("=")


class Pins:
    """The generations that cursors of one reader refer to. Safe to use from many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[Pinned, float]] = OrderedDict()
        self._lock = Lock()

    def keep(self, pinned: Pinned) -> None:
        """Keep a generation from now on; those not used for long go, the oldest first."""
        now = time.monotonic()
        with self._lock:
            self._kept[pinned.state.generation] = pinned, now
            self._kept.move_to_end(pinned.state.generation)
            while self._kept and (
                len(self._kept) > PINNED or now - next(iter(self._kept.values()))[1] > KEPT
            ):
                self._kept.popitem(last=False)

    def find(self, cursor: str, asked: bytes, store: Store) -> tuple[Pinned, Place]:
        """Return what a cursor refers to.

        Raises:
            CursorError: it is none, of another index, of another query, or its generation is gone.
        """
        packed, signature = _unpacked(cursor)
        _, generation, *rest = _PLACE.unpack(packed)
        place = Place(generation, *rest)
        with self._lock:
            kept = self._kept.get(generation)
        pinned = kept[0] if kept else current(store)
        if pinned.state.generation != generation:
            raise CursorError(
                f"the cursor is of generation {generation}, which is not kept any more (the index is at "
                f"{pinned.state.generation}); ask for the first page again"
            )
        if not compare_digest(signature, _signature(packed, pinned.key)):
            raise CursorError("the cursor was changed, or is of another index; ask for the first page again")
        if place.asked != asked:
            raise CursorError(
                "the cursor is of another query; repeat query, where, branches and fusion with it"
            )
        self.keep(pinned)
        return pinned, place


def current(store: Store) -> Pinned:
    """Return the generation that a store sees."""
    while True:
        state, snapshot = store.state, store.snapshot
        if state.generation == snapshot.generation:
            return Pinned(state, snapshot)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Everything that decides the order of hits."""

    query: Query
    pipeline: Pipeline
    where: Mapping[str, Any] | None
    fusion: Fusion | None

    def digest(self) -> bytes:
        """Return what names it in cursors."""
        vectors = {name: _plain(vector) for name, vector in sorted(self.query.vectors.items())}
        content = [self.query.text, vectors, self.where, to_dict(self.pipeline), repr(self.fusion)]
        return blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=_DIGEST).digest()


def with_cursor(
    result: Result, k: int, pins: Pins, pinned: Pinned, asked: Asked, place: Place | None = None
) -> Result:
    """Return a page, the one at ``place`` or the first, that knows where the next one begins."""
    if result.degraded or len(result) < k:
        return result

    def cursor() -> str:
        pins.keep(pinned)
        before, first, exact = (0, k, True) if place is None else (place.offset, place.first, place.exact)
        if exact and not result.exact:
            first = before or k  # from there on pages are cut from lists that need not continue each other
        following = Place(pinned.state.generation, before + k, first, exact and result.exact, asked.digest())
        return following.signed(pinned.key)

    return replace(result, _cursor=cursor)


def following(search: Callable[[str | None], Result]) -> Iterator[Result]:
    """Yield page after page, from the first, until all documents found were seen."""
    cursor: str | None = None
    while True:
        result = search(cursor)
        if result or cursor is None:
            yield result
        if (cursor := result.cursor) is None:
            return


def page(run: Callable[[int], Result], place: Place, k: int) -> Result:
    """Return the next ``k`` hits; ``run`` searches for the best n.

    Where results are exact, the best n are the beginning of the best n + k. Elsewhere the pages are cut from
    lists of 1, 4, 16 … times the first page, of which each gives what those before did not have; so no page
    repeats a hit, whatever an approximate search finds.
    """
    wanted = place.offset + k
    if place.exact:
        result = run(wanted)
        if result.exact:
            return replace(result, hits=result.hits[place.offset :])
    depth = (place.offset or k) if place.exact else place.first
    hits: dict[str, Hit] = {}
    while True:
        result = run(depth)
        for hit in result.hits:
            hits.setdefault(hit.id, hit)
        if len(hits) >= wanted or len(result.hits) < depth:
            break
        depth *= GROWTH
    listed = [*hits.values()][place.offset : wanted]
    return replace(
        result,
        hits=tuple(replace(hit, rank=n) for n, hit in enumerate(listed, place.offset + 1)),
        exact=False,
    )


def alive(result: Result, snapshot: Snapshot) -> Result:
    """Return a page without the documents that have expired since the first one."""
    if snapshot.until > time.time():
        return result
    gone = snapshot.gone(snapshot.find([hit.id for hit in result.hits]), int(time.time()))
    return replace(result, hits=tuple(hit for hit, dead in zip(result.hits, gone, strict=True) if not dead))


def _plain(vector: Any) -> Any:
    return dict(sorted(vector.items())) if isinstance(vector, Mapping) else np.asarray(vector).tolist()


def _signature(packed: bytes, key: bytes) -> bytes:
    return blake2b(packed, key=key, digest_size=_DIGEST).digest()


def _unpacked(cursor: str) -> tuple[bytes, bytes]:
    try:
        content = base64.b64decode(cursor.encode("ascii") + b"==", altchars=b"-_", validate=True)
    except (AttributeError, ValueError):
        content = b""
    if len(content) != _PLACE.size + _DIGEST or content[0] != _VERSION:
        raise CursorError(f"{cursor!r:.80} is no cursor; give one that result.cursor returned")
    return content[: _PLACE.size], content[_PLACE.size :]
