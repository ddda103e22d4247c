"""Cross-encoders by sentence-transformers itself, for models whose code or modules only it can run."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybrid import forking
from hybrid.encoders.neural import loading
from hybrid.encoders.neural.loading import Dtype
from hybrid.errors import EncoderError, InputError, MissingDependencyError
from hybrid.rerankers.padding import use_threads
from hybrid.rerankers.pairs import contents
from hybrid.types import Document, Floats

BATCH = 32
"""Pairs in a batch; the library sorts them by length."""


class SentenceCrossEncoder:
    """A ``CrossEncoder`` of sentence-transformers. May be used from several threads, one after the other.

    The score is the model's raw output; the library cuts long documents at the model's window.
    """

    def __init__(self, model: Any, *, name: str) -> None:
        """Take the library's model; see `load`."""
        self.name = name
        self._model = model
        self._lock = forking.Lock()  # its tokenizer is not safe for threads

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        name: str,
        device: str | None = None,
        dtype: Dtype = "float32",
        max_tokens: int | None = None,
        trust_remote_code: bool = False,
    ) -> SentenceCrossEncoder:
        """Load the model in a folder.

        ``max_tokens``: the window, of query and document together; None for what the model's files say.

        Raises:
            EncoderError: it cannot be loaded, or has another number of outputs than one.
            InputError: the device or dtype cannot be had.
            MissingDependencyError: sentence-transformers is not installed.
        """
        if dtype not in loading.DTYPES:
            raise InputError(f"dtype is {dtype!r}; accepted: {', '.join(loading.DTYPES)}")
        device = loading.chosen_device(device)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the library's, about its own dependencies
                from sentence_transformers import CrossEncoder
        except ModuleNotFoundError as error:
            raise MissingDependencyError("sentence-transformers", "models") from error
        try:
            with loading.quiet():
                model = CrossEncoder(
                    str(folder),
                    device=device,
                    max_length=max_tokens,
                    trust_remote_code=trust_remote_code,
                    local_files_only=True,
                    model_kwargs={"dtype": getattr(loading.torch_library(), dtype)},
                )
        except Exception as error:  # missing files, damaged weights, code of its own: many unrelated types
            raise EncoderError(f"sentence-transformers cannot load {folder}: {error}") from error
        outputs = int(model.num_labels)
        if outputs != 1:
            raise EncoderError(
                f"the model in {folder} has {outputs} outputs; a cross-encoder for ranking has 1 (such as "
                "BAAI/bge-reranker-v2-m3)"
            )
        return cls(model, name=name)

    def score(self, query: str, documents: Sequence[Document]) -> Floats:
        """Return one score per document: float32, shape (documents,), in the order given.

        Raises:
            InputError: a text is not valid Unicode.
            EncoderError: the model failed, or gave what is not finite.
        """
        texts = contents(query, documents)
        if not texts:
            return np.zeros(0, np.float32)
        use_threads()
        pairs = [(query, text) for text in texts]
        raw = loading.torch_library().nn.Identity()
        try:
            with self._lock:
                found = self._model.predict(
                    pairs, batch_size=BATCH, activation_fn=raw, show_progress_bar=False
                )
        except Exception as error:  # out of memory, code of the model's own: many unrelated types
            raise EncoderError(
                f"cross-encoder {self.name!r} failed on {len(pairs)} pairs: {error}"
            ) from error
        scores = np.asarray(found, np.float32)
        if scores.shape != (len(texts),) or not np.isfinite(scores).all():
            raise EncoderError(
                f"cross-encoder {self.name!r} gave scores of shape {scores.shape} for {len(texts)} "
                "documents, or scores that are not finite"
            )
        return scores
