"""What every encoder on ONNX Runtime does: tokenise, batch texts of equal length, run, check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import DenseBatch
from hybrid.encoders.batching import equal_length_batches
from hybrid.encoders.texts import Distinct
from hybrid.encoders.units import ModelUnits
from hybrid.errors import EncoderError, InputError
from hybrid.forking import Lock, abandon, end_without_destructors, renewed_after_fork
from hybrid.threads import thread_count
from hybrid.types import Floats, Progress

OnnxDtype: TypeAlias = Literal["float32", "int8"]

BATCH_TOKENS = 2048
"""How many tokens one batch may hold."""

_ERRORS_ONLY = 3  # ONNX Runtime's log severity


class Usage(Protocol):
    """How texts become vectors, around the model itself."""

    @property
    def name(self) -> str:
        """What errors and fingerprints call the model."""
        ...

    @property
    def normalize(self) -> bool:
        """Whether vectors are scaled to length 1."""
        ...

    @property
    def max_tokens(self) -> int:
        """The longest text, special tokens included."""
        ...

    @property
    def query_prefix(self) -> str:
        """What stands before every query."""
        ...

    @property
    def document_prefix(self) -> str:
        """What stands before every document."""
        ...


class OnnxEncoder(ABC):
    """A dense encoder on ONNX Runtime. May be used from several threads at once.

    Texts share a batch only if they have as many tokens, so nothing is padded.
    """

    _dimension: int

    def __init__(self, usage: Usage, session: Any, tokenizer: Any) -> None:
        """Put together what is loaded."""
        self._usage, self._session, self._tokenizer = usage, session, tokenizer

    @property
    def dimension(self) -> int:
        """The length of each vector."""
        return self._dimension

    @property
    def normalized(self) -> bool:
        """Whether every vector has length 1."""
        return self._usage.normalize

    @property
    def units(self) -> ModelUnits:
        """How documents are counted in the model's tokens."""
        return ModelUnits(self._tokenizer, self._usage.max_tokens, self._usage.document_prefix)

    @abstractmethod
    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides the vectors."""

    @abstractmethod
    def _vectors(self, ids: NDArray[np.int64]) -> Floats:
        """Return the vectors of token ids of shape (texts, tokens)."""

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> DenseBatch:
        """Encode passages, in order; equal texts are encoded once.

        Raises:
            InputError: a text is not a string, or cannot be written as UTF-8.
            EncoderError: the model failed or gave numbers that are not finite.
        """
        return self._encode(self._usage.document_prefix, texts, progress)

    def encode_queries(self, texts: Sequence[str]) -> DenseBatch:
        """Encode queries, in order; raises what `encode_documents` raises."""
        return self._encode(self._usage.query_prefix, texts, None)

    def _encode(self, prefix: str, texts: Sequence[str], progress: Progress | None) -> DenseBatch:
        distinct = Distinct.of(texts)
        tokens, truncated = self._tokenize(prefix, distinct.texts)
        vectors = np.empty((len(distinct.texts), self.dimension), np.float32)
        repeats = distinct.repeats
        stage, done = f"encode {self._usage.name}", 0
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
                f"model {self._usage.name!r} gave numbers that are not finite for the text "
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
            return self._vectors(ids)
        except Exception as error:  # the runtime's error types share no public root
            raise EncoderError(f"model {self._usage.name!r} failed to encode: {error}") from error


def checked_dtype(dtype: str) -> None:
    """Check that ONNX Runtime can run a model in the dtype.

    Raises:
        InputError: it cannot.
    """
    if dtype not in ("float32", "int8"):
        raise InputError(f"dtype is {dtype!r}; ONNX Runtime runs models in float32 or int8 here")


class Session:
    """A session of ONNX Runtime that a forked process starts anew: its threads stay in the parent."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start = start
        self._session: Any = start()
        renewed_after_fork(self)
        self._lock = Lock()

    def run(self, outputs: list[str] | None, feed: Mapping[str, Any]) -> Any:
        """Run the model."""
        return self._alive().run(outputs, feed)

    def _alive(self) -> Any:
        session = self._session
        if session is None:
            with self._lock:
                session = self._session = self._session or self._start()
        return session

    def renew(self) -> None:
        """Give up the parent's session; the next run starts another."""
        if self._session is not None:
            abandon(self._session)
            end_without_destructors()
        self._session = None

    def __getattr__(self, name: str) -> Any:
        """Return what the session says of its model."""
        return getattr(self._alive(), name)


def start_session(model: bytes | Path, weights: Path | None = None) -> Session:
    """Start a session of ``thread_count()`` threads.

    ``model``: a serialised graph, or its file. ``weights``: the folder of the files that a serialised graph
    names.

    Raises:
        EncoderError: ONNX Runtime cannot load it.
    """
    return Session(partial(_started, model, weights))


def _started(model: bytes | Path, weights: Path | None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Idle threads sleep: spinning saves half a millisecond a query and burns a core in between.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if weights is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights))
    graph = str(model) if isinstance(model, Path) else model
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's error types share no public root
        where = model if isinstance(model, Path) else f"the weights in {weights}"
        raise EncoderError(f"ONNX Runtime cannot load {where}: {error}") from error


def load_tokenizer(path: Path, max_tokens: int, vocabulary: int | None = None) -> Any:
    """Load a ``tokenizer.json``; it cuts texts at the model's window and never pads.

    ``vocabulary``: how many tokens the model knows, if that can be said.

    Raises:
        EncoderError: it cannot be read, or does not belong to the model.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise EncoderError(f"cannot read the tokenizer {path}: {error}") from error
    if vocabulary is not None and tokenizer.get_vocab_size() > vocabulary:
        raise EncoderError(
            f"the tokenizer {path} has {tokenizer.get_vocab_size()} tokens, but the model "
            f"{vocabulary}; they do not belong together"
        )
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    if not tokenizer.encode("").ids:
        raise EncoderError(f"the tokenizer {path} adds no special tokens, so an empty text has no vector")
    return tokenizer
