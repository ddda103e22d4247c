"""A reranker behind an API that scores documents one by one (pointwise).

What `hybrid.remote.service` does about failures of the transport holds here too. Besides, answers are
checked:

- Scores are put in the order of the documents by their index; an index that is missing, there twice or out
  of range, and a score that is no finite number, are a `RemoteError`, at once.
- A request that is refused as too large is halved until the document that is too long stands alone; its end
  is then cut off, as far as the API wants it.

Where the model's window is known, a longer document is sent as passages, and its best one counts, as for
models that run here.

There is no part of an answer: when one request has failed for good the others are not sent any more, and the
stage that asked leaves the order as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from hybrid.encoders.api.encoder import BLANK
from hybrid.encoders.texts import Distinct
from hybrid.errors import InputError, RemoteError
from hybrid.remote import refusals
from hybrid.remote.service import Call, Service, waited
from hybrid.remote.tokens import BYTES_PER_TOKEN, batches, estimated_tokens
from hybrid.rerankers.api.wire import Wire, numbers
from hybrid.rerankers.pairs import PASSAGES, checked_passages, contents
from hybrid.types import Document, Floats


def overlapping(text: str, most_tokens: int | None, passages: int) -> list[str]:
    """Return a text as up to so many passages, each half a passage after the one before, or whole if it fits.

    ``most_tokens``: how many a passage has, by estimate; None for any. What comes after them is not read.

    >>> overlapping("ab cd ef gh", 2, 4)
    ['ab cd ', 'cd ef ', 'ef gh']
    """
    if most_tokens is None or estimated_tokens(text) <= most_tokens:
        return [text]
    whole, size = text.encode(), most_tokens * BYTES_PER_TOKEN
    starts = range(0, len(whole) - size + max(1, size // 2), max(1, size // 2))
    found = (whole[start : start + size].decode(errors="ignore") for start in starts[:passages])
    return [passage for passage in found if passage] or [text[:1]]  # no character fits


class ApiReranker:
    """A reranking model behind an API; may be used from several threads. ``close`` ends its connections.

    A document's score does not depend on the others, unless the model compares them with each other
    (jina-reranker-v3): then on those of the same request.
    """

    def __init__(
        self,
        model: str,
        wire: Wire,
        service: Service,
        *,
        batch_documents: int | None = None,
        batch_tokens: int | None = None,
        max_tokens: int | None = None,
        passages: int = PASSAGES,
    ) -> None:
        """Take the model's name, how to speak with its API, and where that is; nothing is sent yet.

        ``batch_documents``, ``batch_tokens``: what one request holds at most, unless the API takes less. The
        query counts with each document. ``max_tokens``: how many tokens of a document the model reads, by
        estimate (`estimated_tokens`); without it, what is known of the API; where nothing is, the API cuts. A
        longer document is read as up to ``passages`` passages, see `overlapping`.

        Raises:
            InputError: a size is below 1.
        """
        sizes = {"batch_documents": batch_documents, "batch_tokens": batch_tokens, "max_tokens": max_tokens}
        for name, value in sizes.items():
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InputError(f"{name} is {value!r}; give a whole number of at least 1, or None")
        self.model, self.service = model, service
        self._wire, self._window = wire, max_tokens or wire.window
        self._passages = checked_passages(passages)
        self._documents = min(batch_documents or wire.most_documents, wire.most_documents)
        self._tokens = min(batch_tokens or wire.most_tokens, service.limits.tokens_per_minute or 2**62)

    def __repr__(self) -> str:
        return f"ApiReranker({self._wire.provider.name}:{self.model}, {self.service.base_url!r})"

    def close(self) -> None:
        """End the connections."""
        self.service.close()

    def score(self, query: str, documents: Sequence[Document]) -> Floats:
        """Return the API's score of each document: float32, shape (documents,), in the order given.

        Equal texts are sent once.

        Raises:
            InputError: a text is not valid Unicode.
            RemoteError: the API failed, or its answer cannot be used.
        """
        texts = contents(query, documents)
        read = [overlapping(text, self._window, self._passages) for text in texts]
        distinct = Distinct.of([passage for passages in read for passage in passages])
        if not distinct.texts:
            return np.zeros(0, np.float32)
        texts = [text if text.strip() else BLANK for text in distinct.texts]
        call = Call()
        scores = waited(self._all(query if query.strip() else BLANK, texts, call), call)
        firsts = np.cumsum([0, *map(len, read[:-1])])
        best: Floats = np.maximum.reduceat(scores[distinct.source], firsts)
        return best

    async def _all(self, query: str, texts: Sequence[str], call: Call) -> Floats:
        """Score all texts, in requests side by side."""
        each = estimated_tokens(query)
        runs = batches(texts, self._documents, self._tokens, each)
        tasks = [self._run(query, texts[run], call) for run in runs]
        scores = await asyncio.gather(*tasks, return_exceptions=True)
        if call.error is not None:
            raise call.error
        return np.concatenate([part for part in scores if isinstance(part, np.ndarray)])

    async def _run(self, query: str, texts: Sequence[str], call: Call) -> Floats:
        try:
            return await self._request(query, texts, call)
        except BaseException as error:
            call.halt(error)
            raise

    async def _request(self, query: str, texts: Sequence[str], call: Call) -> Floats:
        """Score one batch; one that is too large in halves."""
        try:
            return await self._scores(query, texts, call)
        except RemoteError as error:
            if not refusals.too_large(error):
                raise
            if len(texts) == 1:
                return await self._shortened(query, texts[0], call, error)
            half = len(texts) // 2
            parts = [await self._request(query, part, call) for part in (texts[:half], texts[half:])]
            return np.concatenate(parts)

    async def _shortened(self, query: str, text: str, call: Call, refusal: RemoteError) -> Floats:
        """Score the beginning of a text that was refused as too long."""
        for _ in range(refusals.CUTS):
            text = text[: int(len(text) * refusals.share_to_keep(refusal))]
            if not text:
                break
            try:
                return await self._scores(query, [text], call)
            except RemoteError as error:
                if not refusals.too_large(error):
                    raise
                refusal = error
        raise refusal

    async def _scores(self, query: str, texts: Sequence[str], call: Call) -> Floats:
        tokens = sum(map(estimated_tokens, texts)) + len(texts) * estimated_tokens(query)
        body = self._wire.body(self.model, query, texts)
        answer = await self.service.post(self._wire.path, body, tokens, call)
        try:
            return numbers(self._wire.scores(answer, len(texts)))
        except RemoteError as error:
            raise RemoteError(f"{self.service.name} at {self.service.base_url}: {error}") from error
