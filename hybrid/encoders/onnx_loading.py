"""From a request to an encoder on ONNX Runtime: a BERT's own weights, or an ONNX file in the folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hybrid.encoders import onnx_file
from hybrid.encoders.checkpoint import Checkpoint, read_checkpoint
from hybrid.encoders.onnx_bert import OnnxBertEncoder
from hybrid.encoders.onnx_encoder import OnnxDtype, OnnxEncoder
from hybrid.encoders.onnx_file import FileUsage, OnnxFileEncoder
from hybrid.encoders.request import Options, Request
from hybrid.errors import EncoderError, InputError

_COUNT_FROM_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer")
"""Architectures whose places for tokens are counted from behind the padding token's."""


def load(request: Request) -> OnnxEncoder:
    """Load a model on ONNX Runtime: float32 or int8, on the processor.

    Raises:
        EncoderError: it has neither a BERT's weights nor an ONNX file.
        InputError: an option cannot be had there.
    """
    options = request.options
    for name, value, accepted in (
        ("device", options.device, (None, "cpu")),
        ("dtype", options.dtype, ("float32", "int8")),
        ("dimension", options.dimension, (None,)),
    ):
        if value not in accepted:
            raise InputError(
                f'{name} is {value!r}, which ONNX Runtime does not give here; give backend="transformers", '
                f"or {name}={accepted[0]!r}"
            )
    dtype: OnnxDtype = "int8" if options.dtype == "int8" else "float32"
    file = model_file(request.folder)
    if file is None or fits(request):
        return OnnxBertEncoder(_checkpoint(request), dtype)
    if not request.layout.include_prompt and (request.query_prefix or request.document_prefix):
        raise EncoderError(
            f"the pooling of {request.name!r} leaves its prompts out, which ONNX files are not run "
            'with; give backend="sentence-transformers"'
        )
    if not request.layout.plain:
        raise EncoderError(
            f"the model {request.name!r} is made of {', '.join(request.layout.modules)}, of which an ONNX "
            'file holds the first; give backend="sentence-transformers"'
        )
    tokenizer = request.folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise EncoderError(f"{request.folder} has no tokenizer.json, which ONNX files are run with")
    return OnnxFileEncoder(file, tokenizer, _usage(request), dtype)


def fits(request: Request) -> bool:
    """Return whether the model is a BERT whose weights can be run without any ONNX file."""
    try:
        return request.pooling in ("mean", "cls") and read_checkpoint(request.folder) is not None
    except EncoderError:
        return False


def chosen(request: Request) -> bool:
    """Return whether a model that may be run by any backend is run here."""
    options = request.options
    if options.device not in (None, "cpu") or options.dimension is not None:
        return False
    if options.dtype == "int8":
        return True
    if options.dtype != "float32":
        return False
    only = model_file(request.folder) is not None and request.layout.plain
    return fits(request) or (only and not any(request.folder.glob("*.safetensors")))


def model_file(folder: Path) -> Path | None:
    """Return the ONNX file in a model's folder; None if there is none."""
    return next((folder / name for name in onnx_file.FILES if (folder / name).is_file()), None)


def needs_file(folder: Path, options: Options) -> bool:
    """Return whether a downloaded folder lacks the ONNX file that it is to be run from."""
    if options.backend != "onnx" and options.dtype != "int8":
        return False
    try:
        read_checkpoint(folder)
    except EncoderError:
        return model_file(folder) is None
    return False


def _checkpoint(request: Request) -> Checkpoint:
    """Return the checkpoint as it was asked for."""
    try:
        checkpoint = read_checkpoint(request.folder, request.name)
    except EncoderError as error:
        raise EncoderError(
            f"ONNX Runtime runs BERT models with safetensors weights, and folders with one of "
            f"{', '.join(onnx_file.FILES)} (export one with optimum, or with sentence-transformers: "
            f'SentenceTransformer(..., backend="onnx")); {error}'
        ) from error
    if request.pooling not in ("mean", "cls"):
        raise InputError(f'pooling is {request.pooling!r}; for that, give backend="transformers"')
    positions = checkpoint.bert.positions
    if (request.max_tokens or 2) < 2 or (request.options.max_tokens or 0) > positions:
        raise InputError(f"max_tokens is {request.max_tokens}; give a whole number from 2 to {positions}")
    return replace(
        checkpoint,
        pooling=request.pooling,
        normalize=request.normalize,
        max_tokens=min(request.max_tokens or positions, positions),
        query_prefix=request.query_prefix,
        document_prefix=request.document_prefix,
    )


def _usage(request: Request) -> FileUsage:
    places = positions(request.folder)
    wanted = request.max_tokens or places
    if wanted is None or wanted < 2 or (places and (request.options.max_tokens or 0) > places):
        raise InputError(
            f"max_tokens is {wanted}; give a whole number from 2 to {places or 'what the model can take'}"
        )
    return FileUsage(
        name=request.name,
        pooling=request.pooling,
        normalize=request.normalize,
        max_tokens=min(wanted, places or wanted),
        query_prefix=request.query_prefix,
        document_prefix=request.document_prefix,
        revision=request.revision,
    )


def positions(folder: Path) -> int | None:
    """Return how many tokens the model has places for, if ``config.json`` says so."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        places = config.get("max_position_embeddings")
        if places is None:
            return None
        if config.get("model_type") in _COUNT_FROM_PADDING:
            places -= int(config.get("pad_token_id") or 0) + 1
        return int(places)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise EncoderError(f"cannot read {folder / 'config.json'}: {error}") from error
