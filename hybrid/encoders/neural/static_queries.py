"""Queries without a model: each token of the query weighs what a table says.

Inference-free sparse retrieval (Geng et al. 2024, https://arxiv.org/abs/2411.04403): documents are encoded
by a model, queries by looking their tokens up, in a table of inverse document frequencies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.batches import SparseBatch
from hybrid.encoders.neural import gathering
from hybrid.encoders.neural.loading import cutting, load_tokenizer, tokenizer_digest
from hybrid.encoders.texts import Distinct
from hybrid.errors import EncoderError
from hybrid.types import Floats

IDF = "idf.json"


class StaticQueries:
    """A tokenizer and one weight for each token."""

    def __init__(self, folder: Path, weights: Floats, tokenizer: Any) -> None:
        """Take the tokenizer of transformers that is in ``folder``, and weights of shape (vocabulary,).

        Raises:
            EncoderError: there are other weights than tokens, or one is negative or not finite.
        """
        if len(weights) < len(tokenizer) or not (np.isfinite(weights) & (weights >= 0)).all():
            raise EncoderError(
                f"the {len(weights)} query weights in {folder} do not fit: there must be one for each of the "
                f"{len(tokenizer)} tokens, finite and at least 0"
            )
        self._folder, self._weights = folder, weights
        stated = tokenizer.model_max_length
        self._tokenizer = cutting(tokenizer, stated if stated < 10**9 else None)

    @classmethod
    def from_table(cls, folder: Path, tokenizer: Any = None) -> StaticQueries:
        """Read ``idf.json``, a mapping from tokens to weights; a token that it lacks weighs 0.

        Raises:
            EncoderError: it cannot be read, or names a token that the tokenizer has not.
        """
        tokenizer = tokenizer or load_tokenizer(folder)
        path = folder / IDF
        known = tokenizer.get_vocab()
        weights = np.zeros(len(known), np.float32)
        try:
            for token, weight in json.loads(path.read_text("utf-8")).items():
                weights[known[token]] = weight
        except KeyError as error:
            raise EncoderError(f"{path} has the token {error}, which the tokenizer has not") from error
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise EncoderError(f"{path} is not a mapping from tokens to weights: {error}") from error
        return cls(folder, weights, tokenizer)

    @classmethod
    def from_module(cls, folder: Path) -> StaticQueries:
        """Read the folder of sentence-transformers' module SparseStaticEmbedding.

        Raises:
            EncoderError: it holds no weights.
        """
        if not (folder / "model.safetensors").is_file():
            return cls.from_table(folder)
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = folder / "model.safetensors"
        try:
            weights = load_file(path)["weight"].astype(np.float32)
        except (OSError, KeyError, SafetensorError) as error:
            raise EncoderError(f"cannot read the query weights in {path}: {error}") from error
        return cls(folder, weights, load_tokenizer(folder))

    def digest(self) -> str:
        """Return a digest of the weights and the tokenizer."""
        digest = hashlib.blake2b(self._weights.tobytes(), digest_size=32)
        digest.update(tokenizer_digest(self._folder).encode())
        return digest.hexdigest()

    def encode(self, texts: Sequence[str], prefix: str = "") -> SparseBatch:
        """Encode queries, in order: their distinct tokens, where they weigh anything.

        Raises:
            InputError: a text is not a string, or not valid Unicode.
        """
        distinct = Distinct.of(texts)
        rows, cut = [], np.zeros(len(distinct.texts), np.bool_)
        for n, text in enumerate(distinct.texts):
            encoding = self._tokenizer.encode(prefix + text, add_special_tokens=False)
            terms = np.unique(np.asarray(encoding.ids, np.int32))
            terms = terms[self._weights[terms] > 0]
            rows.append((terms, self._weights[terms]))
            cut[n] = bool(encoding.overflowing)
        return gathering.sparse_batch(rows, cut).take(distinct.source)
