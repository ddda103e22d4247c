"""What is asked of an index besides the query; what other libraries' retrievers are configured with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from hybrid.engine import HybridIndex, Result
from hybrid.errors import InputError
from hybrid.fusion import Fusion
from hybrid.types import Query


@dataclass(frozen=True, slots=True)
class Asking:
    """The arguments of `HybridIndex.search`, which says what they mean."""

    k: int = 10
    where: Mapping[str, Any] | None = None
    branches: Sequence[str] | None = None
    fusion: Fusion | None = None
    strict: bool = False
    deadline: float | None = None

    def but(self, changes: Mapping[str, Any]) -> Asking:
        """Return the same with some arguments changed.

        Raises:
            InputError: there is no such argument.
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise InputError(f"{name!r} is no argument of a search; accepted: {', '.join(known)}")
        return replace(self, **changes)

    def search(self, index: HybridIndex, query: str | Query) -> Result:
        """Search."""
        return index.search(query, self.k, self.where, **self._others(), deadline=self.deadline)

    async def asearch(self, index: HybridIndex, query: str | Query) -> Result:
        """Search without holding up the event loop."""
        return await index.asearch(query, self.k, self.where, **self._others(), deadline=self.deadline)

    def search_many(self, index: HybridIndex, queries: Sequence[str | Query]) -> list[Result]:
        """Search for many queries at once; there must be no deadline, which is one query's."""
        return index.search_many(queries, self.k, self.where, **self._others())

    async def asearch_many(self, index: HybridIndex, queries: Sequence[str | Query]) -> list[Result]:
        """Do what `search_many` does without holding up the event loop."""
        return await index.asearch_many(queries, self.k, self.where, **self._others())

    def _others(self) -> dict[str, Any]:
        return {"branches": self.branches, "fusion": self.fusion, "strict": self.strict}
