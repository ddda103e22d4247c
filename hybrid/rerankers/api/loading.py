"""From ``provider:model`` to a reranker."""

from __future__ import annotations

from collections.abc import Callable

from hybrid.errors import InputError
from hybrid.remote import Limits, Retries, Secret
from hybrid.remote.opening import open_service
from hybrid.remote.providers import OPENAI
from hybrid.rerankers.api.listwise import ListwiseReranker, Settings
from hybrid.rerankers.api.reranker import ApiReranker
from hybrid.rerankers.api.wire import WIRES
from hybrid.rerankers.pairs import PASSAGES

LANGUAGE_MODELS = OPENAI.name
"""How names begin of language models that order documents."""


def maker_of(name: str) -> Callable[..., ApiReranker | ListwiseReranker] | None:
    """Return the function that connects to what a name means; None if it names no API."""
    provider, colon, model = name.partition(":")
    if not colon or not model.strip():
        return None
    return connect_listwise if provider == LANGUAGE_MODELS else connect if provider in WIRES else None


def connect(
    name: str,
    *,
    base_url: str | None = None,
    api_key: Secret | None = None,
    batch_documents: int | None = None,
    batch_tokens: int | None = None,
    max_tokens: int | None = None,
    passages: int = PASSAGES,
    timeout: float = 60.0,
    retries: Retries | None = None,
    limits: Limits | None = None,
) -> ApiReranker:
    """Return the reranker of ``provider:model``, say ``cohere:rerank-v3.5``; nothing is sent yet.

    ``base_url``: where the API is; without it the environment variable ``<PROVIDER>_RERANK_BASE_URL`` says,
    or ``<PROVIDER>_BASE_URL``, or else it is the provider's own address. ``api_key``: without it, the
    provider's environment variable is read (COHERE_API_KEY or CO_API_KEY, VOYAGE_API_KEY, JINA_API_KEY,
    TEI_API_KEY); another address may need none. ``batch_documents``, ``batch_tokens``, ``max_tokens``,
    ``passages``: see `ApiReranker`.

    Raises:
        EncoderError: no address or no key is known.
        InputError: an option is wrong.
        MissingDependencyError: httpx is not installed.
    """
    provider, _, model = name.partition(":")
    wire = WIRES.get(provider)
    if wire is None or not model.strip():
        raise InputError(f"{name!r} names no API; give provider:model, with one of {', '.join(WIRES)}")
    service = open_service(
        wire.provider,
        base_url=base_url,
        api_key=api_key,
        timeout=timeout,
        retries=retries,
        limits=limits,
        purpose="rerank",
    )
    return ApiReranker(
        model.strip(),
        wire,
        service,
        batch_documents=batch_documents,
        batch_tokens=batch_tokens,
        max_tokens=max_tokens,
        passages=passages,
    )


def connect_listwise(
    name: str,
    *,
    base_url: str | None = None,
    api_key: Secret | None = None,
    window: int = 20,
    step: int = 10,
    passage_tokens: int = 400,
    temperature: float | None = 0.0,
    timeout: float = 60.0,
    retries: Retries | None = None,
    limits: Limits | None = None,
) -> ListwiseReranker:
    """Return the language model of ``openai:model``, which orders documents; nothing is sent yet.

    It may be any model behind ``POST /chat/completions``, of OpenAI or of a server that speaks like it. The
    address and the key are found as `connect` finds them (OPENAI_RERANK_BASE_URL, OPENAI_BASE_URL,
    OPENAI_API_KEY). ``window``, ``step``, ``passage_tokens``, ``temperature``: see `Settings`.

    Raises:
        EncoderError: no key is known.
        InputError: an option is wrong.
        MissingDependencyError: httpx is not installed.
    """
    provider, _, model = name.partition(":")
    if provider != LANGUAGE_MODELS or not model.strip():
        raise InputError(f"{name!r} names no language model; give openai:model")
    settings = Settings(window, step, passage_tokens, temperature)
    service = open_service(
        OPENAI,
        base_url=base_url,
        api_key=api_key,
        timeout=timeout,
        retries=retries,
        limits=limits,
        purpose="rerank",
    )
    return ListwiseReranker(model.strip(), service, settings)
