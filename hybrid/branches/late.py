"""Vectors of passages, pooled from what a model sees of their whole documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybrid.batches import DenseBatch
from hybrid.types import Floats


def late_vectors(encoder: Any, cut: Any, wanted: Sequence[int]) -> DenseBatch:
    """Return the vectors of some passages of a `Cut`, each pooled from the whole of its document.

    Raises:
        EncoderError: the model cannot do it.
    """
    vectors: dict[int, Floats] = {}
    chosen = set(wanted)
    for number, whole in enumerate(cut.wholes):
        own = [n for n in range(int(cut.bounds[number]), int(cut.bounds[number + 1])) if n in chosen]
        before = len(whole.content) - len(whole.text)
        spans = {n: (int(cut.spans[n, 0]) + before, int(cut.spans[n, 1]) + before) for n in own}
        full = [n for n in own if whole.content[slice(*spans[n])].strip()]
        if full:
            batch = encoder.encode_parts(whole.content, [spans[n] for n in full])
            vectors |= zip(full, batch.vectors, strict=True)
    empty = [n for n in wanted if n not in vectors]
    if empty:
        vectors |= zip(empty, encoder.encode_documents([cut[n].content for n in empty]).vectors, strict=True)
    return DenseBatch(np.stack([vectors[n] for n in wanted]), np.zeros(len(wanted), np.bool_))
