"""Token vectors by PyLate.

PyLate 1.6 pins an older sentence-transformers, so it wants an environment of its own.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from hybrid.batches import Side
from hybrid.encoders.neural import loading
from hybrid.encoders.neural.colbert_layout import read_layout
from hybrid.encoders.neural.library_colbert import BATCH, LibraryColbert
from hybrid.encoders.neural.loading import Dtype
from hybrid.errors import EncoderError, InputError, MissingDependencyError


def load(
    folder: Path,
    *,
    name: str,
    max_tokens: int | None,
    device: str | None,
    dtype: Dtype,
    trust_remote_code: bool,
) -> LibraryColbert:
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

    def make(texts: list[str], side: Side) -> Any:
        return model.encode(texts, is_query=side == "query", batch_size=BATCH, show_progress_bar=False)

    return LibraryColbert.around(
        model[0].auto_model,
        layout,
        name=name,
        max_tokens=max_tokens,
        trust_remote_code=trust_remote_code,
        library="PyLate",
        make=make,
    )


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's, about its own dependencies
            from pylate.models import ColBERT
    except ImportError as error:
        raise MissingDependencyError("pylate", "pylate") from error
    return ColBERT
