"""A dense encoder behind an API.

Beyond what `hybrid.remote.service` does about failures of the transport, answers are checked:

- Vectors out of order are put in order by their index.
- Another number of vectors, an index twice or out of range, a vector of another dimension, of NaN or
  infinity, or of zeros: a `RemoteError`, at once.
- A request refused as too large or too long is halved until the text that is too long stands alone. That one
  is cut (by the API where it can be asked to, else here) and flagged as truncated. So the flag says what the
  API's own tokenizer found, not an estimate.

If some requests of a call fail for good, the others are not lost: the error is a `PartialEncodingError` that
carries what was made, and the embedding cache keeps it, so that a second attempt sends only the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, as_completed, wait

import numpy as np

from hybrid import forking
from hybrid.batches import DenseBatch, Encoded, Side
from hybrid.encoders.api.wire import Wire, matrix
from hybrid.encoders.texts import Distinct
from hybrid.errors import InputError, PartialEncodingError, RemoteError
from hybrid.remote import loop, refusals
from hybrid.remote.service import Call, Service
from hybrid.remote.tokens import batches, estimated_tokens
from hybrid.types import Floats, Progress

BLANK = "."
"""What is sent for a text without content, which APIs refuse."""


class ApiEncoder:
    """A model behind an API; may be used from several threads.

    Its vectors are scaled to length 1. ``close`` ends its connections.
    """

    normalized = True

    def __init__(
        self,
        model: str,
        wire: Wire,
        service: Service,
        *,
        dimension: int | None = None,
        known_dimension: int | None = None,
        query_prefix: str = "",
        document_prefix: str = "",
        max_tokens: int | None = None,
        batch_texts: int | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        """Take the model's name, how to speak with its API, and where that is; nothing is sent yet.

        ``dimension`` is asked for; ``known_dimension`` is what comes without asking. Without either, the
        first answer tells. ``max_tokens``: the window of a server that cuts longer texts without a word;
        texts above it by estimate (`estimated_tokens`) are flagged as truncated. ``batch_texts``,
        ``batch_tokens``: what one request holds at most, unless the API takes less.

        Raises:
            InputError: a size is below 1.
        """
        for name, value in (("batch_texts", batch_texts), ("batch_tokens", batch_tokens)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InputError(f"{name} is {value!r}; give a whole number of at least 1, or None")
        self.model, self.service = model, service
        self._wire, self._asked, self._width = wire, dimension, dimension or known_dimension
        self._prefixes: Mapping[Side, str] = {"query": query_prefix, "document": document_prefix}
        self._window = max_tokens
        self._texts = min(batch_texts or wire.most_texts, wire.most_texts)
        self._tokens = min(batch_tokens or wire.most_tokens, service.limits.tokens_per_minute or 2**62)
        self._learning = forking.Lock()

    def __repr__(self) -> str:
        return f"ApiEncoder({self._wire.provider.name}:{self.model}, {self.service.base_url!r})"

    def close(self) -> None:
        """End the connections."""
        self.service.close()

    @property
    def dimension(self) -> int:
        """The length of each vector; asks the API if nothing says it.

        Raises:
            RemoteError: it had to be asked, and failed.
        """
        with self._learning:
            if self._width is None:
                self.encode_queries([BLANK])
        return int(self._width or 0)

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that is known to decide the vectors.

        Not the address: a server may move. Not the weights, which an API does not show: the probes tell.
        """
        return {
            "model": self.model,
            "api": self._wire.provider.name,
            "dimension": self.dimension,
            "dtype": "unstated",
            "normalize": True,
            "query_prefix": self._prefixes["query"],
            "document_prefix": self._prefixes["document"],
            "blank": BLANK,
        }

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> DenseBatch:
        """Encode passages, in order.

        Raises:
            InputError: a text is not a string, or not valid Unicode.
            RemoteError: nothing could be encoded.
            PartialEncodingError: some could not; it carries the others.
        """
        return self._encode(texts, "document", progress)

    def encode_queries(self, texts: Sequence[str]) -> DenseBatch:
        """Encode queries, in order; raises what `encode_documents` raises."""
        return self._encode(texts, "query", None)

    def _encode(self, texts: Sequence[str], side: Side, progress: Progress | None) -> DenseBatch:
        distinct = Distinct.of(texts)
        if not distinct.texts:
            return DenseBatch(np.zeros((0, self.dimension), np.float32), np.zeros(0, np.bool_))
        sent = [self._prefixes[side] + (text if text.strip() else BLANK) for text in distinct.texts]
        call = Call()
        runs = list(batches(sent, self._texts, self._tokens))
        futures = [loop.submit(self._run(sent[run], side, call)) for run in runs]
        self._follow(futures, call, distinct.repeats, runs, progress)
        if call.error is not None:
            raise self._partial(call.error, distinct.texts, runs, futures)
        return DenseBatch.concat([future.result() for future in futures]).take(distinct.source)

    def _follow(
        self,
        futures: Sequence[Future[DenseBatch]],
        call: Call,
        repeats: np.typing.NDArray[np.int64],
        runs: Sequence[slice],
        progress: Progress | None,
    ) -> None:
        """Wait for the requests of one call, telling of those that are done."""
        stage, total, done = f"encode {self.model}", int(repeats.sum()), 0
        sizes = {future: int(repeats[run].sum()) for future, run in zip(futures, runs, strict=True)}
        if progress is not None:
            progress(stage, 0, total)
        try:
            for future in as_completed(futures):
                done += sizes[future]
                if progress is not None and future.exception() is None:
                    progress(stage, done, total)
        except BaseException as error:  # the caller's progress, or an interrupt: nothing more is sent
            loop.running_loop().call_soon_threadsafe(call.halt, error)
            wait(futures)
            raise

    def _partial(
        self,
        error: BaseException,
        texts: Sequence[str],
        runs: Sequence[slice],
        futures: Sequence[Future[DenseBatch]],
    ) -> BaseException:
        """Return the error to raise: the one that stopped the call, with what was made nevertheless."""
        made = [n for n, future in enumerate(futures) if future.exception() is None]
        if not made or not isinstance(error, RemoteError):
            return error
        done = [text for n in made for text in texts[runs[n]]]
        encoded = Encoded(dense=DenseBatch.concat([futures[n].result() for n in made]))
        told = f"{error} ({len(done)} of {len(texts)} texts were encoded before; they come with this error)"
        partial = PartialEncodingError(told, done, encoded)
        partial.__cause__ = error
        return partial

    async def _run(self, texts: Sequence[str], side: Side, call: Call) -> DenseBatch:
        try:
            return await self._request(texts, side, call)
        except BaseException as error:
            call.halt(error)
            raise

    async def _request(self, texts: Sequence[str], side: Side, call: Call) -> DenseBatch:
        """Encode one batch; one that is too large in halves."""
        try:
            vectors = await self._vectors(texts, side, call, cut=False)
        except RemoteError as error:
            if not refusals.too_large(error):
                raise
            if len(texts) == 1:
                return await self._shortened(texts[0], side, call, error)
            half = len(texts) // 2
            return DenseBatch.concat(
                [await self._request(part, side, call) for part in (texts[:half], texts[half:])]
            )
        window = self._window
        flags = [window is not None and estimated_tokens(text) > window for text in texts]
        return DenseBatch(vectors, np.array(flags, np.bool_))

    async def _shortened(self, text: str, side: Side, call: Call, refusal: RemoteError) -> DenseBatch:
        """Encode the beginning of a text that was refused as too long."""
        cut = np.ones(1, np.bool_)
        if self._wire.cuts:
            return DenseBatch(await self._vectors([text], side, call, cut=True), cut)
        for _ in range(refusals.CUTS):
            shorter = text[: int(len(text) * refusals.share_to_keep(refusal))]
            if len(shorter) <= len(self._prefixes[side]):
                break
            text = shorter
            try:
                return DenseBatch(await self._vectors([text], side, call, cut=False), cut)
            except RemoteError as error:
                if error.status not in refusals.STATUSES:
                    raise
                refusal = error
        raise refusal

    async def _vectors(self, texts: Sequence[str], side: Side, call: Call, *, cut: bool) -> Floats:
        body = self._wire.body(self.model, texts, side, self._asked, cut)
        tokens = sum(map(estimated_tokens, texts))
        answer = await self.service.post(self._wire.path, body, tokens, call)
        try:
            vectors = matrix(self._wire.rows(answer, len(texts)), self._width)
            lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
            if not lengths.all():
                raise RemoteError("the answer has a vector of zeros")
        except RemoteError as error:
            raise RemoteError(f"{self.service.name} at {self.service.base_url}: {error}") from error
        self._width = vectors.shape[1]
        return np.ascontiguousarray(vectors / lengths, np.float32)
