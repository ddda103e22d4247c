"""A sentence encoder whose model is an ONNX file, as many hub repositories bring one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.encoders import int8
from hybrid.encoders.families import Pooling
from hybrid.encoders.onnx_encoder import (
    OnnxDtype,
    OnnxEncoder,
    checked_dtype,
    load_tokenizer,
    start_session,
)
from hybrid.encoders.weights import file_digest
from hybrid.errors import EncoderError
from hybrid.types import Floats

FILES = ("onnx/model.onnx", "model.onnx")
"""Where a model's folder has its ONNX file, the first choice first."""

_FILLED: Mapping[str, Callable[[NDArray[np.int64]], NDArray[np.int64]]] = {
    "input_ids": lambda ids: ids,
    "attention_mask": np.ones_like,
    "token_type_ids": np.zeros_like,
    "position_ids": lambda ids: np.broadcast_to(np.arange(ids.shape[1]), ids.shape),
}
"""The inputs that can be given, and what they are for texts of equal length."""

_TYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_TOKENS = ("last_hidden_state", "token_embeddings")
_TEXTS = ("sentence_embedding", "text_embeds", "embeddings")
_POOLINGS: Mapping[Pooling, Callable[[Floats], Floats]] = {
    "mean": lambda tokens: tokens.mean(axis=1),
    "max": lambda tokens: tokens.max(axis=1),
    "cls": lambda tokens: tokens[:, 0],
    "last": lambda tokens: tokens[:, -1],
}


@dataclass(frozen=True, slots=True)
class FileUsage:
    """How an ONNX file is used; ``pooling`` is for files that give a vector a token."""

    name: str
    pooling: Pooling
    normalize: bool
    max_tokens: int
    query_prefix: str = ""
    document_prefix: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Interface:
    """What an ONNX file takes and gives: inputs with their types, the output to read, if that is pooled."""

    inputs: Mapping[str, Any]
    output: str
    pooled: bool


class OnnxFileEncoder(OnnxEncoder):
    """A model in an ONNX file with a ``tokenizer.json``. May be used from several threads at once.

    A text's vector depends on the texts it is encoded with by rounding only.
    """

    def __init__(self, file: Path, tokenizer: Path, usage: FileUsage, dtype: OnnxDtype = "float32") -> None:
        """Load the file and run it once.

        Raises:
            EncoderError: it cannot be loaded, or wants or gives what is not known here.
            InputError: the dtype is neither float32 nor int8.
        """
        checked_dtype(dtype)
        self._file, self._tokens, self._texts, self._dtype = file, tokenizer, usage, dtype
        self._digests = [file_digest(part) for part in parts(file)]
        path = int8.quantized(file.read_bytes(), file.parent, self._digests) if dtype == "int8" else file
        session = start_session(path)
        self._interface = interface(session, file)
        super().__init__(usage, session, load_tokenizer(tokenizer, usage.max_tokens))
        (first,) = self._tokenize("", [""])[0]
        self._dimension = self._run(first[None]).shape[1]

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides the vectors."""
        usage = self._texts
        return {
            "model": usage.name,
            "architecture": f"onnx: {', '.join(self._interface.inputs)} to {self._interface.output}",
            "weights": " ".join(self._digests),
            "tokenizer": file_digest(self._tokens),
            "pooling": "in the file" if self._interface.pooled else usage.pooling,
            "normalize": usage.normalize,
            "query_prefix": usage.query_prefix,
            "document_prefix": usage.document_prefix,
            "max_tokens": usage.max_tokens,
            "dimension": self.dimension,
            "dtype": int8.SPELLED if self._dtype == "int8" else "float32",
            **({"revision": usage.revision} if usage.revision else {}),
        }

    def _vectors(self, ids: NDArray[np.int64]) -> Floats:
        known = self._interface
        feed = {name: np.ascontiguousarray(_FILLED[name](ids), dtype) for name, dtype in known.inputs.items()}
        found: Any = self._session.run([known.output], feed)
        numbers = np.asarray(found[0], np.float32)
        pooled: Floats = numbers if known.pooled else _POOLINGS[self._texts.pooling](numbers)
        if self._texts.normalize:
            lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
            pooled = (pooled / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        return np.ascontiguousarray(pooled)


def interface(session: Any, file: Path) -> Interface:
    """Look at what a session takes and gives.

    Token vectors (three axes) are preferred, so that the pooling is the one asked for.

    Raises:
        EncoderError: it wants an input, or gives outputs, that are not known here.
    """
    inputs = {entry.name: entry.type for entry in session.get_inputs()}
    strange = [name for name, kind in inputs.items() if name not in _FILLED or kind not in _TYPES]
    if strange or "input_ids" not in inputs:
        raise EncoderError(
            f"{file} takes {', '.join(f'{name} {kind}' for name, kind in inputs.items())}; accepted: "
            f"input_ids and any of {', '.join(sorted(set(_FILLED) - {'input_ids'}))}, as int64 or int32. "
            "Export the model for feature extraction, without a cache"
        )
    types = {name: _TYPES[kind] for name, kind in inputs.items()}
    outputs = {entry.name: entry for entry in session.get_outputs() if "float" in entry.type}
    for axes, names in ((3, _TOKENS), (2, _TEXTS)):
        fitting = [name for name, entry in outputs.items() if len(entry.shape) == axes]
        chosen = [name for name in names if name in fitting] or fitting
        if chosen and (chosen[0] in names or len(outputs) == 1):
            return Interface(types, chosen[0], pooled=axes == 2)
    given = ", ".join(f"{name} {entry.shape}" for name, entry in outputs.items())
    raise EncoderError(
        f"{file} gives {given or 'no numbers'}; one of {', '.join((*_TOKENS, *_TEXTS))} is expected, or one "
        "output alone of shape (texts, tokens, hidden) or (texts, dimension)"
    )


def parts(file: Path) -> list[Path]:
    """Return an ONNX file and the files beside it that hold its weights, in the order of their names.

    Raises:
        EncoderError: it is no ONNX file, or names a file that is not beside it.
    """
    import onnx

    try:
        model = onnx.load(str(file), load_external_data=False)
    except Exception as error:  # missing, or no ONNX file: errors of protobuf have no public root
        raise EncoderError(f"cannot read the ONNX file {file}: {error}") from error
    places = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    found = [file.parent / place for place in sorted(places)]
    lost = [part.name for part in found if not part.is_file()]
    if lost:
        raise EncoderError(f"{file} needs {', '.join(lost)} beside it; download the model again")
    return [file, *found]
