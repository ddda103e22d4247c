"""From a model's folder and the options to the encoder that runs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

from hybrid.batches import Representation
from hybrid.encoders import onnx_loading
from hybrid.encoders.families import Family, find
from hybrid.encoders.layout import read_layout
from hybrid.encoders.request import Backend, Options, Request
from hybrid.errors import EncoderError, InputError
from hybrid.types import Encoder

LOADERS: Mapping[tuple[Representation, ...], Mapping[str, str]] = {
    ("dense",): {
        "onnx": "hybrid.encoders.onnx_loading:load",
        "transformers": "hybrid.encoders.neural.dense:load",
        "sentence-transformers": "hybrid.encoders.neural.images:load",
    },
    ("dense", "sparse", "tokens"): {
        "transformers": "hybrid.encoders.neural.requests:bge_m3",
        "flagembedding": "hybrid.encoders.neural.requests:flag_m3",
    },
    ("sparse",): {"transformers": "hybrid.encoders.neural.requests:splade"},
    ("tokens",): {
        "transformers": "hybrid.encoders.neural.requests:colbert",
        "pylate": "hybrid.encoders.neural.requests:pylate",
        "ragatouille": "hybrid.encoders.neural.requests:ragatouille",
    },
}
"""By what a model gives: the backends that can run it and their loaders, functions of a `Request`. They are
imported only when asked for; unless something speaks against it (see `choose`), "auto" takes the first."""


def load_folder(
    folder: Path, name: str, options: Options, family: Family | None = None, revision: str = ""
) -> Encoder:
    """Load the model in a folder; ``options.family`` says what is known of it better than ``family``.

    Raises:
        EncoderError: it cannot be loaded, or nothing says how to use it.
        InputError: an option is unknown, or does not fit the model.
        MissingDependencyError: what runs it is not installed.
    """
    if options.family is not None:
        family = find(options.family)
        if family is None:
            raise InputError(
                f"family is {options.family!r}, which is not among the known models; "
                "docs/models.md lists them"
            )
    layout = read_layout(folder)
    request = Request(
        name=name, folder=folder, layout=layout, options=options, family=family, revision=revision
    )
    backends = LOADERS.get(request.gives)
    if backends is None:
        raise EncoderError(
            f"the model {name!r} gives {', '.join(request.gives)}, for which there is no loader; accepted: "
            + "; ".join(", ".join(gives) for gives in LOADERS)
        )
    backend = choose(request, tuple(backends))
    if backend not in backends:
        raise InputError(
            f"backend is {backend!r}; a model that gives {', '.join(request.gives)} runs with: "
            f"{', '.join(backends)}"
        )
    if options.dtype == "int8" and backend != "onnx":
        raise InputError(
            f"dtype is 'int8', which only ONNX Runtime gives; give backend=\"onnx\", not {backend!r}"
        )
    module, _, attribute = backends[backend].partition(":")
    loader: Callable[[Request], Encoder] = getattr(importlib.import_module(module), attribute)
    return loader(request)


def choose(request: Request, backends: tuple[str, ...]) -> Backend | str:
    """Return the backend to run a model with: the one asked for, else the lightest that can."""
    if request.options.backend != "auto":
        return request.options.backend
    if "onnx" in backends and onnx_loading.chosen(request):
        return "onnx"
    if "sentence-transformers" in backends and _needs_modules(request):
        return "sentence-transformers"
    return next(backend for backend in backends if backend != "onnx")


def _needs_modules(request: Request) -> bool:
    """Whether only sentence-transformers itself does what the model's files say."""
    layout = request.layout
    prompted = bool(request.query_prefix or request.document_prefix)
    adapted = request.family is not None and bool(request.family.query_task)
    return not layout.plain or adapted or (prompted and not layout.include_prompt)
