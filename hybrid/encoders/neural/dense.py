"""Dense vectors from a transformer run by torch: token vectors pooled, and scaled to length 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import DenseBatch
from hybrid.encoders.checkpoint import read_checkpoint
from hybrid.encoders.families import Pooling
from hybrid.encoders.neural.backbone import Backbone, Tokens
from hybrid.encoders.neural.pooling import normalized, pool, standardized
from hybrid.encoders.request import Request
from hybrid.encoders.texts import Distinct
from hybrid.encoders.units import ModelUnits
from hybrid.errors import EncoderError, InputError
from hybrid.types import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is done around the transformer.

    ``end_token``: every text ends with the tokenizer's end token. ``dimension``: how many of the first
    numbers are kept, None for all; ``layer_norm``: vectors are standardised first.
    ``matryoshka``: the lengths that the model was trained to be cut to, empty for none or unknown.
    """

    pooling: Pooling
    normalize: bool = True
    query_prefix: str = ""
    document_prefix: str = ""
    end_token: bool = False
    layer_norm: bool = False
    dimension: int | None = None
    matryoshka: tuple[int, ...] = ()


class NeuralDenseEncoder:
    """A transformer's token vectors, pooled. May be used from several threads at once.

    A text's vector depends on the texts it is encoded with by rounding only.
    """

    def __init__(self, backbone: Backbone, recipe: Recipe, revision: str = "") -> None:
        """Put a backbone and its recipe together.

        Raises:
            EncoderError: the recipe needs an end token and the tokenizer has none.
        """
        self.backbone, self.recipe = backbone, recipe
        self._revision = revision
        self._end = backbone.tokenizer.eos_token_id if recipe.end_token else None
        if recipe.end_token and self._end is None:
            raise EncoderError(
                f"the texts of model {backbone.name!r} must end with an end token, and its tokenizer has no "
                "eos_token; complete its tokenizer_config.json"
            )

    @property
    def dimension(self) -> int:
        """The length of each vector."""
        return self.recipe.dimension or self.backbone.hidden

    @property
    def normalized(self) -> bool:
        """Whether every vector has length 1."""
        return self.recipe.normalize

    @property
    def matryoshka(self) -> tuple[int, ...]:
        """The lengths that the model was trained to be cut to, longest first; empty for none or unknown."""
        return self.recipe.matryoshka

    @property
    def units(self) -> ModelUnits:
        """How documents are counted in the model's tokens."""
        added = self._end is not None and self.backbone.tokenize(["a"]).ids[0][-1] != self._end
        return self.backbone.units(self.recipe.document_prefix, more=int(added))

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides the vectors.

        A BERT in float32 has the fingerprint that it has on ONNX Runtime, so an index may be built with the
        one and searched with the other.
        """
        recipe = self.recipe
        return {
            **self.backbone.fingerprint(),
            **_bert(self.backbone.folder),
            "pooling": recipe.pooling,
            "normalize": recipe.normalize,
            "query_prefix": recipe.query_prefix,
            "document_prefix": recipe.document_prefix,
            "dimension": self.dimension,
            **({"end_token": True} if recipe.end_token else {}),
            **({"layer_norm": True} if recipe.layer_norm else {}),
            **({"revision": self._revision} if self._revision else {}),
        }

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> DenseBatch:
        """Encode passages, in order; equal texts are encoded once.

        Raises:
            InputError: a text is not a string, or not valid Unicode.
            EncoderError: the model failed or gave numbers that are not finite.
        """
        return self._encode(self.recipe.document_prefix, texts, progress)

    def encode_queries(self, texts: Sequence[str]) -> DenseBatch:
        """Encode queries, in order; raises what `encode_documents` raises."""
        return self._encode(self.recipe.query_prefix, texts, None)

    def tokens(self, texts: Sequence[str], prefix: str) -> Tokens:
        """Return the token ids of texts behind a prefix, ended as the model wants them."""
        tokens = self.backbone.tokenize(texts, prefix)
        if self._end is None:
            return tokens
        truncated = tokens.truncated.copy()
        for n, row in enumerate(tokens.ids):
            if row[-1] != self._end:
                truncated[n] |= len(row) >= self.backbone.max_tokens
                tokens.ids[n] = [*row[: self.backbone.max_tokens - 1], self._end]
        return Tokens(tokens.ids, truncated)

    def finished(self, pooled: Any) -> NDArray[np.float32]:
        """Return pooled vectors, torch of shape (n, hidden), as they are given back: (n, dimension)."""
        if self.recipe.layer_norm:
            pooled = standardized(pooled)
        pooled = pooled[:, : self.dimension]
        if self.recipe.normalize:
            pooled = normalized(pooled)
        found: NDArray[np.float32] = pooled.cpu().numpy()
        return found

    def _encode(self, prefix: str, texts: Sequence[str], progress: Progress | None) -> DenseBatch:
        distinct = Distinct.of(texts)
        tokens = self.tokens(distinct.texts, prefix)
        vectors = np.empty((len(distinct.texts), self.dimension), np.float32)
        for ran in self.backbone.run(tokens.ids, progress):
            vectors[ran.positions] = self.finished(pool(ran.outputs, ran.mask, self.recipe.pooling))
        check_finite(vectors, distinct.texts, self.backbone.name)
        return DenseBatch(vectors[distinct.source], tokens.truncated[distinct.source])


def load(request: Request) -> NeuralDenseEncoder:
    """Load a transformer and pool what it gives.

    Raises:
        EncoderError: the folder holds no such model, or nothing says the pooling.
        InputError: an option cannot be had.
        MissingDependencyError: torch or transformers is not installed.
    """
    layout, options, family = request.layout, request.options, request.family
    if not layout.plain:
        raise EncoderError(
            f"the model {request.name!r} is made of {', '.join(layout.modules)}; only sentence-transformers "
            'runs that: give backend="sentence-transformers"'
        )
    if not layout.include_prompt and (request.query_prefix or request.document_prefix):
        raise EncoderError(
            f"the pooling of {request.name!r} leaves its prompts out; give "
            'backend="sentence-transformers", which does so'
        )
    recipe = Recipe(
        pooling=request.pooling,
        normalize=request.normalize,
        query_prefix=request.query_prefix,
        document_prefix=request.document_prefix,
        end_token=bool(family and family.end_token),
        layer_norm=bool(family and family.layer_norm and options.dimension),
        dimension=options.dimension,
        matryoshka=family.matryoshka if family else (),
    )
    backbone = Backbone.load(
        request.folder,
        name=request.name,
        max_tokens=options.max_tokens,
        stated_tokens=request.stated_tokens,
        device=options.device,
        dtype=options.dtype,
        trust_remote_code=request.trusted(),
    )
    if family and family.bidirectional:
        see_everything(backbone.model)
    check_dimension(options.dimension, backbone.hidden, recipe.matryoshka, request.name)
    return NeuralDenseEncoder(backbone, recipe, request.revision)


def check_dimension(wanted: int | None, full: int, trained: tuple[int, ...], name: str) -> None:
    """Check how many numbers are to be kept of a vector of ``full`` (Matryoshka: Kusupati et al. 2022).

    Raises:
        InputError: there are not so many, or the model was trained for other lengths.
    """
    if wanted is None or wanted in (full, *trained):
        return
    if trained or wanted > full:
        known = f"it was trained to be cut to {', '.join(map(str, trained))}" if trained else "give fewer"
        raise InputError(f"dimension is {wanted}, and the vectors of {name!r} have {full} numbers; {known}")


def check_finite(vectors: NDArray[np.float32], texts: Sequence[str], name: str) -> None:
    """Raise EncoderError, naming the text, if a vector has a number that is not finite."""
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise EncoderError(
            f"the vectors of model {name!r} are not finite for the text {texts[bad[0]][:80]!r}; its weights "
            "may be damaged, or dtype float16 too small for it: try bfloat16 or float32"
        )


def see_everything(model: Any) -> None:
    """Let every token of a decoder see the tokens behind it too.

    Raises:
        EncoderError: the model has no such switch.
    """
    switched = [module for module in model.modules() if hasattr(module, "is_causal")]
    if not switched:
        raise EncoderError(f"a {type(model).__name__} cannot be run with attention in both directions")
    model.config.is_causal = False
    for module in switched:
        module.is_causal = False


def _bert(folder: Path) -> dict[str, str]:
    """Return how ONNX Runtime names the architecture, if it can run the model; else nothing."""
    try:
        return {"architecture": str(read_checkpoint(folder).bert)}
    except EncoderError:
        return {}
