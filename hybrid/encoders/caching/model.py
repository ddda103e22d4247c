"""A model that asks its cache first, and counts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hybrid import forking
from hybrid.batches import DenseBatch, Encoded, Representation, Side
from hybrid.encoders.caching.entries import EmbeddingCache, intact, key, pack, space, unpack
from hybrid.encoders.caching.memory_cache import MemoryCache
from hybrid.encoders.fingerprint import drift, tolerance_of
from hybrid.encoders.model import Model
from hybrid.errors import PartialEncodingError
from hybrid.types import Floats, Progress

logger = logging.getLogger("hybrid.encoders")

PORTION_CHARACTERS = 1 << 16
PORTION_TEXTS = 512
"""How much is encoded at a time; so much is lost at most when the process dies."""

QUERY_BYTES = 32 << 20
"""How many bytes of encoded queries are remembered."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a model was asked since the index was opened: texts of documents, and queries.

    ``encoded``: passed through the model. ``cached``: found in the cache. ``truncated``: how many of both
    were longer than the model's window, so that their end was not encoded. With a cache, a text that comes
    twice in one group counts once.
    """

    encoded: int = 0
    cached: int = 0
    truncated: int = 0
    queries_encoded: int = 0
    queries_cached: int = 0
    queries_truncated: int = 0


class _State:
    """What changes about a model: its counts, the queries it remembers, and whether its cache failed."""

    def __init__(self) -> None:
        self.lock = forking.Lock()
        self.counts: Counter[str] = Counter()
        self.queries = MemoryCache(QUERY_BYTES)
        self.probes: dict[Representation, Floats] = {}
        self.failed = False


@dataclass(frozen=True, slots=True, eq=False)
class CachedModel(Model):
    """A model behind a cache; without one it only counts.

    Texts of documents are looked up in ``cache``, and those that are not there are encoded in portions,
    each kept as soon as it is done. Queries are remembered in memory. A cache that fails is told of once
    and left alone. What comes from a cache is what the encoder gave, bit for bit.
    """

    cache: EmbeddingCache | None = None
    _state: _State = field(default_factory=_State)

    @classmethod
    def behind(cls, model: Model, cache: EmbeddingCache | None) -> CachedModel:
        """Put a cache in front of a model."""
        return cls(model.name, model.encoder, model.representations, cache)

    def expect(self, probes: Mapping[Representation, Floats]) -> None:
        """Say which vectors the encoder gives to the probe texts (`hybrid.encoders.probe`).

        Entries of an encoder that says the same of itself, but gives other vectors, are then not used.
        """
        self._state.probes |= {kind: rows for kind, rows in probes.items() if np.isfinite(rows).all()}

    def counts(self) -> Counts:
        """Return what was asked so far."""
        with self._state.lock:
            return Counts(**self._state.counts)

    def encode(
        self,
        texts: Sequence[str],
        side: Side,
        representations: Collection[Representation],
        progress: Progress | None = None,
    ) -> Encoded:
        """Encode texts, in order; raises what `Model.encode` raises."""
        if self.cache is None or not texts or not all(isinstance(text, str) for text in texts):
            encoded = Model.encode(self, texts, side, representations, progress)
            self._count(encoded, side, "encoded")
            return encoded
        lookup = self._lookup(self.cache, side, tuple(representations))
        distinct = list(dict.fromkeys(texts))
        portions = [distinct] if side == "query" else _portions(distinct)
        place: dict[str, int] = {}
        parts: list[Encoded] = []
        for portion in portions:
            told = None if progress is None else _told(progress, self.name, len(place), len(distinct))
            for some, encoded, how in lookup.portion(portion, told):
                place |= {text: len(place) + n for n, text in enumerate(some)}
                parts.append(encoded)
                self._count(encoded, side, how)
            if progress is not None:
                progress(f"encode {self.name}", len(place), len(distinct))
        return Encoded.concat(parts).take(np.array([place[text] for text in texts], np.int64))

    def _lookup(self, cache: EmbeddingCache, side: Side, kinds: tuple[Representation, ...]) -> _Lookup:
        if side == "query":  # nobody else's entries are in there
            return _Lookup(self, self._state.queries, b"", side, kinds)
        guarded = _Guarded(cache, self._state)
        return _Lookup(self, guarded, _settled(self, guarded, self._state.probes), side, kinds)

    def _count(self, encoded: Encoded, side: Side, how: str) -> None:
        prefix = "queries_" if side == "query" else ""
        batches = (encoded.dense, encoded.sparse, encoded.tokens)
        flags = next((batch.truncated for batch in batches if batch is not None), ())
        with self._state.lock:
            self._state.counts[prefix + how] += len(flags)
            self._state.counts[f"{prefix}truncated"] += int(np.count_nonzero(flags))


@dataclass(frozen=True, slots=True, eq=False)
class _Lookup:
    """Looking texts up in a cache, and encoding those that are not there."""

    model: Model
    cache: EmbeddingCache
    space: bytes
    side: Side
    kinds: tuple[Representation, ...]

    def portion(
        self, texts: Sequence[str], progress: Progress | None
    ) -> Iterator[tuple[list[str], Encoded, str]]:
        """Yield the texts that were there and those that were not, with what they became."""
        keys = {text: [key(self.space, self.side, kind, text) for kind in self.kinds] for text in texts}
        values = self.cache.get([name for names in keys.values() for name in names])
        there: list[str] = []
        new: list[str] = []
        for text, names in keys.items():
            whole = all(map(self._intact, map(values.get, names), self.kinds))
            (there if whole else new).append(text)
        if there:
            found: dict[str, Any] = {
                kind: unpack(kind, [values[keys[text][n]] for text in there], _width(self.model, kind))
                for n, kind in enumerate(self.kinds)
            }
            yield there, Encoded(**found), "cached"
        if new:
            try:
                encoded = Model.encode(self.model, new, self.side, self.kinds, progress)
            except PartialEncodingError as error:
                if error.encoded is not None:
                    self._keep([keys[text] for text in error.texts], error.encoded)
                raise
            self._keep([keys[text] for text in new], encoded)
            yield new, encoded, "encoded"

    def _keep(self, keys: Sequence[Sequence[bytes]], encoded: Encoded) -> None:
        """Put what was encoded into the cache; what no branch would accept is not kept."""
        values: dict[bytes, bytes] = {}
        for n, kind in enumerate(self.kinds):
            try:
                packed = pack(kind, encoded[kind])
            except ValueError:
                return
            if not all(self._intact(value, kind) for value in packed):
                return
            values |= zip((names[n] for names in keys), packed, strict=True)
        self.cache.put(values)

    def _intact(self, value: bytes | None, kind: Representation) -> bool:
        return intact(value, kind, _width(self.model, kind))


@dataclass(frozen=True, slots=True, eq=False)
class _Guarded:
    """A cache whose failure is told of once, and is no more than a miss."""

    cache: EmbeddingCache
    state: _State

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        try:
            return {} if self.state.failed else self.cache.get(keys)
        except Exception as error:  # whatever a cache of the caller's own raises
            self._fail(error)
            return {}

    def put(self, values: Mapping[bytes, bytes]) -> None:
        try:
            if not self.state.failed:
                self.cache.put(values)
        except Exception as error:  # as above
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.state.failed = True
        logger.warning("%s; texts are encoded without a cache from now on", error, exc_info=error)


def _settled(model: Model, cache: EmbeddingCache, probes: Mapping[Representation, Floats]) -> bytes:
    """Return the model's space in a cache: one of its own if another encoder goes by the same fingerprint."""
    named = space(model.fingerprint())
    for kind, probe in probes.items():
        name = key(named, None, kind, "probes")
        value = cache.get([name]).get(name)
        if value is None or not intact(value, "dense", probe.size):
            flat = DenseBatch(probe.reshape(1, -1), np.zeros(1, np.bool_))
            cache.put({name: pack("dense", flat)[0]})
        elif not _same(
            unpack("dense", [value], probe.size).vectors[0].reshape(probe.shape),
            probe,
            tolerance_of(model.fingerprint()),
        ):
            return space(model.fingerprint(), salt=np.ascontiguousarray(probe, "<f4").tobytes())
    return named


def _same(kept: Floats, probe: Floats, tolerance: float) -> bool:
    """Return whether two sets of probe vectors differ by no more than runtimes do."""
    cosine, length = drift(kept, probe)
    return bool((cosine <= tolerance).all() and (length <= tolerance).all())


def _width(model: Model, kind: Representation) -> int:
    """Return how many numbers one row has; of sparse weights it says nothing."""
    names = {"dense": "dimension", "tokens": "token_dimension"}
    return int(model.says(names[kind])) if kind in names else 0


def _portions(texts: list[str]) -> Iterator[list[str]]:
    """Cut texts into portions of like length, whatever of them is in the cache.

    Encoders put texts of like length into one batch; and a run that begins where another died has the same
    batches, since a portion is kept as a whole.
    """
    portion: list[str] = []
    size = 0
    for text in sorted(texts, key=len):
        portion.append(text)
        size += len(text)
        if size >= PORTION_CHARACTERS or len(portion) >= PORTION_TEXTS:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _told(progress: Progress, name: str, before: int, total: int) -> Progress:
    """Return a callback for one portion that tells of the whole."""
    return lambda _stage, done, _total: progress(f"encode {name}", before + done, total)
