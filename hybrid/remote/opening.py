"""From a provider to its service: where it is, and which key goes along."""

from __future__ import annotations

import os

from hybrid.errors import EncoderError
from hybrid.remote.limiter import Limits
from hybrid.remote.providers import Provider
from hybrid.remote.retrying import Retries
from hybrid.remote.secrets import Secret, checked_secret
from hybrid.remote.service import Service


def open_service(
    provider: Provider,
    *,
    base_url: str | None,
    api_key: Secret | None,
    timeout: float,
    retries: Retries | None,
    limits: Limits | None,
    purpose: str = "",
) -> Service:
    """Return the service of a provider, with its address and its key.

    Without ``base_url``, the environment variable ``<PROVIDER>_<PURPOSE>_BASE_URL`` says where it is, or
    ``<PROVIDER>_BASE_URL``, or else it is the provider's own address.

    Raises:
        EncoderError: no address or no key is known.
    """
    variables = [f"{provider.name}_{purpose}_base_url".upper()] if purpose else []
    variables.append(f"{provider.name}_base_url".upper())
    told = (os.environ.get(variable, "").strip() for variable in variables)
    url = base_url or next(filter(None, told), provider.url)
    if not url:
        raise EncoderError(f"nothing says where {provider.name} is; give base_url=, or set {variables[0]}")
    key, source = api_key, "handed in as api_key"
    for name in provider.key_variables:
        if key is None:
            key, source = checked_secret(None, "api_key", name), f"from {name}"
    checked_secret(key, "api_key", provider.key_variables[0])
    if key is None and url == provider.url:
        raise EncoderError(
            f"no key for {provider.name}; set the environment variable {provider.key_variables[0]}, or give "
            "api_key=hybrid.Secret(...)"
        )
    return Service(
        provider.name,
        url,
        key=key,
        key_from=f"the key is {source}" if key else "no key was given",
        timeout=timeout,
        retries=retries,
        limits=limits,
    )
