"""What an index knows of a hit, as JSON values beside the metadata that the user gave."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

from hybrid.engine import Hit, Result
from hybrid.errors import InputError

KEY = "hybrid"
"""The metadata key that details stand under unless the user chooses another."""

Content: TypeAlias = Literal["text", "content", "passage"]
"""What of a hit is its text: that alone, the title before it, or the best passage."""


def details(result: Result, hit: Hit) -> dict[str, Any]:
    """Return rank, score, every branch's and stage's score, and how the result came about.

    ``gap`` is None where it is not known (`Result`). A title and passages are there if the hit has them.
    """
    found: dict[str, Any] = {
        "rank": hit.rank,
        "score": hit.score,
        "scores": dict(hit.scores),
        "exact": result.exact,
        "gap": result.gap if math.isfinite(result.gap) else None,
        "degraded": list(result.degraded),
        "notes": {name: list(notes) for name, notes in result.notes.items()},
        "generation": result.generation,
    }
    if hit.title:
        found["title"] = hit.title
    if hit.passages:
        found["passages"] = [
            {"text": p.text, "start": p.start, "end": p.end, "headings": list(p.headings), "score": p.score}
            for p in hit.passages
        ]
    return found


def beside(
    metadata: Mapping[str, Any], found: Mapping[str, Any], key: str | None, whose: str
) -> dict[str, Any]:
    """Return metadata with details under a key, which must be free; with no key, the metadata alone.

    Raises:
        InputError: the document has metadata of its own under the key.
    """
    if key is None:
        return dict(metadata)
    if key in metadata:
        raise InputError(
            f"document {whose!r} has metadata of its own under {key!r}, where details of the search would "
            "go; choose another key with details='…', or None for no details"
        )
    return {**metadata, key: dict(found)}


def text_of(hit: Hit, content: Content) -> str:
    """Return what of a hit is its text.

    Raises:
        InputError: there is no such choice.
    """
    match content:
        case "text":
            return hit.text
        case "content":
            return f"{hit.title} {hit.text}".strip() if hit.title else hit.text
        case "passage":
            return hit.passages[0].text if hit.passages else hit.text
    raise InputError(f"content is {content!r}; accepted: {', '.join(get_args(Content))}")
