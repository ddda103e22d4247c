"""Ways of rewriting a query, as values of the pipeline."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from hybrid.errors import PipelineError, RemoteError

Ask = Callable[[str, str], str]
"""Asks a language model: an instruction and a text, and its answer."""

_NEUTRAL = {"neutral": True}
_MARK = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):])\s*")
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What stands for a query: texts of queries and of documents, each with its share; shares sum to 1."""

    queries: tuple[tuple[str, float], ...]
    documents: tuple[tuple[str, float], ...] = ()


class Rewriter(Protocol):
    """A way of rewriting, as a value; ``model`` is ``openai:NAME``, ``base_url`` where it is if not there."""

    kind: ClassVar[str]

    @property
    def model(self) -> str:
        """The language model."""
        ...

    @property
    def base_url(self) -> str | None:
        """Where it is; None for what the environment says."""
        ...

    @property
    def timeout(self) -> float:
        """How many seconds an attempt may take."""
        ...

    def rewritten(self, query: str, ask: Ask) -> Rewritten:
        """Return what stands for a query.

        Raises:
            RemoteError: the model could not be asked, or its answer cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class HyDE:
    """A passage that would answer the query is searched with it (Gao, Ma, Lin and Callan 2023).

    A language model writes it. Dense branches search for the weighted mean of the vectors of the query (as a
    query) and of the passage (as a document), BM25 for the terms of both. Other branches see the query alone.

    ``model``: ``openai:NAME``, any model behind ``POST /chat/completions``. ``share``: what the written
    passage counts, from 0 to 1; the query counts the rest. ``instruction``: what the model is told.
    """

    model: str
    share: float = 0.5
    instruction: str = (
        "Write one short passage of a document that answers the question. Answer with it alone."
    )
    base_url: str | None = None
    timeout: float = field(default=20.0, metadata=_NEUTRAL)

    kind: ClassVar[str] = "hyde"

    def __post_init__(self) -> None:
        _check(self)
        if not _number(self.share) or not 0 <= self.share <= 1:
            raise PipelineError(f"share is {self.share!r}; give a number from 0 to 1")

    def rewritten(self, query: str, ask: Ask) -> Rewritten:
        """Return the query, and the passage that the model writes."""
        passage = ask(self.instruction, query).strip()[:_LONGEST]
        return Rewritten(((query, 1 - self.share),), ((passage, self.share),))


@dataclass(frozen=True, slots=True)
class MultiQuery:
    """Other ways of asking are searched with the query: a document's score is the mean over all of them.

    A language model words them. Dense branches search for the mean of the vectors, which gives the mean of
    the scores; BM25 for the terms of all. Other branches see the query alone.

    ``count``: how many are asked for. The rest is as of `HyDE`.
    """

    model: str
    count: int = 3
    instruction: str = (
        "Word the search query in {count} other ways that a document which answers it may use. Answer with "
        "one a line, without numbers or comments."
    )
    base_url: str | None = None
    timeout: float = field(default=20.0, metadata=_NEUTRAL)

    kind: ClassVar[str] = "multi_query"

    def __post_init__(self) -> None:
        _check(self)
        if not isinstance(self.count, int) or isinstance(self.count, bool) or not 1 <= self.count <= 20:
            raise PipelineError(f"count is {self.count!r}; give a whole number from 1 to 20")

    def rewritten(self, query: str, ask: Ask) -> Rewritten:
        """Return the query, and what the model words in its place, each once."""
        answer = ask(self.instruction.replace("{count}", str(self.count)), query)
        lines = (_MARK.sub("", line).strip()[:_LONGEST] for line in answer.splitlines())
        texts = [*dict.fromkeys(line for line in lines if line and line != query)][: self.count]
        if not texts:
            raise RemoteError(f"{self.model} worded no other query: it answered {answer.strip()[:80]!r}")
        return Rewritten(tuple((text, 1 / (len(texts) + 1)) for text in (query, *texts)))


REWRITERS: dict[str, type[HyDE] | type[MultiQuery]] = {each.kind: each for each in (HyDE, MultiQuery)}
"""By the name that a recipe calls them."""


def _check(rewriter: Any) -> None:
    provider, _, model = rewriter.model.partition(":") if isinstance(rewriter.model, str) else ("", "", "")
    if provider != "openai" or not model.strip():
        raise PipelineError(f"model is {rewriter.model!r}; give openai:NAME, a model behind chat/completions")
    if not isinstance(rewriter.instruction, str) or not rewriter.instruction.strip():
        raise PipelineError(f"instruction is {rewriter.instruction!r}; say what the model is to write")
    if rewriter.base_url is not None and (not isinstance(rewriter.base_url, str) or not rewriter.base_url):
        raise PipelineError(f"base_url is {rewriter.base_url!r}; give an address, or None")
    if not _number(rewriter.timeout) or not rewriter.timeout > 0:
        raise PipelineError(f"timeout is {rewriter.timeout!r}; give a number of seconds above 0")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
