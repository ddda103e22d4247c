"""From ``provider:model`` to an encoder."""

from __future__ import annotations

from hybrid.encoders.api.encoder import ApiEncoder
from hybrid.encoders.api.known import DIMENSIONS
from hybrid.encoders.api.wire import WIRES, Encoding, Wire, with_encoding
from hybrid.encoders.families import find
from hybrid.errors import InputError
from hybrid.remote import Limits, Retries, Secret
from hybrid.remote.opening import open_service
from hybrid.remote.providers import OPENAI, TEI


def provider_of(name: str) -> Wire | None:
    """Return the wire format that a name begins with, or None."""
    provider, colon, model = name.partition(":")
    return WIRES.get(provider) if colon and model.strip() else None


def connect(
    name: str,
    *,
    base_url: str | None = None,
    api_key: Secret | None = None,
    dimension: int | None = None,
    query_prefix: str | None = None,
    document_prefix: str | None = None,
    max_tokens: int | None = None,
    family: str | None = None,
    encoding: Encoding = "base64",
    batch_texts: int | None = None,
    batch_tokens: int | None = None,
    timeout: float = 60.0,
    retries: Retries | None = None,
    limits: Limits | None = None,
) -> ApiEncoder:
    """Return the encoder of ``provider:model``, say ``openai:text-embedding-3-small``; nothing is sent yet.

    ``base_url``: where the API is; without it the environment variable ``<PROVIDER>_BASE_URL`` says, or else
    it is the provider's own address. ``api_key``: without it, the provider's environment variable is read
    (OPENAI_API_KEY, COHERE_API_KEY or CO_API_KEY, VOYAGE_API_KEY, JINA_API_KEY, TEI_API_KEY); another address
    may need none. ``dimension``: asked for, of models that have several. ``query_prefix``,
    ``document_prefix``: what stands before each text; for ``openai:`` and ``tei:`` they are those of the
    known model of that name, or of ``family``. ``max_tokens``: see `ApiEncoder`.

    Raises:
        EncoderError: no address or no key is known.
        InputError: an option is wrong.
        MissingDependencyError: httpx is not installed.
    """
    wire = provider_of(name)
    if wire is None:
        raise InputError(f"{name!r} names no API; give provider:model, with one of {', '.join(WIRES)}")
    if encoding not in {"base64", "float"}:
        raise InputError(f"encoding is {encoding!r}; accepted: 'base64', 'float'")
    model = name.partition(":")[2].strip()
    before = _prefixes(wire, model, family)
    service = open_service(
        wire.provider,
        base_url=base_url,
        api_key=api_key,
        timeout=timeout,
        retries=retries,
        limits=limits,
    )
    return ApiEncoder(
        model,
        with_encoding(wire, encoding),
        service,
        dimension=dimension,
        known_dimension=DIMENSIONS.get(name) if service.base_url == wire.provider.url else None,
        query_prefix=before[0] if query_prefix is None else query_prefix,
        document_prefix=before[1] if document_prefix is None else document_prefix,
        max_tokens=max_tokens,
        batch_texts=batch_texts,
        batch_tokens=batch_tokens,
    )


def _prefixes(wire: Wire, model: str, family: str | None) -> tuple[str, str]:
    """Return what stands before queries and documents, where the API knows no sides and the model does."""
    known = find(family or model) if family or wire.provider in {OPENAI, TEI} else None
    if family is not None and known is None:
        raise InputError(
            f"family is {family!r}, which is not among the known models; docs/models.md lists them"
        )
    return (known.query_prefix, known.document_prefix) if known else ("", "")
