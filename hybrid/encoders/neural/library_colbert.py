"""Token vectors that another library makes, behind our encoder: its numbers and fingerprint are ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import numpy as np

from hybrid.batches import Side, TokenBatch
from hybrid.encoders.neural import gathering, loading
from hybrid.encoders.neural.backbone import Backbone
from hybrid.encoders.neural.colbert import Colbert
from hybrid.encoders.neural.colbert_layout import ColbertLayout
from hybrid.encoders.neural.projections import Projection, read_projection
from hybrid.encoders.texts import Distinct
from hybrid.errors import EncoderError
from hybrid.types import Floats, Progress

BATCH = 32
"""Texts in a batch; the libraries sort them by length."""

Make = Callable[[list[str], Side], Iterable[Any]]
"""Makes the vectors of texts: for each, an array-like of shape (tokens, d)."""


class LibraryColbert(Colbert):
    """A ``ColBERT`` of another library. May be used from several threads, one after the other."""

    _library: str
    _make: Make
    _lock: threading.Lock

    @classmethod
    def around(
        cls,
        transformer: Any,
        layout: ColbertLayout,
        *,
        name: str,
        max_tokens: int | None,
        trust_remote_code: bool,
        library: str,
        make: Make,
    ) -> Self:
        """Put our encoder around a library's model; ``transformer`` is the part that reads tokens.

        Raises:
            EncoderError: the files are not those of such a model.
        """
        tokenizer = loading.load_tokenizer(layout.transformer, trust_remote_code=trust_remote_code)
        limit = loading.window(tokenizer, transformer, layout.transformer, max_tokens)
        backbone = Backbone(
            transformer, tokenizer, name=name, folder=layout.transformer, head="base", max_tokens=limit
        )
        projections: list[Projection] = []
        for path in layout.projections:
            width = projections[-1].width if projections else backbone.hidden
            projections.append(read_projection(path, width))
        made = cls(backbone, layout, projections)
        made._library, made._make, made._lock = library, make, threading.Lock()
        return made

    def limit(self, side: Side) -> int:
        """Return where texts are cut, special tokens and markers included."""
        return self._limits[side]

    def _encode(self, texts: Sequence[str], side: Side, progress: Progress | None) -> TokenBatch:
        distinct = Distinct.of(texts)
        stage, total = f"encode {self._backbone.name}", len(distinct.texts)
        rows: list[Floats] = []
        if progress is not None:
            progress(stage, 0, total)
        for start in range(0, total, BATCH):
            rows += self._run(distinct.texts[start : start + BATCH], side)
            if progress is not None:
                progress(stage, len(rows), total)
        cut = self.prepare(distinct.texts, side).truncated
        batch = gathering.token_batch(rows, self.token_dimension, cut)
        return batch if len(batch) == len(texts) else batch.take(distinct.source)

    def _run(self, texts: Sequence[str], side: Side) -> list[Floats]:
        try:
            with self._lock:
                found = list(self._make(list(texts), side))
        except Exception as error:  # out of memory, the library's own: many unrelated types
            raise EncoderError(
                f"{self._library} failed on {len(texts)} texts with {self._backbone.name!r}: {error}"
            ) from error
        return [
            gathering.check_finite(np.ascontiguousarray(row, np.float32), self._backbone.name)
            for row in found
        ]
