"""From ``provider:model`` to a reranker."""

from __future__ import annotations

from hybrid.errors import InputError
from hybrid.remote import Limits, Retries, Secret
from hybrid.remote.opening import open_service
from hybrid.rerankers.api.reranker import ApiReranker
from hybrid.rerankers.api.wire import WIRES, Wire


def provider_of(name: str) -> Wire | None:
    """Return the wire format that a name begins with, or None."""
    provider, colon, model = name.partition(":")
    return WIRES.get(provider) if colon and model.strip() else None


def connect(
    name: str,
    *,
    base_url: str | None = None,
    api_key: Secret | None = None,
    batch_documents: int | None = None,
    batch_tokens: int | None = None,
    timeout: float = 60.0,
    retries: Retries | None = None,
    limits: Limits | None = None,
) -> ApiReranker:
    """Return the reranker of ``provider:model``, say ``cohere:rerank-v3.5``; nothing is sent yet.

    ``base_url``: where the API is; without it the environment variable ``<PROVIDER>_RERANK_BASE_URL`` says,
    or ``<PROVIDER>_BASE_URL``, or else it is the provider's own address. ``api_key``: without it, the
    provider's environment variable is read (COHERE_API_KEY or CO_API_KEY, VOYAGE_API_KEY, JINA_API_KEY,
    TEI_API_KEY); another address may need none. ``batch_documents``, ``batch_tokens``: see `ApiReranker`.

    Raises:
        EncoderError: no address or no key is known.
        InputError: an option is wrong.
        MissingDependencyError: httpx is not installed.
    """
    wire = provider_of(name)
    if wire is None:
        raise InputError(f"{name!r} names no API; give provider:model, with one of {', '.join(WIRES)}")
    service = open_service(
        wire.provider,
        wire.default_url,
        wire.key_variables,
        base_url=base_url,
        api_key=api_key,
        timeout=timeout,
        retries=retries,
        limits=limits,
        purpose="rerank",
    )
    model = name.partition(":")[2].strip()
    return ApiReranker(model, wire, service, batch_documents=batch_documents, batch_tokens=batch_tokens)
