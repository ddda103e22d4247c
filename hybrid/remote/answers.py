"""What services answer, checked."""

from __future__ import annotations

from typing import Any, TypeAlias

from hybrid.errors import RemoteError

JSONObject: TypeAlias = dict[str, Any]


def by_index(answer: Any, where: str, what: str, count: int) -> list[Any]:
    """Return one field of each object in a list, ordered by the objects' ``index``.

    Raises:
        RemoteError: there is not exactly one for each of 0 to ``count`` - 1.
    """
    found = answer.get(where) if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(isinstance(item, dict) and what in item for item in found):
        raise RemoteError(f"the answer has no list {where!r} of objects with {what!r}")
    places = [item.get("index") for item in found]
    if len(places) != count:
        raise RemoteError(f"the answer has {len(places)} of {what!r} for {count} texts")
    ordered: list[Any] = [None] * count
    seen: set[int] = set()
    for place, item in zip(places, found, strict=True):
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < count or place in seen:
            raise RemoteError(
                f"the answer has the index {place!r}; each of 0 to {count - 1} must be there once"
            )
        seen.add(place)
        ordered[place] = item[what]
    return ordered
