"""Requests that a service refuses because they, or a text in them, are too long."""

from __future__ import annotations

import re

from hybrid.errors import RemoteError

STATUSES = frozenset({400, 413, 422})
"""What services answer to such requests, and to others that are wrong."""

CUTS = 40
"""How often a text is shortened before its refusal is final."""

_LONG = ("token", "too long", "length", "too large", "batch size", "context")
_NUMBERS = re.compile(r"\b\d{2,7}\b")


def too_large(error: RemoteError) -> bool:
    """Return whether an error says that a request, or a text in it, was too long."""
    return error.status in STATUSES and any(mark in str(error).lower() for mark in _LONG)


def share_to_keep(error: RemoteError) -> float:
    """Return how much to keep of a text that was refused: by the numbers in the message, or 3/4.

    >>> said = "maximum context length is 8192 tokens, however you requested 16384 tokens"
    >>> share_to_keep(RemoteError(f"openai at http://localhost:1234 answered 400: {said}", status=400))
    0.49
    """
    said = str(error).rpartition(f" answered {error.status}: ")[2]
    numbers = [int(number) for number in _NUMBERS.findall(said)]
    small, large = (min(numbers), max(numbers)) if len(numbers) > 1 else (3, 4)
    share = 0.98 * small / large
    return share if 0.05 <= share <= 0.95 else 0.75
