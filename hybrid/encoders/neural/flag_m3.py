"""BGE-M3 with the model and heads of FlagEmbedding, in batches of ours."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from hybrid.batches import Representation
from hybrid.encoders.neural import loading
from hybrid.encoders.neural.backbone import Backbone
from hybrid.encoders.neural.loading import Dtype
from hybrid.encoders.neural.m3_heads import TOKENS_FILE, Heads, linear
from hybrid.errors import EncoderError, InputError, MissingDependencyError
from hybrid.types import Progress


def load(
    folder: Path, *, name: str, max_tokens: int | None, device: str | None, dtype: Dtype
) -> tuple[Backbone, FlagRunner]:
    """Load a folder with FlagEmbedding; return its transformer as a backbone, and what runs all of it.

    Raises:
        EncoderError: it cannot be loaded.
        InputError: a parameter is not accepted.
        MissingDependencyError: FlagEmbedding is not installed.
    """
    device = loading.chosen_device(device)
    if dtype not in loading.DTYPES:
        raise InputError(f"dtype is {dtype!r}; accepted: {', '.join(loading.DTYPES)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's, about its own dependencies
            from FlagEmbedding import BGEM3FlagModel
    except ModuleNotFoundError as error:
        raise MissingDependencyError("FlagEmbedding", "flagembedding") from error
    width = linear(folder / TOKENS_FILE, int(loading.read_config(folder)["hidden_size"])).out_features
    try:
        with loading.quiet():
            embedder = BGEM3FlagModel(
                str(folder),
                use_fp16=dtype == "float16",
                use_bf16=dtype == "bfloat16",
                devices=device,
                colbert_dim=width,
            )
    except Exception as error:  # missing files, damaged weights: many unrelated types
        raise EncoderError(f"FlagEmbedding cannot load {folder}: {error}") from error
    whole = embedder.model.to(getattr(loading.torch_library(), dtype)).to(device).eval().requires_grad_(False)
    model, tokenizer = whole.model, embedder.tokenizer
    limit = loading.window(tokenizer, model, folder, max_tokens)
    backbone = Backbone(model, tokenizer, name=name, folder=folder, head="base", max_tokens=limit)
    return backbone, FlagRunner(backbone, whole)


class FlagRunner:
    """FlagEmbedding's model and heads."""

    def __init__(self, backbone: Backbone, model: Any) -> None:
        """Take FlagEmbedding's module, and the backbone inside it."""
        self._backbone, self._model = backbone, model

    def __call__(
        self, ids: Sequence[Sequence[int]], wanted: Collection[Representation], progress: Progress | None
    ) -> Iterator[Heads]:
        """Run each text once; yield batches."""

        def forward(input_ids: Any, attention_mask: Any) -> Any:
            return self._model(
                {"input_ids": input_ids, "attention_mask": attention_mask},
                return_dense="dense" in wanted,
                return_sparse="sparse" in wanted,
                return_colbert_vecs="tokens" in wanted,
            )

        for batch, given, mask in self._backbone.forward(forward, ids, progress):
            weights = given.get("sparse_vecs")
            yield Heads(
                batch,
                mask,
                given.get("dense_vecs"),
                weights if weights is None else weights.squeeze(-1),
                given.get("colbert_vecs"),
            )
