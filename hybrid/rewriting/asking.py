"""From a rewriter to the language model that it names."""

from __future__ import annotations

import os
from collections.abc import Hashable
from functools import lru_cache
from typing import cast

from hybrid.remote.chat import Chat
from hybrid.remote.opening import open_service
from hybrid.remote.providers import OPENAI
from hybrid.rewriting.rewriters import Rewriter

_ANSWER = 512
"""How many tokens a model may answer."""


_VARIABLES = ("OPENAI_REWRITE_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_KEY")


def chat_of(rewriter: Rewriter) -> Chat:
    """Return the language model of a rewriter; the same connections each time, nothing is sent yet.

    The address is the rewriter's, else OPENAI_REWRITE_BASE_URL, OPENAI_BASE_URL or OpenAI's own; the key is
    OPENAI_API_KEY.

    Raises:
        EncoderError: no key is known.
        MissingDependencyError: httpx is not installed.
    """
    return _opened(cast("Hashable", rewriter), tuple(map(os.environ.get, _VARIABLES)))


@lru_cache(maxsize=16)
def _opened(known: Hashable, environment: tuple[str | None, ...]) -> Chat:
    rewriter = cast("Rewriter", known)
    model = rewriter.model.partition(":")[2]
    service = open_service(
        OPENAI,
        base_url=rewriter.base_url,
        api_key=None,
        timeout=rewriter.timeout,
        retries=None,
        limits=None,
        purpose="rewrite",
    )
    return Chat(model.strip(), service, temperature=0.0, most=_ANSWER)
