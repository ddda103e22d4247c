"""Queries paired with passages of documents, as token ids: what models that read both together are given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybrid.encoders.texts import checked_texts
from hybrid.errors import EncoderError, InputError
from hybrid.types import Document, Floats

PASSAGES = 4
"""How many passages of a long document are read, unless told."""


class Pair(NamedTuple):
    """A query with one passage of a document, as token ids; ``types`` says which of the two each is of."""

    document: int
    ids: list[int]
    types: list[int]


class Pairs:
    """Makes pairs for a cross-encoder, with its tokenizer and within its window.

    A query may take half of the window. A document longer than the rest is cut into up to ``passages``
    passages, each half a window after the one before; what comes after them is not read.
    """

    def __init__(self, tokenizer: str, max_tokens: int, passages: int) -> None:
        """Take a tokenizer of the library `tokenizers`, as JSON.

        Raises:
            InputError: the window leaves no room for a document, or ``passages`` is below 1.
        """
        from tokenizers import Tokenizer

        self._most, self._passages = max_tokens, checked_passages(passages)
        self._whole, self._cut = Tokenizer.from_str(tokenizer), Tokenizer.from_str(tokenizer)
        for each in (self._whole, self._cut):
            each.no_padding()
            each.no_truncation()
        room = max_tokens - max_tokens // 2 - self._cut.num_special_tokens_to_add(is_pair=True)
        if room < 2:
            raise InputError(
                f"the window of {max_tokens} tokens leaves no room for a document; give more max_tokens"
            )
        self._cut.enable_truncation(max_tokens, stride=room // 2, strategy="only_second")

    def of(self, query: str, texts: Sequence[str]) -> list[Pair]:
        """Return the pairs of a query with the passages of all texts, text by text."""
        query = self._shortened(query)
        return [pair for n, text in enumerate(texts) for pair in self._pairs(n, query, text)]

    def _shortened(self, query: str) -> str:
        """Return what of the query fits into half of the window."""
        encoding = self._whole.encode(query, add_special_tokens=False)
        most = max(1, self._most // 2)
        return query if len(encoding.ids) <= most else query[: encoding.offsets[most - 1][1]]

    def _pairs(self, number: int, query: str, text: str) -> list[Pair]:
        first = self._cut.encode(query, text)
        found = [first, *first.overflowing[: self._passages - 1]]
        return [Pair(number, list(encoding.ids), list(encoding.type_ids)) for encoding in found]


def checked_passages(passages: int) -> int:
    """Return how many passages of a document are read.

    Raises:
        InputError: it is not a whole number of at least 1.
    """
    if isinstance(passages, bool) or not isinstance(passages, int) or passages < 1:
        raise InputError(f"passages is {passages!r}; give a whole number of at least 1")
    return passages


def contents(query: str, documents: Sequence[Document]) -> list[str]:
    """Return the texts of documents, checked together with the query.

    Raises:
        InputError: a text is not valid Unicode.
    """
    texts = [document.content for document in documents]
    checked_texts([query, *texts])
    return texts


def best_passages(
    pairs: Sequence[Pair],
    documents: int,
    batches: Iterable[NDArray[np.int64]],
    run: Callable[[Sequence[Pair]], Floats],
) -> Floats:
    """Return each document's score, that of its best passage (MaxP: Dai and Callan 2019).

    ``batches``: positions in ``pairs``. ``run`` scores one batch: float32, shape (pairs,).

    Raises:
        EncoderError: a score is not finite.
    """
    scores = np.full(documents, -np.inf, np.float32)
    for batch in batches:
        chosen = [pairs[n] for n in batch]
        np.maximum.at(scores, [pair.document for pair in chosen], run(chosen))
    if not np.isfinite(scores).all():
        raise EncoderError(
            "the reranker gave scores that are not finite; its weights may be damaged, or the numbers too "
            'large for its dtype (give dtype="float32")'
        )
    return scores
