"""Encoders behind an API: OpenAI and what is compatible with it, Cohere, Voyage, Jina, TEI."""

from hybrid.encoders.api.encoder import ApiEncoder
from hybrid.encoders.api.loading import connect, provider_of

__all__ = ["ApiEncoder", "connect", "provider_of"]
