"""A BERT sentence encoder on ONNX Runtime: no torch, no transformers, float32 or int8 on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.encoders import int8
from hybrid.encoders.bert_graph import INPUT, OUTPUT, build_graph
from hybrid.encoders.checkpoint import Checkpoint, read_checkpoint
from hybrid.encoders.onnx_encoder import (
    OnnxDtype,
    OnnxEncoder,
    checked_dtype,
    load_tokenizer,
    start_session,
)
from hybrid.encoders.weights import file_digest
from hybrid.types import Floats


class OnnxBertEncoder(OnnxEncoder):
    """A sentence-transformers BERT model, run by ONNX Runtime straight from its safetensors file.

    A text's vector depends on nothing but the text: not on the batch it is encoded in, nor on the
    number of threads. May be used from several threads at once.
    """

    def __init__(self, checkpoint: Checkpoint, dtype: OnnxDtype = "float32") -> None:
        """Map the weights and start a session with ``thread_count()`` threads.

        ``dtype``: "int8" for matrix products of 8 bits (see `hybrid.encoders.int8`).

        Raises:
            EncoderError: the checkpoint is damaged or not supported.
            InputError: the dtype is another.
        """
        checked_dtype(dtype)
        self._checkpoint, self._dtype = checkpoint, dtype
        self._dimension = checkpoint.bert.hidden
        with ThreadPoolExecutor(1) as pool:  # hashing 90 MB takes as long as starting the session
            digest = pool.submit(file_digest, checkpoint.weights)
            graph, folder = build_graph(checkpoint), checkpoint.weights.parent
            if dtype == "int8":
                session = start_session(int8.quantized(graph, folder, [digest.result()]))
            else:
                session = start_session(graph, folder)
            vocabulary = checkpoint.bert.vocabulary
            tokenizer = load_tokenizer(checkpoint.tokenizer, checkpoint.max_tokens, vocabulary)
            self._weights_digest = digest.result()
        super().__init__(checkpoint, session, tokenizer)

    @classmethod
    def from_folder(
        cls, folder: Path, name: str | None = None, dtype: OnnxDtype = "float32"
    ) -> OnnxBertEncoder:
        """Load a folder saved by sentence-transformers.

        Raises:
            EncoderError: it is not one, or holds a model that is not supported.
        """
        return cls(read_checkpoint(folder, name), dtype)

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides the vectors."""
        checkpoint = self._checkpoint
        return {
            "model": checkpoint.name,
            "architecture": str(checkpoint.bert),
            "weights": self._weights_digest,
            "tokenizer": file_digest(checkpoint.tokenizer),
            "pooling": checkpoint.pooling,
            "normalize": checkpoint.normalize,
            "query_prefix": checkpoint.query_prefix,
            "document_prefix": checkpoint.document_prefix,
            "max_tokens": checkpoint.max_tokens,
            "dimension": self.dimension,
            "dtype": int8.SPELLED if self._dtype == "int8" else "float32",
        }

    def _vectors(self, ids: NDArray[np.int64]) -> Floats:
        found: Any = self._session.run([OUTPUT], {INPUT: ids})
        vectors: Floats = found[0]
        return vectors
