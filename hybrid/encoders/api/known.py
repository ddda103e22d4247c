"""Dimensions of models behind APIs, as their providers state them; of others the first answer tells."""

from __future__ import annotations

from collections.abc import Mapping

DIMENSIONS: Mapping[str, int] = {
    "openai:text-embedding-3-small": 1536,
    "openai:text-embedding-3-large": 3072,
    "openai:text-embedding-ada-002": 1536,
    "cohere:embed-v4.0": 1536,
    "cohere:embed-english-v3.0": 1024,
    "cohere:embed-multilingual-v3.0": 1024,
    "cohere:embed-english-light-v3.0": 384,
    "cohere:embed-multilingual-light-v3.0": 384,
    "voyage:voyage-3.5": 1024,
    "voyage:voyage-3.5-lite": 1024,
    "voyage:voyage-3-large": 1024,
    "voyage:voyage-code-3": 1024,
    "voyage:voyage-finance-2": 1024,
    "voyage:voyage-law-2": 1024,
    "jina:jina-embeddings-v4": 2048,
    "jina:jina-embeddings-v3": 1024,
    "jina:jina-embeddings-v2-base-en": 768,
    "jina:jina-embeddings-v2-base-de": 768,
    "jina:jina-embeddings-v2-base-es": 768,
    "jina:jina-embeddings-v2-base-zh": 768,
    "jina:jina-embeddings-v2-base-code": 768,
    "jina:jina-clip-v2": 1024,
}
"""What a model gives unless asked for another dimension."""
