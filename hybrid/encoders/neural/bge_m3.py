"""BGE-M3: dense vectors, sparse weights and token vectors from one pass (Chen et al. 2024).

The paper is https://arxiv.org/abs/2402.03216, the model card https://huggingface.co/BAAI/bge-m3. With h the
last hidden states of an XLM-RoBERTa: the dense vector is h of the first token; a token's weight is
relu(w·h + b) (``sparse_linear.pt``), and a term weighs what its heaviest token weighs; a token's vector is
W h + c (``colbert_linear.pt``), for all tokens but the first. Vectors are scaled to length 1. Queries and
documents are treated alike, without any instruction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from hybrid.batches import DenseBatch, Encoded, Representation, Side
from hybrid.encoders.neural import gathering
from hybrid.encoders.neural.backbone import Backbone
from hybrid.encoders.neural.loading import Dtype
from hybrid.encoders.neural.m3_heads import (
    SPARSE_FILE,
    TOKENS_FILE,
    Heads,
    Runner,
    TransformersRunner,
    linear,
)
from hybrid.encoders.texts import Distinct
from hybrid.encoders.units import ModelUnits
from hybrid.encoders.weights import file_digest
from hybrid.errors import EncoderError, InputError
from hybrid.types import Floats, Progress

Backend: TypeAlias = Literal["transformers", "flagembedding"]


class BgeM3:
    """BGE-M3, or a model in its layout. May be used from several threads at once."""

    representations: tuple[Representation, ...] = ("dense", "sparse", "tokens")
    normalized = True

    def __init__(self, backbone: Backbone, run: Runner) -> None:
        """Put a loaded model together; see `from_folder`."""
        self._backbone, self._run = backbone, run
        tokenizer = backbone.tokenizer
        special = (
            tokenizer.cls_token_id,
            tokenizer.eos_token_id,
            tokenizer.pad_token_id,
            tokenizer.unk_token_id,
        )
        self._no_terms = {number for number in special if number is not None}
        self._digests = {
            file.removesuffix(".pt"): file_digest(backbone.folder / file)
            for file in (SPARSE_FILE, TOKENS_FILE)
        }
        self._token_dimension = int(linear(backbone.folder / TOKENS_FILE, backbone.hidden).out_features)

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        *,
        name: str | None = None,
        max_tokens: int | None = None,
        device: str | None = None,
        dtype: Dtype = "float32",
        backend: Backend = "transformers",
    ) -> BgeM3:
        """Load the files of https://huggingface.co/BAAI/bge-m3, or of a model fine-tuned from it.

        ``max_tokens``: None for the model's 8,192. ``backend``: "transformers", or "flagembedding" for the
        model and heads of FlagEmbedding's own code; both give the same to 1e-4 and have one fingerprint.
        Other parameters are those of `Backbone.load`.

        Raises:
            EncoderError: the folder does not hold such a model.
            InputError: a parameter is not accepted.
            MissingDependencyError: a package is not installed.
        """
        for file in (SPARSE_FILE, TOKENS_FILE):
            if not (folder / file).is_file():
                raise EncoderError(
                    f"the model folder {folder} lacks {file}; give a folder with the files of BAAI/bge-m3"
                )
        name = name or folder.resolve().name
        if backend == "flagembedding":
            from hybrid.encoders.neural.flag_m3 import load

            backbone, runner = load(folder, name=name, max_tokens=max_tokens, device=device, dtype=dtype)
            return cls(backbone, runner)
        if backend != "transformers":
            raise InputError(f"backend is {backend!r}; accepted: transformers, flagembedding")
        backbone = Backbone.load(folder, name=name, max_tokens=max_tokens, device=device, dtype=dtype)
        return cls(backbone, TransformersRunner(backbone))

    @property
    def dimension(self) -> int:
        """The length of each dense vector."""
        return self._backbone.hidden

    @property
    def vocabulary(self) -> Sequence[str]:
        """The tokens, by id."""
        return self._backbone.vocabulary

    @property
    def token_dimension(self) -> int:
        """The length of each token's vector."""
        return self._token_dimension

    @property
    def units(self) -> ModelUnits:
        """How documents are counted in the model's tokens."""
        return self._backbone.units()

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides what the model gives."""
        return {
            **self._backbone.fingerprint(),
            **self._digests,
            "pooling": "cls",
            "dimension": self.dimension,
        }

    def encode(
        self,
        texts: Sequence[str],
        side: Side,
        representations: Collection[Representation],
        progress: Progress | None = None,
    ) -> Encoded:
        """Encode texts, in order, each different one in one pass; queries and documents are treated alike.

        Raises:
            InputError: a text is not a string, or not valid Unicode.
            EncoderError: the model failed, or gave numbers that are not finite.
        """
        distinct = Distinct.of(texts)
        tokens = self._backbone.tokenize(distinct.texts)
        made = _Made.empty(len(distinct.texts), self.dimension)
        for heads in self._run(tokens.ids, representations, progress):
            self._keep(heads, tokens.ids, made)
        cut = tokens.truncated
        encoded = Encoded(
            dense=DenseBatch(made.dense, cut) if "dense" in representations else None,
            sparse=gathering.sparse_batch(made.sparse, cut) if "sparse" in representations else None,
            tokens=gathering.token_batch(made.vectors, self.token_dimension, cut)
            if "tokens" in representations
            else None,
        )
        return encoded if len(distinct.texts) == len(texts) else encoded.take(distinct.source)

    def spell(self, text: str, side: Side) -> Sequence[str]:
        """Return the tokens that a text's token vectors stand for: all but the first, which is the text's."""
        ids = self._backbone.tokenize([text]).ids[0][1:]
        return [self._backbone.vocabulary[token] for token in ids]

    def _keep(self, heads: Heads, ids: Sequence[Sequence[int]], made: _Made) -> None:
        """Take what belongs to each text out of a batch."""
        positions = heads.positions.tolist()
        if heads.dense is not None:
            made.dense[heads.positions] = self._numbers(heads.dense)
        if heads.weights is not None:
            for row, n in zip(self._numbers(heads.weights), positions, strict=True):
                made.sparse[n] = gathering.highest_by_term(ids[n], row[: len(ids[n])], self._no_terms)
        if heads.vectors is not None:
            for rows, n in zip(self._numbers(heads.vectors), positions, strict=True):
                made.vectors[n] = rows[: len(ids[n]) - 1]

    def _numbers(self, tensor: Any) -> Floats:
        return gathering.check_finite(tensor.float().cpu().numpy(), self._backbone.name)


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """What was made so far, by text."""

    dense: Floats
    sparse: list[gathering.SparseRow] = field(default_factory=list)
    vectors: list[Floats] = field(default_factory=list)

    @classmethod
    def empty(cls, texts: int, dimension: int) -> _Made:
        nothing = (np.empty(0, np.int32), np.empty(0, np.float32))
        return cls(
            np.zeros((texts, dimension), np.float32),
            [nothing] * texts,
            [np.empty((0, 0), np.float32)] * texts,
        )
