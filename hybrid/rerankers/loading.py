"""From a folder and options to the reranker that runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybrid.encoders.neural import loading
from hybrid.encoders.onnx_loading import model_file
from hybrid.errors import InputError
from hybrid.rerankers.pairs import PASSAGES
from hybrid.rerankers.request import Options
from hybrid.types import Reranker


def load_folder(folder: Path, name: str, options: Options) -> Reranker:
    """Load the reranker in a folder, by its configuration: a sequence classifier, or a decoder.

    Raises:
        EncoderError: it cannot be loaded.
        InputError: an option does not fit the model.
        MissingDependencyError: what runs it is not installed.
    """
    config = loading.read_config(folder)
    if is_decoder(config):
        return _decoder(folder, name, options)
    if options.layer is not None:
        raise InputError(f"layer is {options.layer!r}, and {name!r} is no layerwise model; leave it out")
    backend = choose(folder, config, options)
    if backend == "onnx":
        return _onnx(folder, name, options)
    if backend == "sentence-transformers":
        return _sentence(folder, name, options)
    from hybrid.rerankers.cross_encoder import CrossEncoder

    return CrossEncoder.load(
        folder,
        name=name,
        device=options.device,
        dtype=options.dtype,
        max_tokens=options.max_tokens,
        passages=options.passages or PASSAGES,
        trust_remote_code=options.trust_remote_code,
    )


def choose(folder: Path, config: Any, options: Options) -> str:
    """Return the backend of a sequence classifier: the one asked for, else the lightest that can run it."""
    if options.backend != "auto":
        return options.backend
    if options.dtype == "int8":
        return "onnx"
    if "auto_map" in config and options.trust_remote_code:
        return "sentence-transformers"
    stored = any(any(folder.glob(pattern)) for pattern in ("*.safetensors", "pytorch_model*.bin"))
    fits = options.dtype == "float32" and options.device in (None, "cpu")
    return "onnx" if fits and not stored and model_file(folder) else "transformers"


def needs_file(folder: Path, options: Options) -> bool:
    """Return whether a downloaded folder lacks the ONNX file that it is to be run from."""
    return (options.backend == "onnx" or options.dtype == "int8") and model_file(folder) is None


def is_decoder(config: Any) -> bool:
    """Return whether a ``config.json`` is that of a model that continues texts."""
    return any(str(name).endswith("ForCausalLM") for name in config.get("architectures") or ())


def _decoder(folder: Path, name: str, options: Options) -> Reranker:
    from hybrid.rerankers.decoder import DecoderReranker

    if options.backend not in ("auto", "transformers"):
        raise InputError(f"backend is {options.backend!r}; the decoder {name!r} runs with: transformers")
    if options.dtype == "int8":
        raise InputError(f"dtype is 'int8', which the decoder {name!r} cannot be run in; give bfloat16")
    return DecoderReranker.load(
        folder,
        name=name,
        device=options.device,
        dtype=options.dtype,
        max_tokens=options.max_tokens,
        passages=options.passages or PASSAGES,
        layer=options.layer,
    )


def _onnx(folder: Path, name: str, options: Options) -> Reranker:
    from hybrid.rerankers.onnx_cross_encoder import OnnxCrossEncoder

    for option, value, accepted in (
        ("device", options.device, (None, "cpu")),
        ("dtype", options.dtype, ("float32", "int8")),
    ):
        if value not in accepted:
            raise InputError(
                f'{option} is {value!r}, which ONNX Runtime does not give here; give backend="transformers", '
                f"or {option}={accepted[0]!r}"
            )
    return OnnxCrossEncoder.load(
        folder,
        name=name,
        dtype="int8" if options.dtype == "int8" else "float32",
        max_tokens=options.max_tokens,
        passages=options.passages or PASSAGES,
    )


def _sentence(folder: Path, name: str, options: Options) -> Reranker:
    from hybrid.rerankers.sentence import SentenceCrossEncoder

    if options.passages not in (None, 1):
        raise InputError(
            f"passages is {options.passages}, and sentence-transformers reads the first passage of a "
            "document only; leave passages out"
        )
    return SentenceCrossEncoder.load(
        folder,
        name=name,
        device=options.device,
        dtype=options.dtype,
        max_tokens=options.max_tokens,
        trust_remote_code=options.trust_remote_code,
    )
