"""Is this encoder the one that the index was built with?

Two guards. The fingerprint compares what an encoder says of itself; the probes compare what it
does, on a few fixed texts, and so notice a drift that no setting shows (another runtime, a lower
precision, a patched tokenizer).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import Representation, SparseBatch, TokenBatch
from hybrid.encoders.model import Model
from hybrid.errors import FingerprintError
from hybrid.types import Encoder, Floats

PROBE_DOCUMENTS = (
    "The cat sat on the mat.",
    "Größe und Maß: 東京タワー, naïve café, Москва 🙂",
    "error E-4021 in parse_header(C++ 3.11)",
    " ".join(f"Sentence {n} asks what changes when one text runs longer than the window." for n in range(40)),
)
PROBE_QUERY = "how does a cell divide?"

TOLERANCE = 1e-5
"""How far a float32 probe may drift: in cosine distance, and in relative length.

Measured on all-MiniLM-L6-v2 (``eval/encoders.py``): torch float32 drifts by at most 6e-13 in cosine
and 5e-7 in length, so every float32 runtime passes. bfloat16 drifts by at least 4e-5 in cosine on
every probe, weights rounded to int8 by 3e-4, dynamic int8 by 4e-2, another pooling by 3e-1, and
another window by 7e-2 on the long probe: each of them fails.
"""

TOLERANCES: Mapping[object, float] = {"float16": 1e-4, "bfloat16": 1e-3, "unstated": 1e-3}
"""How far the probes of a model that computes in fewer bits may drift; float32's holds elsewhere.

Measured on all-MiniLM-L6-v2 (``eval/dtypes.py``): what may change without changing the model (other texts in
the batch, other attention kernels, sentence-transformers) drifts by at most 6e-7 in cosine for float16 and
3.3e-5 for bfloat16, in a model of 6 layers; deeper ones add up more. A short prefix drifts by 9e-3, another
pooling by 3e-1. What is too small for the probes shows in the fingerprint: dtype, weights, prefixes.
Models behind an API do not state theirs, and run on machines that differ; they get bfloat16's.
"""

OPTIONS = ("dtype", "query_prefix", "document_prefix", "pooling", "max_tokens", "dimension")
"""Entries of a fingerprint that can be chosen when a model is loaded."""


def differences(stored: Mapping[str, object], current: Mapping[str, object]) -> list[str]:
    """Return how two fingerprints differ, one readable line for each difference, by name.

    A revision names files; where the files are known to be the same, another name for them is no difference.

    >>> differences({"pooling": "mean", "dimension": 3}, {"pooling": "cls", "dimension": 3})
    ["pooling: index has 'mean', encoder has 'cls'"]
    """
    lines = []
    names = {*stored, *current}
    if "weights" in stored and all(
        _spell(stored, name) == _spell(current, name) for name in names - {"revision"}
    ):
        names.discard("revision")
    for name in sorted(names):
        then, now = _spell(stored, name), _spell(current, name)
        if then != now:
            lines.append(f"{name}: index has {then}, encoder has {now}")
    return lines


def remedy(name: str, stored: Mapping[str, object], current: Mapping[str, object]) -> str:
    """Return how to load the model that an index was built with, as far as options can do it.

    >>> remedy("m", {"weights": "w", "dtype": "float16"}, {"weights": "w", "dtype": "float32"})
    "Load it as it was: encoders={'m': hybrid.load_encoder('m', dtype='float16')}"
    """
    if stored.get("weights") == current.get("weights"):
        wanted = {key: stored[key] for key in OPTIONS if key in stored and stored[key] != current.get(key)}
    else:
        wanted = {"revision": stored["revision"]} if stored.get("revision") else {}
    if not wanted:
        return "Open the index with the model it was built with"
    options = "".join(f", {key}={value!r}" for key, value in wanted.items())
    return f"Load it as it was: encoders={{{name!r}: hybrid.load_encoder({name!r}{options})}}"


def _spell(fingerprint: Mapping[str, object], name: str) -> str:
    return repr(fingerprint[name]) if name in fingerprint else "nothing"


_SKETCH = 64
_TURN = np.sqrt(2.0)  # irrational, so that no two positions turn alike


def probe(encoder: Encoder, representation: Representation = "dense") -> Floats:
    """Encode the probe texts: float32, one row for each document and then the query.

    Dense vectors stand as they are. Of sparse weights and token vectors a row is a sketch: their sum, each
    times the cosine of a multiple of its term or position, so that a change of any of them shows.
    """
    model = Model.of("probed", encoder)
    documents = model.encode(PROBE_DOCUMENTS, "document", (representation,))
    query = model.encode([PROBE_QUERY], "query", (representation,))
    rows = [_SKETCHES[representation](encoded[representation]) for encoded in (documents, query)]
    return np.concatenate(rows).astype(np.float32, copy=False)


def _sparse_sketch(batch: SparseBatch) -> Floats:
    """Return shape (texts, 64)."""
    turns = np.cos(np.outer(batch.terms + 1.0, _TURN * np.arange(1, _SKETCH + 1)))
    return _sums(batch.indptr, batch.weights[:, None] * turns)


def _token_sketch(batch: TokenBatch) -> Floats:
    """Return shape (texts, dimension)."""
    position = np.arange(batch.indptr[-1]) - np.repeat(batch.indptr[:-1], np.diff(batch.indptr))
    return _sums(batch.indptr, batch.vectors * np.cos(_TURN * (position + 1.0))[:, None])


def _sums(indptr: NDArray[np.int64], entries: NDArray[Any]) -> Floats:
    return np.array([entries[a:b].sum(axis=0) for a, b in pairwise(indptr)], np.float32)


_SKETCHES: Mapping[Representation, Any] = {
    "dense": lambda batch: batch.vectors,
    "sparse": _sparse_sketch,
    "tokens": _token_sketch,
}


def check_probe(
    stored: Floats,
    encoder: Encoder,
    tolerance: float = TOLERANCE,
    representation: Representation = "dense",
) -> None:
    """Check that an encoder still gives the probe vectors stored with an index.

    Raises:
        FingerprintError: a probe drifted; the message says which and by how much.
    """
    current = probe(encoder, representation)
    if stored.shape != current.shape:
        raise FingerprintError(
            f"the index stores probe vectors of shape {stored.shape}, the encoder gives {current.shape}; "
            "open the index with the model it was built with, or build it anew"
        )
    cosine, length = drift(stored, current)
    drifted = [
        f"{_probe_name(n)} by {cosine[n]:.2g} in cosine and {length[n]:.2g} in length"
        for n in range(len(stored))
        if not (cosine[n] <= tolerance and length[n] <= tolerance)
    ]
    if drifted:
        raise FingerprintError(
            f"the encoder's vectors drifted from those the index was built with (tolerance {tolerance:g}): "
            f"{'; '.join(drifted)}; use the software and the model of then, or build the index anew"
        )


def tolerance_of(fingerprint: Mapping[str, object]) -> float:
    """Return how far the probes of an encoder with this fingerprint may drift."""
    return TOLERANCES.get(fingerprint.get("dtype"), TOLERANCE)


def drift(
    stored: Floats, current: Floats
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return each row's cosine distance and relative difference in length, as float64.

    The cosine distance is half the squared distance of the unit vectors, which stays accurate
    where 1 - cosine would be rounding noise. Two zero vectors do not differ.
    """
    old, new = stored.astype(np.float64), current.astype(np.float64)
    old_length, new_length = np.linalg.norm(old, axis=1), np.linalg.norm(new, axis=1)
    units = [
        np.divide(rows, lengths[:, None], out=np.zeros_like(rows), where=lengths[:, None] > 0)
        for rows, lengths in ((old, old_length), (new, new_length))
    ]
    cosine = 0.5 * np.sum((units[0] - units[1]) ** 2, axis=1)
    longest = np.maximum(old_length, new_length)
    length = np.divide(
        np.abs(old_length - new_length), longest, out=np.zeros_like(longest), where=longest > 0
    )
    return cosine, length


def _probe_name(position: int) -> str:
    if position == len(PROBE_DOCUMENTS):
        return f"the query {PROBE_QUERY!r}"
    text = PROBE_DOCUMENTS[position]
    return f"the document {text if len(text) <= 40 else text[:39] + '…'!r}"
