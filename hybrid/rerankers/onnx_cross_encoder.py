"""Cross-encoders on ONNX Runtime, from the ONNX file in their folder: float32, or products of 8 bits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.encoders import int8
from hybrid.encoders.batching import equal_length_batches
from hybrid.encoders.onnx_encoder import BATCH_TOKENS, OnnxDtype, start_session
from hybrid.encoders.onnx_file import parts
from hybrid.encoders.onnx_loading import model_file, positions
from hybrid.encoders.weights import file_digest
from hybrid.errors import EncoderError, InputError
from hybrid.rerankers.pairs import Pair, Pairs, best_passages, contents
from hybrid.types import Document, Floats

_KNOWN = ("input_ids", "attention_mask", "token_type_ids")
_TYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class OnnxCrossEncoder:
    """A sequence classifier with one output in an ONNX file. May be used from several threads.

    The score is the logit, that of the best passage for a long document. Pairs share a batch only if they
    have as many tokens, so nothing is padded.
    """

    def __init__(
        self, session: Any, tokenizer: str, *, name: str, max_tokens: int, passages: int, source: str
    ) -> None:
        """Put a session and a tokenizer (of the library `tokenizers`, as JSON) together; see `load`.

        Raises:
            EncoderError: the session takes what is not known here, or gives no logits.
            InputError: the window leaves no room, or ``passages`` is below 1.
        """
        self.name, self.max_tokens = name, max_tokens
        self._session = session
        self._inputs, self._output = _interface(session, source)
        self._pairs = Pairs(tokenizer, max_tokens, passages)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        name: str,
        dtype: OnnxDtype = "float32",
        max_tokens: int | None = None,
        passages: int = 4,
    ) -> OnnxCrossEncoder:
        """Load ``onnx/model.onnx`` or ``model.onnx`` of a folder, with its ``tokenizer.json``.

        ``dtype``: "int8" rewrites its products, once (`hybrid.encoders.int8`). ``max_tokens``: None for what
        the tokenizer's and the model's configuration say.

        Raises:
            EncoderError: the folder has no such files, or they cannot be used.
            InputError: the window or the number of passages cannot be had.
        """
        file, spelled = model_file(folder), folder / "tokenizer.json"
        if file is None or not spelled.is_file():
            raise EncoderError(
                f"{folder} has no {'ONNX file' if file is None else 'tokenizer.json'}; export the model with "
                'optimum, or give backend="transformers"'
            )
        if dtype == "int8":
            digests = [file_digest(part) for part in parts(file)]
            session = start_session(int8.quantized(file.read_bytes(), file.parent, digests))
        else:
            session = start_session(file)
        limit = _window(folder, max_tokens)
        return cls(
            session,
            spelled.read_text("utf-8"),
            name=name,
            max_tokens=limit,
            passages=passages,
            source=str(file),
        )

    def score(self, query: str, documents: Sequence[Document]) -> Floats:
        """Return one logit per document: float32, shape (documents,), in the order given.

        Raises:
            InputError: a text is not valid Unicode.
            EncoderError: the model failed.
        """
        texts = contents(query, documents)
        pairs = self._pairs.of(query, texts)
        batches = equal_length_batches([len(pair.ids) for pair in pairs], BATCH_TOKENS)
        return best_passages(pairs, len(texts), batches, self._run)

    def _run(self, pairs: Sequence[Pair]) -> Floats:
        ids = np.array([pair.ids for pair in pairs], np.int64)
        types = np.array([pair.types for pair in pairs], np.int64)
        given = dict(zip(_KNOWN, (ids, np.ones_like(ids), types), strict=True))
        feed = {name: given[name].astype(dtype) for name, dtype in self._inputs.items()}
        try:
            (found,) = self._session.run([self._output], feed)
        except Exception as error:  # the runtime's error types share no public root
            raise EncoderError(
                f"cross-encoder {self.name!r} failed on {len(pairs)} pairs of {ids.shape[1]} tokens: {error}"
            ) from error
        return np.asarray(found, np.float32).reshape(len(pairs))


def _interface(session: Any, source: str) -> tuple[Mapping[str, Any], str]:
    """Return what a session takes, by type, and the output with one number for each pair.

    Raises:
        EncoderError: it wants an input that is not known here, or has no such output.
    """
    inputs = {entry.name: entry.type for entry in session.get_inputs()}
    strange = [name for name, kind in inputs.items() if name not in _KNOWN or kind not in _TYPES]
    if strange or "input_ids" not in inputs:
        raise EncoderError(
            f"{source} takes {', '.join(f'{name} {kind}' for name, kind in inputs.items())}; accepted: "
            f"{', '.join(_KNOWN)}, as int64 or int32. Export the model for sequence classification"
        )
    outputs = {entry.name: entry.shape for entry in session.get_outputs() if "float" in entry.type}
    fitting = [name for name, shape in outputs.items() if len(shape) == 1 or list(shape[1:]) == [1]]
    chosen = [name for name in fitting if name == "logits"] or fitting
    if not chosen:
        given = ", ".join(f"{name} {shape}" for name, shape in outputs.items()) or "no numbers"
        raise EncoderError(
            f"{source} gives {given}; a cross-encoder for ranking gives logits of shape (pairs, 1)"
        )
    return {name: _TYPES[kind] for name, kind in inputs.items()}, chosen[0]


def _window(folder: Path, wanted: int | None) -> int:
    places = positions(folder)
    if wanted is not None:
        if places is not None and wanted > places:
            raise InputError(f"max_tokens is {wanted}; give a whole number up to the model's {places}")
        return wanted
    limits = [limit for limit in (places, _stated(folder)) if limit is not None]
    if not limits:
        raise InputError(f"nothing in {folder} says the model's longest input; give max_tokens")
    return min(limits)


def _stated(folder: Path) -> int | None:
    """Return what ``tokenizer_config.json`` says of the longest input, if anything."""
    try:
        stated = json.loads((folder / "tokenizer_config.json").read_text("utf-8")).get("model_max_length")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise EncoderError(f"cannot read {folder / 'tokenizer_config.json'}: {error}") from error
    return int(stated) if isinstance(stated, int | float) and 0 < stated < 10**9 else None
