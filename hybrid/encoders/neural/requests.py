"""Loaders of what torch runs here and is no dense encoder: from what was asked for to an encoder."""

from __future__ import annotations

from collections.abc import Callable

from hybrid.encoders.neural import pylate_colbert, ragatouille_colbert
from hybrid.encoders.neural.bge_m3 import Backend, BgeM3
from hybrid.encoders.neural.colbert import Colbert
from hybrid.encoders.neural.splade import Splade
from hybrid.encoders.request import Request
from hybrid.errors import InputError

_SECOND_LOGARITHM = "opensearch-neural-sparse-encoding-doc-v3"
"""Models whose weights are log(1 + log(1 + relu)) (https://arxiv.org/abs/2504.14839)."""


def bge_m3(request: Request) -> BgeM3:
    """Load BGE-M3 on transformers.

    Raises:
        EncoderError: the folder does not hold such a model.
        InputError: an option cannot be had.
    """
    return _bge_m3(request, "transformers")


def flag_m3(request: Request) -> BgeM3:
    """Load BGE-M3 on FlagEmbedding; raises what `bge_m3` raises."""
    return _bge_m3(request, "flagembedding")


def splade(request: Request) -> Splade:
    """Load a SPLADE model; raises what `bge_m3` raises."""
    _check(request)
    known = request.family.name if request.family is not None else request.name
    plain = not request.layout.modules
    return Splade.from_folder(
        request.folder,
        name=request.name,
        activation="log1p_relu" if plain and _SECOND_LOGARITHM in known else None,
        max_tokens=request.max_tokens,
        device=request.options.device,
        dtype=request.options.dtype,
        trust_remote_code=request.trusted(),
    )


def colbert(request: Request) -> Colbert:
    """Load an encoder of token vectors; raises what `bge_m3` raises."""
    return _tokens(request, Colbert.from_folder)


def pylate(request: Request) -> Colbert:
    """Load an encoder of token vectors on PyLate; raises what `bge_m3` raises."""
    return _tokens(request, pylate_colbert.load)


def ragatouille(request: Request) -> Colbert:
    """Load an encoder of token vectors on ragatouille; raises what `bge_m3` raises."""
    return _tokens(request, ragatouille_colbert.load)


def _tokens(request: Request, load: Callable[..., Colbert]) -> Colbert:
    _check(request)
    return load(
        request.folder,
        name=request.name,
        max_tokens=request.options.max_tokens,
        device=request.options.device,
        dtype=request.options.dtype,
        trust_remote_code=request.trusted(),
    )


def _bge_m3(request: Request, backend: Backend) -> BgeM3:
    _check(request)
    return BgeM3.from_folder(
        request.folder,
        name=request.name,
        max_tokens=request.options.max_tokens,
        device=request.options.device,
        dtype=request.options.dtype,
        backend=backend,
    )


def _check(request: Request) -> None:
    """Refuse options that mean nothing to these models."""
    options = request.options
    for name in ("query_prefix", "document_prefix", "pooling", "dimension"):
        value = getattr(options, name)
        if value is not None:
            raise InputError(
                f"{name} is {value!r}, which a model that gives {', '.join(request.gives)} does not take; "
                "leave it out"
            )
