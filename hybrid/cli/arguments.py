"""Arguments whose text is more than a text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hybrid.errors import FilterError, InputError


def parsed_where(text: str | None) -> Mapping[str, Any] | None:
    """Return the filter that a JSON text holds.

    Raises:
        FilterError: it is not JSON.
        InputError: it is not an object.
    """
    if text is None:
        return None
    try:
        where = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise FilterError(f"--where is not JSON: {error}; write it as '{{\"year\": 2024}}'") from error
    if not isinstance(where, dict):
        raise InputError(f"--where is {text}; a JSON object is needed, such as '{{\"year\": 2024}}'")
    return where
