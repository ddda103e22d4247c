"""Token vectors by ragatouille, which runs Stanford's own ColBERT.

ragatouille 0.0.9 imports what langchain had before version 1, and its model does not load with
transformers 5: it wants an environment of its own.
"""

from __future__ import annotations

import importlib.util
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hybrid.batches import Side
from hybrid.encoders.neural import loading
from hybrid.encoders.neural.colbert_layout import ColbertLayout, read_layout
from hybrid.encoders.neural.library_colbert import BATCH, LibraryColbert
from hybrid.encoders.neural.loading import Dtype
from hybrid.errors import EncoderError, InputError, MissingDependencyError

_OWN = "give it an environment of its own: pip install 'hybrid-retrieval[ragatouille]'"
_NEWEST = 4
"""The major version of transformers that it can be loaded with."""

_loading = threading.Lock()


def load(
    folder: Path,
    *,
    name: str,
    max_tokens: int | None,
    device: str | None,
    dtype: Dtype,
    trust_remote_code: bool,
) -> LibraryColbert:
    """Load a folder in Stanford's layout; parameters as `Colbert.from_folder` has them.

    Texts are cut where the model's files say, as everywhere here; ragatouille's own ``rerank`` cuts documents
    at the model's window. The library chooses the device: cuda where there is one, in half precision, else
    cpu.

    Raises:
        EncoderError: ragatouille cannot load it, or does not run with what is installed.
        InputError: a parameter is not accepted.
        MissingDependencyError: ragatouille is not installed.
    """
    if dtype != "float32":
        raise InputError(f"dtype is {dtype!r}; ragatouille chooses it by itself: leave it out")
    layout = _stanford(folder, trust_remote_code)
    if max_tokens is not None:
        layout = replace(layout, document_length=max_tokens)
    model_of = _library()
    if device is not None and loading.chosen_device(device).split(":")[0] != _device():
        raise InputError(f"device is {device!r}; ragatouille runs on {_device()!r} here: leave it out")
    try:
        with loading.quiet(), _silent(), _without_extension():
            model = model_of.from_pretrained(str(folder), verbose=0)
    except Exception as error:  # missing files, damaged weights: many unrelated types
        raise EncoderError(f"ragatouille cannot load {folder}: {error}") from error
    checkpoint = model.model.inference_ckpt
    if not checkpoint.colbert_config.mask_punctuation:
        checkpoint.skiplist = {}  # the library reads it all the same

    def make(texts: list[str], side: Side) -> Any:
        with _silent():
            if side == "query":
                return checkpoint.queryFromText(texts, bsize=BATCH).float().cpu().numpy()
            found = checkpoint.docFromText(texts, bsize=BATCH, keep_dims=False)[0]
            return [vectors.float().cpu().numpy() for vectors in found]

    made = LibraryColbert.around(
        checkpoint.bert,
        layout,
        name=name,
        max_tokens=max_tokens,
        trust_remote_code=trust_remote_code,
        library="ragatouille",
        make=make,
    )
    checkpoint.doc_tokenizer.doc_maxlen = made.limit("document")
    checkpoint.query_tokenizer.query_maxlen = made.limit("query")
    return made


def _stanford(folder: Path, trust_remote_code: bool) -> ColbertLayout:
    """Return the layout of a folder that ragatouille reads as we do."""
    config = loading.read_config(folder)
    if "HF_ColBERT" not in (config.get("architectures") or ()):
        raise EncoderError(
            f"the model in {folder} is not in the layout of Stanford's ColBERT, the only one that "
            'ragatouille reads; give backend="transformers"'
        )
    if "auto_map" in config and not trust_remote_code:
        raise EncoderError(
            f"the model in {folder} brings Python code of its own, which ragatouille would run; read it, and "
            "if you trust it, give trust_remote_code=True"
        )
    return read_layout(folder)


def _library() -> Any:
    """Return ragatouille's class of models."""
    if importlib.util.find_spec("ragatouille") is None:
        raise MissingDependencyError("ragatouille", "ragatouille")
    version = loading.transformers_library().__version__
    if int(version.split(".")[0]) > _NEWEST:
        raise EncoderError(
            f"transformers is {version}, and ragatouille runs with {_NEWEST}.57 and nothing newer; {_OWN}"
        )
    try:
        with _silent():
            from ragatouille import RAGPretrainedModel
    except ImportError as error:
        raise EncoderError(
            f"ragatouille is installed and cannot be imported ({error}), because it needs langchain<1; {_OWN}"
        ) from error
    return RAGPretrainedModel


def _device() -> str:
    """Return the kind of device that the library chose when it was imported."""
    from colbert.parameters import DEVICE

    return str(DEVICE.type)


@contextmanager
def _silent() -> Iterator[None]:
    """Hold back the library's warnings, which are about its own dependencies and its future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _without_extension() -> Iterator[None]:
    """Load without the minute of compiling C++ that only searches in the library's own indexes use."""
    from colbert.modeling.colbert import ColBERT

    with _loading:
        if hasattr(ColBERT, "loaded_extensions"):
            yield
            return
        ColBERT.loaded_extensions = True
        try:
            yield
        finally:
            del ColBERT.loaded_extensions
