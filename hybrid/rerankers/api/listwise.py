"""A language model that orders documents, behind any API that speaks OpenAI's ``POST /chat/completions``.

The model sees a window of documents at a time (`hybrid.rerankers.api.permutations`). What it answers is
either an order of exactly these documents, or nothing: a malformed answer leaves the window in the order that
it had, and a note says so. Whatever documents say, they cannot add, drop or repeat a document.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hybrid.encoders.texts import checked_texts
from hybrid.errors import InputError, RemoteError
from hybrid.remote import refusals
from hybrid.remote.service import Call, Service, waited
from hybrid.remote.tokens import estimated_tokens
from hybrid.rerankers.api.permutations import messages, parsed, passage, windows
from hybrid.types import Document, Floats

logger = logging.getLogger("hybrid.rerankers")

_PATH = "chat/completions"
_ANSWER_TOKENS = 5  # a number, for the rate limit


@dataclass(frozen=True, slots=True)
class Settings:
    """How a list is shown to the model.

    ``window``: how many documents at a time. ``step``: how far the next window begins before the last one.
    ``passage_tokens``: how much of a document is shown, by estimate (`estimated_tokens`). ``temperature``: 0
    for the likeliest answer; None for models that accept no temperature.
    """

    window: int = 20
    step: int = 10
    passage_tokens: int = 400
    temperature: float | None = 0.0

    def __post_init__(self) -> None:
        for name, least in (("window", 2), ("step", 1), ("passage_tokens", 8)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} is {value!r}; give a whole number of at least {least}")
        if self.window > 1000 or self.step >= self.window:
            raise InputError(
                f"window is {self.window} and step is {self.step}; give a window of at most 1000 and a step "
                "below it, so that windows overlap"
            )
        warmth = self.temperature
        number = isinstance(warmth, int | float) and not isinstance(warmth, bool)
        if warmth is not None and not (number and 0 <= warmth <= 2):
            raise InputError(f"temperature is {warmth!r}; give a number from 0 to 2, or None to send none")


class ListwiseReranker:
    """A language model that orders documents; may be used from several threads.

    Scores are places: of n documents the best has n, the last 1. They say nothing of how much better one is;
    mapped to [0, 1] by minimum and maximum, as stages do before they interpolate, they fall by equal steps.
    The documents must come in the order that they had before: it is what the windows begin with, and what a
    window keeps whose answer cannot be used. Windows wait for each other. ``close`` ends the connections.
    """

    pointwise: ClassVar[bool] = False
    """Scores of two lists cannot be compared: no neighbours may join (`hybrid.Neighbours`)."""

    def __init__(self, model: str, service: Service, settings: Settings) -> None:
        """Take the model's name, where it is, and how to show it documents; nothing is sent yet."""
        self.model, self.service, self.settings = model, service, settings

    def __repr__(self) -> str:
        return f"ListwiseReranker(openai:{self.model}, {self.service.base_url!r})"

    def close(self) -> None:
        """End the connections."""
        self.service.close()

    def score(self, query: str, documents: Sequence[Document]) -> Floats:
        """Return each document's place from the end: float32, shape (documents,), in the order given.

        A window whose answer could not be used is told as a warning of the logger ``hybrid.rerankers``.

        Raises:
            InputError: a text is not valid Unicode.
            RemoteError: the API failed for good, or answered with something else than a chat completion.
        """
        scores, notes = self.judge(query, documents)
        for note in notes:
            logger.warning("%s: %s", self.model, note)
        return scores

    def judge(self, query: str, documents: Sequence[Document]) -> tuple[Floats, tuple[str, ...]]:
        """Return what `score` returns, and a note on each window whose answer could not be used."""
        texts = [document.content for document in documents]
        checked_texts([query, *texts])
        call, notes = Call(), list[str]()
        order = waited(self._ordered(query, texts, call, notes), call)
        scores = np.empty(len(texts), np.float32)
        scores[order] = np.arange(len(texts), 0, -1)
        return scores, tuple(notes)

    async def _ordered(self, query: str, texts: Sequence[str], call: Call, notes: list[str]) -> list[int]:
        """Return the documents' positions, the best first."""
        order = list(range(len(texts)))
        if len(texts) < 2:
            return order
        for part in windows(len(texts), self.settings.window, self.settings.step):
            shown = order[part]
            answer = await self._asked(query, [texts[n] for n in shown], call)
            try:
                order[part] = [shown[n] for n in parsed(answer, len(shown))]
            except ValueError as error:
                notes.append(f"places {part.start + 1} to {part.stop} keep their order: {error}")
        return order

    async def _asked(self, query: str, texts: Sequence[str], call: Call) -> str:
        """Return the model's answer on one window; passages are shortened until the model takes them."""
        most = self.settings.passage_tokens
        while True:
            asked = messages(query, [passage(text, most) for text in texts])
            try:
                return await self._answer(asked, len(texts), call)
            except RemoteError as error:
                shorter = int(most * refusals.share_to_keep(error))
                if not refusals.too_large(error) or shorter < 1:
                    raise
                most = shorter

    async def _answer(self, asked: Sequence[Any], count: int, call: Call) -> str:
        warmth = self.settings.temperature
        chosen = {} if warmth is None else {"temperature": warmth}
        body = {"model": self.model, "messages": list(asked), **chosen}
        tokens = sum(estimated_tokens(message["content"]) for message in asked) + count * _ANSWER_TOKENS
        answer = await self.service.post(_PATH, body, tokens, call)
        try:
            content = answer["choices"][0]["message"]["content"]
        except (TypeError, KeyError, IndexError) as error:
            where = f"{self.service.name} at {self.service.base_url}"
            raise RemoteError(f"{where}: the answer has no choices[0].message.content") from error
        return content if isinstance(content, str) else ""  # None: the model refused, or called a tool
