"""A BERT sentence encoder on ONNX Runtime: no torch, no transformers, float32 on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import DenseBatch
from hybrid.encoders.batching import equal_length_batches
from hybrid.encoders.bert_graph import INPUT, OUTPUT, build_graph
from hybrid.encoders.checkpoint import Checkpoint, read_checkpoint
from hybrid.encoders.texts import Distinct
from hybrid.encoders.weights import file_digest
from hybrid.errors import EncoderError
from hybrid.threads import thread_count
from hybrid.types import Floats, Progress

BATCH_TOKENS = 2048
"""How many tokens one batch may hold."""

_ERRORS_ONLY = 3  # ONNX Runtime's log severity


class OnnxBertEncoder:
    """A sentence-transformers BERT model, run by ONNX Runtime straight from its safetensors file.

    A text's vector depends on nothing but the text: not on the batch it is encoded in, nor on the
    number of threads. May be used from several threads at once.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Map the weights and start a session with ``thread_count()`` threads.

        Raises:
            EncoderError: the checkpoint is damaged or not supported.
        """
        self._checkpoint = checkpoint
        with ThreadPoolExecutor(1) as pool:  # hashing 90 MB takes as long as starting the session
            digest = pool.submit(file_digest, checkpoint.weights)
            self._session = _session(checkpoint)
            self._tokenizer = _tokenizer(checkpoint)
            self._weights_digest = digest.result()

    @classmethod
    def from_folder(cls, folder: Path, name: str | None = None) -> OnnxBertEncoder:
        """Load a folder saved by sentence-transformers.

        Raises:
            EncoderError: it is not one, or holds a model that is not supported.
        """
        return cls(read_checkpoint(folder, name))

    @property
    def dimension(self) -> int:
        """The length of each vector."""
        return self._checkpoint.bert.hidden

    @property
    def normalized(self) -> bool:
        """Whether every vector has length 1."""
        return self._checkpoint.normalize

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
            "dtype": "float32",
        }

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> DenseBatch:
        """Encode passages, in order; equal texts are encoded once.

        Raises:
            InputError: a text is not a string, or cannot be written as UTF-8.
            EncoderError: the model failed or gave numbers that are not finite.
        """
        return self._encode(self._checkpoint.document_prefix, texts, progress)

    def encode_queries(self, texts: Sequence[str]) -> DenseBatch:
        """Encode queries, in order; raises what `encode_documents` raises."""
        return self._encode(self._checkpoint.query_prefix, texts, None)

    def _encode(self, prefix: str, texts: Sequence[str], progress: Progress | None) -> DenseBatch:
        distinct = Distinct.of(texts)
        tokens, truncated = self._tokenize(prefix, distinct.texts)
        vectors = np.empty((len(distinct.texts), self.dimension), np.float32)
        repeats = distinct.repeats
        stage, done = f"encode {self._checkpoint.name}", 0
        if progress is not None:
            progress(stage, 0, len(texts))
        for batch in equal_length_batches([len(ids) for ids in tokens], BATCH_TOKENS):
            vectors[batch] = self._run(np.stack([tokens[position] for position in batch]))
            done += int(repeats[batch].sum())
            if progress is not None:
                progress(stage, done, len(texts))
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise EncoderError(
                f"model {self._checkpoint.name!r} gave numbers that are not finite for the text "
                f"{distinct.texts[bad[0]][:80]!r}; its weights may be damaged"
            )
        batch_of_all = DenseBatch(vectors, truncated)
        return batch_of_all if len(vectors) == len(texts) else batch_of_all.take(distinct.source)

    def _tokenize(self, prefix: str, texts: list[str]) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
        """Return each text's token ids, and whether it was cut.

        One text at a time: tokenising is a hundred times faster than encoding, and the library's
        own batches would start threads that no setting of ours reaches.
        """
        tokens: list[NDArray[np.int64]] = []
        truncated = np.zeros(len(texts), np.bool_)
        for position, text in enumerate(texts):
            encoding = self._tokenizer.encode(prefix + text)
            tokens.append(np.array(encoding.ids, np.int64))
            truncated[position] = bool(encoding.overflowing)
        return tokens, truncated

    def _run(self, ids: NDArray[np.int64]) -> Floats:
        try:
            (vectors,) = self._session.run([OUTPUT], {INPUT: ids})
        except Exception as error:  # the runtime's error types share no public root
            raise EncoderError(f"model {self._checkpoint.name!r} failed to encode: {error}") from error
        result: Floats = vectors
        return result


def _session(checkpoint: Checkpoint) -> Any:
    """Start an ONNX Runtime session that maps the checkpoint's weights."""
    import onnxruntime

    graph = build_graph(checkpoint)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Idle threads sleep: spinning saves half a millisecond a query and burns a core in between.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(checkpoint.weights.parent)
    )
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's error types share no public root
        raise EncoderError(f"ONNX Runtime cannot load {checkpoint.weights}: {error}") from error


def _tokenizer(checkpoint: Checkpoint) -> Any:
    """Load the tokenizer; it cuts texts at the model's window and never pads."""
    from tokenizers import Tokenizer

    path = checkpoint.tokenizer
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise EncoderError(f"cannot read the tokenizer {path}: {error}") from error
    if tokenizer.get_vocab_size() > checkpoint.bert.vocabulary:
        raise EncoderError(
            f"the tokenizer {path} has {tokenizer.get_vocab_size()} tokens, but the model "
            f"{checkpoint.bert.vocabulary}; they do not belong together"
        )
    tokenizer.no_padding()
    tokenizer.enable_truncation(checkpoint.max_tokens)
    if not tokenizer.encode("").ids:
        raise EncoderError(f"the tokenizer {path} adds no special tokens, so an empty text has no vector")
    return tokenizer
