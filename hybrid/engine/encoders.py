"""The encoders of one index: found once, and checked against what the index was built with."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hybrid.encoders import check_probe, differences, load, probe
from hybrid.errors import EncoderError, FingerprintError, InputError
from hybrid.types import DenseEncoder


class EncoderSet:
    """Encoders by model name: those handed in first, the registry's otherwise.

    ``stored`` maps models to what the index keeps of them (see `describe`); an encoder that
    differs from it, by its fingerprint or by the vectors it gives to the probe texts, is refused
    the first time it is asked for, before it encodes anything.
    """

    def __init__(
        self, given: Mapping[str, DenseEncoder] | None = None, stored: Mapping[str, Any] | None = None
    ) -> None:
        self._given = dict(given or {})
        for model, encoder in self._given.items():
            if not isinstance(encoder, DenseEncoder):
                raise InputError(
                    f"the encoder given for {model!r} is {encoder!r}; it must have dimension, normalized, "
                    "fingerprint(), encode_documents() and encode_queries() (see hybrid.DenseEncoder)"
                )
        self._stored = dict(stored or {})
        self._ready: dict[str, DenseEncoder] = {}
        self._lock = threading.Lock()

    def get(self, model: str) -> DenseEncoder:
        """Return the encoder of ``model``, checked once."""
        encoder = self._ready.get(model)
        if encoder is None:
            with self._lock:
                encoder = self._ready.get(model)
                if encoder is None:
                    encoder = self._given[model] if model in self._given else load(model)
                    if model in self._stored:
                        verify(model, encoder, self._stored[model])
                    self._ready[model] = encoder
        return encoder

    def describe(self, models: Iterable[str]) -> dict[str, Any]:
        """Return what an index keeps of each model: its fingerprint and its probe vectors."""
        return {model: describe(self.get(model)) for model in models}


def describe(encoder: DenseEncoder) -> dict[str, Any]:
    """Return an encoder's fingerprint and probe vectors as JSON values."""
    fingerprint = dict(encoder.fingerprint())
    plain = all(
        isinstance(key, str) and isinstance(value, str | int | bool) for key, value in fingerprint.items()
    )
    if not plain:
        raise EncoderError(
            f"the fingerprint of {encoder!r} is {fingerprint!r}; its values must be strings, whole numbers "
            "or booleans"
        )
    vectors = np.ascontiguousarray(probe(encoder), np.float32)
    return {
        "fingerprint": fingerprint,
        "probe": {"shape": list(vectors.shape), "float32": base64.b64encode(vectors.tobytes()).decode()},
    }


def verify(model: str, encoder: DenseEncoder, stored: Mapping[str, Any]) -> None:
    """Refuse an encoder that is not the one described.

    Raises:
        FingerprintError: it says what differs.
    """
    lines = differences(stored["fingerprint"], encoder.fingerprint())
    if lines:
        raise FingerprintError(
            f"model {model!r} is not the one this index was built with:\n  "
            + "\n  ".join(lines)
            + "\nOpen the index with the model it was built with, or build it anew with this one."
        )
    packed = stored["probe"]
    vectors = np.frombuffer(base64.b64decode(packed["float32"]), np.float32).reshape(packed["shape"])
    check_probe(vectors, encoder)
