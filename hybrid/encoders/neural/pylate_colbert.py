"""Token vectors by PyLate, behind the same encoder, with the same fingerprint: its numbers are those of ours.

PyLate 1.6 pins an older sentence-transformers, so it wants an environment of its own.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.batches import Side, TokenBatch
from hybrid.encoders.neural import gathering, loading
from hybrid.encoders.neural.backbone import Backbone
from hybrid.encoders.neural.colbert import Colbert
from hybrid.encoders.neural.colbert_layout import read_layout
from hybrid.encoders.neural.loading import Dtype
from hybrid.encoders.neural.projections import Projection, read_projection
from hybrid.encoders.texts import Distinct
from hybrid.errors import EncoderError, InputError, MissingDependencyError
from hybrid.types import Floats, Progress

BATCH = 32
"""Texts in a batch; the library sorts them by length."""


class PyLateColbert(Colbert):
    """A ``ColBERT`` of PyLate. May be used from several threads, one after the other."""

    _library: Any
    _lock: threading.Lock

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        name: str,
        max_tokens: int | None,
        device: str | None,
        dtype: Dtype,
        trust_remote_code: bool,
    ) -> PyLateColbert:
        """Load a folder in a layout that PyLate knows; parameters as `Colbert.from_folder` has them.

        Raises:
            EncoderError: PyLate cannot load it.
            InputError: a parameter is not accepted.
            MissingDependencyError: PyLate is not installed.
        """
        if dtype not in loading.DTYPES:
            raise InputError(f"dtype is {dtype!r}; accepted: {', '.join(loading.DTYPES)}")
        device = loading.chosen_device(device)
        layout = read_layout(folder)
        if not layout.projections:
            raise EncoderError(
                f"the model in {folder} has no projection, and PyLate would give it a random one; give "
                'backend="transformers"'
            )
        if max_tokens is not None:
            layout = replace(layout, document_length=max_tokens)
        try:
            with loading.quiet():
                model = _library()(
                    str(folder),
                    device=device,
                    trust_remote_code=trust_remote_code,
                    document_length=layout.document_length,
                    model_kwargs={"dtype": getattr(loading.torch_library(), dtype)},
                )
        except MissingDependencyError:
            raise
        except Exception as error:  # missing files, damaged weights: many unrelated types
            raise EncoderError(f"PyLate cannot load {folder}: {error}") from error
        model.eval()
        transformer = model[0].auto_model
        tokenizer = loading.load_tokenizer(layout.transformer, trust_remote_code=trust_remote_code)
        limit = loading.window(tokenizer, transformer, layout.transformer, max_tokens)
        backbone = Backbone(
            transformer, tokenizer, name=name, folder=layout.transformer, head="base", max_tokens=limit
        )
        projections: list[Projection] = []
        for path in layout.projections:
            projections.append(
                read_projection(path, projections[-1].width if projections else backbone.hidden)
            )
        made = cls(backbone, layout, projections)
        made._library, made._lock = model, threading.Lock()
        return made

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
                found = self._library.encode(
                    list(texts), is_query=side == "query", batch_size=BATCH, show_progress_bar=False
                )
        except Exception as error:  # out of memory, the library's own: many unrelated types
            raise EncoderError(
                f"PyLate failed on {len(texts)} texts with {self._backbone.name!r}: {error}"
            ) from error
        return [
            gathering.check_finite(np.ascontiguousarray(row, np.float32), self._backbone.name)
            for row in found
        ]


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's, about its own dependencies
            from pylate.models import ColBERT
    except ImportError as error:
        raise MissingDependencyError("pylate", "pylate") from error
    return ColBERT
