"""The encoders of one index: found once, and checked against what the index was built with."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hybrid import forking
from hybrid.batches import Representation
from hybrid.branches import Branch
from hybrid.encoders import Model, check_probe, differences, load, probe, remedy, tolerance_of
from hybrid.encoders.caching import CachedModel, Counts, EmbeddingCache
from hybrid.engine.passes import OnePass, needs, needs_of_cutting
from hybrid.errors import EncoderError, FingerprintError, InputError
from hybrid.text import Cleaning
from hybrid.types import Encoder, Floats


class EncoderSet:
    """Encoders by model name: those handed in first, the registry's otherwise.

    ``stored`` maps models to what the index keeps of them (see `describe`); an encoder that
    differs from it, by its fingerprint or by the vectors it gives to the probe texts, is refused
    the first time it is asked for, before it encodes anything. What they give is kept in ``cache``, if
    there is one.
    """

    def __init__(
        self,
        given: Mapping[str, Encoder] | None = None,
        stored: Mapping[str, Any] | None = None,
        cache: EmbeddingCache | None = None,
        cleaning: Cleaning | None = None,
    ) -> None:
        self._given: dict[str, Model] = {}
        for model, encoder in (given or {}).items():
            try:
                self._given[model] = Model.of(model, encoder)
            except EncoderError as error:
                raise InputError(
                    f"the encoder given for {model!r} is {encoder!r}; it must have fingerprint(), "
                    f"encode_documents(), encode_queries() and say what it gives: {error}"
                ) from error
        self._stored = dict(stored or {})
        self._cache, self.cleaning = cache, cleaning
        self._ready: dict[str, CachedModel] = {}
        self._lock = forking.Lock()

    def get(self, name: str) -> CachedModel:
        """Return a model, checked once.

        Raises:
            EncoderError: it is unknown or cannot be loaded.
            FingerprintError: it is not the one that the index was built with.
        """
        model = self._ready.get(name)
        if model is None:
            with self._lock:
                model = self._ready.get(name)
                if model is None:
                    plain = self._given.get(name) or Model.of(name, load(name))
                    model = CachedModel.behind(plain, self._cache)
                    if name in self._stored:
                        verify(model, self._stored[name])
                        model.expect(probes(self._stored[name]))
                    self._ready[name] = model
        return model

    def together(self, branches: Iterable[Branch]) -> OnePass:
        """Return the encoders of some branches for one query, or for one group of documents."""
        return OnePass(self.get, needs(branches), self.cleaning)

    def describe(self, branches: Iterable[Branch]) -> dict[str, Any]:
        """Return what an index keeps of each model: its fingerprint and its probe vectors."""
        described = {
            name: describe(self.get(name), kinds) for name, kinds in needs_of_cutting(branches).items()
        }
        for name, model in described.items():
            self.get(name).expect(probes(model))
        return described

    def counts(self) -> dict[str, Counts]:
        """Return what each model was asked so far; models that were not needed yet are left out."""
        return {name: model.counts() for name, model in sorted(self._ready.items())}


def describe(model: Model, representations: Iterable[Representation]) -> dict[str, Any]:
    """Return a model's fingerprint, and its probe vectors of each representation, as JSON values.

    Raises:
        EncoderError: the model does not give one of them, or its fingerprint is no plain mapping.
    """
    representations = list(representations)
    model.need(representations)
    fingerprint = dict(model.fingerprint())
    plain = all(
        isinstance(key, str) and isinstance(value, str | int | bool) for key, value in fingerprint.items()
    )
    if not plain:
        raise EncoderError(
            f"the fingerprint of {model.encoder!r} is {fingerprint!r}; its values must be strings, whole "
            "numbers or booleans"
        )
    probes = {kind: _packed(probe(model.encoder, kind)) for kind in representations}
    return {"fingerprint": fingerprint, "probes": probes}


def verify(model: Model, stored: Mapping[str, Any]) -> None:
    """Refuse an encoder that is not the one described.

    Raises:
        FingerprintError: it says what differs.
    """
    then, now = stored["fingerprint"], model.fingerprint()
    lines = differences(then, now)
    if lines:
        raise FingerprintError(
            f"model {model.name!r} is not the one this index was built with:\n  "
            + "\n  ".join(lines)
            + f"\n{remedy(model.name, then, now)}, or build the index anew with this one."
        )
    for kind, rows in probes(stored).items():
        model.need([kind])
        check_probe(rows, model.encoder, tolerance_of(then), kind)


def probes(described: Mapping[str, Any]) -> dict[Representation, Floats]:
    """Return the probe vectors of a description, by representation."""
    return {kind: _unpacked(packed) for kind, packed in described["probes"].items()}


def _packed(rows: Floats) -> dict[str, Any]:
    rows = np.ascontiguousarray(rows, np.float32)
    return {"shape": list(rows.shape), "float32": base64.b64encode(rows.tobytes()).decode()}


def _unpacked(packed: Mapping[str, Any]) -> Floats:
    return np.frombuffer(base64.b64decode(packed["float32"]), np.float32).reshape(packed["shape"])
