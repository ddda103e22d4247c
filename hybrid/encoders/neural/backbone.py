"""A transformer run by torch: texts to token ids, and token ids to one row of numbers a token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.encoders.neural import loading
from hybrid.encoders.neural.loading import Dtype, Head
from hybrid.encoders.texts import checked_texts
from hybrid.encoders.units import ModelUnits
from hybrid.errors import EncoderError
from hybrid.forking import cached_property, forked_after_loading
from hybrid.threads import thread_count
from hybrid.types import Bools, Progress

_BUDGET = {"cpu": 4096, "other": 32768}
"""How many tokens a batch may hold, padding included, by device."""

_LOGITS = 2**26
"""How many numbers a batch of logits may hold: 256 MiB in float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Texts as token ids, special tokens included; ``truncated``: bool, shape (texts,)."""

    ids: list[list[int]]
    truncated: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """What a model gave for one batch.

    ``positions``: int64, which of the texts these are. ``outputs``: torch tensor on the model's device, in
    its dtype, shape (batch, length, hidden), or (batch, length, vocabulary) of a masked-language-model
    head. ``mask``: torch bool, shape (batch, length), False where a text has ended; texts begin at 0.
    """

    positions: NDArray[np.int64]
    outputs: Any
    mask: Any


class Backbone:
    """A transformer, its tokenizer and its window. May be used from several threads at once.

    A text's numbers depend on the batch that it is in by rounding only (padding is masked).
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, name: str, folder: Path, head: Head, max_tokens: int
    ) -> None:
        """Put a loaded model and tokenizer together; see `load`."""
        self.name, self.folder, self.max_tokens = name, folder, max_tokens
        self.device = str(model.device)
        self.dtype = str(model.dtype).removeprefix("torch.")
        self.model = model
        """The torch module."""
        self.tokenizer = tokenizer
        """The tokenizer of transformers, left as it was loaded."""
        self._head = head
        self._tokenizer = loading.cutting(tokenizer, max_tokens)
        self._padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        name: str,
        head: Head = "base",
        max_tokens: int | None = None,
        stated_tokens: int | None = None,
        device: str | None = None,
        dtype: Dtype = "float32",
        trust_remote_code: bool = False,
    ) -> Backbone:
        """Load the model of a folder: ``config.json``, weights and tokenizer.

        ``head``: "base" gives hidden states, "mlm" the logits of the masked-language-model head.
        ``max_tokens``: None for what is stated of the model elsewhere (``stated_tokens``), else by tokenizer
        and model, as far as the model has places. ``device``: None for cuda where there is one, else cpu.
        ``trust_remote_code``: run the Python files in the folder.

        Raises:
            EncoderError: the folder holds no such model, or its parts do not belong together.
            InputError: the window, device or dtype cannot be had.
            MissingDependencyError: torch or transformers is not installed.
        """
        loading.read_config(folder)
        device = loading.chosen_device(device)
        tokenizer = loading.load_tokenizer(folder, trust_remote_code=trust_remote_code)
        model = loading.load_model(folder, head, device, dtype, trust_remote_code=trust_remote_code)
        words = model.get_input_embeddings().num_embeddings
        if len(tokenizer) > words:
            raise EncoderError(
                f"the tokenizer in {folder} has {len(tokenizer)} tokens, but the model {words}; they do not "
                "belong together"
            )
        limit = loading.window(tokenizer, model, folder, max_tokens, stated_tokens)
        return cls(model, tokenizer, name=name, folder=folder, head=head, max_tokens=limit)

    @property
    def hidden(self) -> int:
        """The width of the hidden states."""
        return int(self.model.config.hidden_size)

    @cached_property
    def vocabulary(self) -> Sequence[str]:
        """The tokens by id, distinct; ids that the tokenizer never gives are named ``<id 7>``."""
        size = self.model.get_input_embeddings().num_embeddings
        names = [f"<id {n}>" for n in range(size)]
        for token, number in self.tokenizer.get_vocab().items():
            names[number] = token
        return names

    def units(self, prefix: str = "", most: int | None = None, more: int = 0) -> ModelUnits:
        """Return how texts behind a prefix are counted; ``most``: None for the window."""
        return ModelUnits(self._tokenizer, most or self.max_tokens, prefix, more)

    def tokenize(self, texts: Sequence[str], prefix: str = "", *, special: bool = True) -> Tokens:
        """Return the token ids of texts, each behind the prefix, cut at the window.

        With ``special``, the tokenizer's special tokens are added, and a text without any token is one
        padding token.

        Raises:
            InputError: a text is not a string, or not valid Unicode.
        """
        # One text at a time: the library's own batches would start threads that no setting of ours reaches.
        found = [
            self._tokenizer.encode(prefix + text, add_special_tokens=special) for text in checked_texts(texts)
        ]
        ids = [list(encoding.ids) for encoding in found]
        if special:
            ids = [row or [self._padding] for row in ids]
        return Tokens(ids, np.array([bool(encoding.overflowing) for encoding in found], np.bool_))

    def run(
        self,
        ids: Sequence[Sequence[int]],
        progress: Progress | None = None,
        attended: Sequence[int] | None = None,
    ) -> Iterator[Ran]:
        """Run the model once on each sequence of token ids; yield batches, the longest texts first.

        Every sequence has at least one token. ``progress`` counts sequences. ``attended``: how many tokens of
        each sequence, from its first, the others see; None for all. The mask counts those unseen too.

        Raises:
            EncoderError: the model failed.
        """
        for positions, given, mask in self.forward(self.model, ids, progress, attended):
            yield Ran(positions, given.logits if self._head == "mlm" else given.last_hidden_state, mask)

    def forward(
        self,
        call: Callable[..., Any],
        ids: Sequence[Sequence[int]],
        progress: Progress | None = None,
        attended: Sequence[int] | None = None,
    ) -> Iterator[tuple[NDArray[np.int64], Any, Any]]:
        """Call something in the model's place, as `run` does; yield positions, what it gave, and the mask.

        Raises:
            EncoderError: the call failed.
        """
        stage, done = f"encode {self.name}", 0
        if progress is not None:
            progress(stage, 0, len(ids))
        for batch in batches([len(row) for row in ids], self._budget()):
            seen = None if attended is None else [attended[n] for n in batch]
            yield batch, *self._call(call, [ids[n] for n in batch], seen)
            done += len(batch)
            if progress is not None:
                progress(stage, done, len(ids))

    def fingerprint(self) -> dict[str, str | int | bool]:
        """Return what decides the model's numbers; encoders add what they do with them."""
        return {
            "model": self.name,
            "architecture": loading.architecture(self.folder, self.model),
            "weights": loading.weights_digest(self.folder),
            "tokenizer": loading.tokenizer_digest(self.folder),
            "max_tokens": self.max_tokens,
            "dtype": self.dtype,
        }

    def _call(
        self, call: Callable[..., Any], rows: list[Sequence[int]], seen: list[int] | None
    ) -> tuple[Any, Any]:
        """Return what a call gives for padded rows of ids, and the mask."""
        torch = loading.torch_library()
        if torch.get_num_threads() != thread_count():
            # OpenMP waits for ever for threads that stayed in the parent
            torch.set_num_threads(1 if forked_after_loading("torch") else thread_count())
        length = max(len(row) for row in rows)
        ids = torch.full((len(rows), length), self._padding, dtype=torch.int64)
        mask = torch.zeros((len(rows), length), dtype=torch.bool)
        for n, row in enumerate(rows):
            ids[n, : len(row)] = torch.tensor(row)
            mask[n, : len(row)] = True
        mask = mask.to(self.device)
        attention = mask.to(torch.int64)
        for n, tokens in enumerate(seen or ()):
            attention[n, tokens:] = 0
        try:
            with torch.no_grad():
                given = call(input_ids=ids.to(self.device), attention_mask=attention)
        except Exception as error:  # out of memory, wrong shapes: the library's errors share no public root
            raise EncoderError(
                f"model {self.name!r} failed on {len(rows)} texts of up to {length} tokens: {error}"
            ) from error
        return given, mask

    def _budget(self) -> int:
        budget = _BUDGET["cpu" if self.device == "cpu" else "other"]
        if self._head == "mlm":
            return min(budget, _LOGITS // int(self.model.config.vocab_size))
        return budget


def batches(lengths: Sequence[int], budget: int) -> Iterator[NDArray[np.int64]]:
    """Yield positions in batches, the longest texts first, then by position.

    A batch, padded to its longest text, holds at most ``budget`` tokens, but always at least one text.

    >>> [batch.tolist() for batch in batches([2, 5, 1, 4, 2], budget=8)]
    [[1], [3, 0], [4, 2]]
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size
