"""Clients whose results are the library's: `hybrid.Result`, `hybrid.Document`, the same errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, Unpack

import hybrid
from hybrid.engine.pages import following
from hybrid.errors import InputError
from hybrid.server.asking import Call, ManyTerms, Missing, PageTerms, SearchTerms, Variant
from hybrid.server.session import Session, httpx_module

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class Client(Session["httpx.Client"]):
    """An index on a server, asked as one on disk is; use it in a ``with`` block, from any threads.

    Errors are the library's; what it has no name for (no key, too much asked) is a `hybrid.RemoteError` with
    the HTTP status.
    """

    def _made(self, options: dict[str, Any]) -> httpx.Client:
        return httpx_module().Client(**options)  # type: ignore[no-any-return]

    def _done(self, call: Call[T]) -> T:
        arguments, failures = call.request.arguments(), 0
        while True:
            with self._reached():
                response = self._http.request(**arguments)
            failures += 1
            if (wait := self._wait(response, failures)) is None:
                return self._read(call, response)
            time.sleep(wait)

    def _follow(self, call: Call[Any]) -> Any:
        return self._done(call)

    def search(
        self,
        query: str | hybrid.Query,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        **terms: Unpack[SearchTerms],
    ) -> hybrid.Result:
        """Return the ``k`` best documents, or with a cursor the next, as `hybrid.HybridIndex.search` does.

        A result has a cursor if ``pages=True`` asks for it.
        """
        return self._done(self._calls.search(query, k, where, **terms))

    def pages(
        self,
        query: str | hybrid.Query,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        **terms: Unpack[PageTerms],
    ) -> Iterator[hybrid.Result]:
        """Iterate over results of ``k`` hits each, from one generation, until all found were seen."""
        return following(lambda cursor: self.search(query, k, where, **terms, cursor=cursor, pages=True))

    def search_many(
        self,
        queries: Sequence[str | hybrid.Query],
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        **terms: Unpack[ManyTerms],
    ) -> list[hybrid.Result]:
        """Search for several queries in one request."""
        return self._done(self._calls.search_many(queries, k, where, **terms))

    def explain(
        self,
        query: str | hybrid.Query,
        id: str,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        **terms: Unpack[Variant],
    ) -> hybrid.Explanation:
        """Explain where a document ranks for a query."""
        return self._done(self._calls.explain(query, id, k, where, **terms))

    def get(self, id: str) -> hybrid.Document:
        """Return a document by its id.

        Raises:
            NotFoundError: there is none.
        """
        return self._done(self._calls.get(id))

    def version(self, id: str) -> int:
        """Return the version of a document, for ``if_version``; ask for it before you read the document.

        Raises:
            NotFoundError: there is no such document.
        """
        return self._done(self._calls.version(id))

    def add(self, documents: Iterable[hybrid.Document]) -> int:
        """Add documents in one atomic commit; return how many."""
        return self._done(self._calls.add(documents))

    def update(
        self,
        documents: Iterable[hybrid.Document],
        *,
        if_version: Mapping[str, int | None] | None = None,
    ) -> int:
        """Add documents, replacing those of the same ids, in one atomic commit; return how many.

        Raises:
            ConflictError: a document has another version than ``if_version`` says; nothing was changed.
        """
        return self._done(self._calls.update(documents, if_version))

    def delete(
        self,
        ids: Iterable[str] | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        missing: Missing = "error",
        if_version: Mapping[str, int | None] | None = None,
    ) -> int:
        """Delete documents in one atomic commit, by id or by filter; return how many.

        Raises:
            NotFoundError: an id is not there, unless ``missing`` is "ignore".
            ConflictError: a document has another version than ``if_version`` says; nothing was changed.
        """
        return self._done(self._calls.delete(ids, where, missing, if_version))

    def stats(self) -> hybrid.Stats:
        """Return the index's figures."""
        return self._done(self._calls.stats())

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(Session["httpx.AsyncClient"]):
    """`Client` for event loops; use it in an ``async with`` block.

    A result's ``explain`` and ``highlights`` would hold up the loop and are refused; await `explain` here.
    """

    def _made(self, options: dict[str, Any]) -> httpx.AsyncClient:
        return httpx_module().AsyncClient(**options)  # type: ignore[no-any-return]

    async def _done(self, call: Call[T]) -> T:
        arguments, failures = call.request.arguments(), 0
        while True:
            with self._reached():
                response = await self._http.request(**arguments)
            failures += 1
            if (wait := self._wait(response, failures)) is None:
                return self._read(call, response)
            await asyncio.sleep(wait)

    def _follow(self, call: Call[Any]) -> NoReturn:
        raise InputError(
            "this result came by an AsyncClient, and would hold up the loop: await client.explain(query, id)"
        )

    async def search(
        self,
        query: str | hybrid.Query,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        **terms: Unpack[SearchTerms],
    ) -> hybrid.Result:
        """Return the ``k`` best documents, or with a cursor the next, as `hybrid.HybridIndex.search` does.

        A result has a cursor if ``pages=True`` asks for it.
        """
        return await self._done(self._calls.search(query, k, where, **terms))

    async def pages(
        self,
        query: str | hybrid.Query,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        **terms: Unpack[PageTerms],
    ) -> AsyncIterator[hybrid.Result]:
        """Iterate over results of ``k`` hits each, from one generation, until all found were seen."""
        cursor: str | None = None
        while True:
            result = await self.search(query, k, where, **terms, cursor=cursor, pages=True)
            if result or cursor is None:
                yield result
            if (cursor := result.cursor) is None:
                return

    async def search_many(
        self,
        queries: Sequence[str | hybrid.Query],
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        **terms: Unpack[ManyTerms],
    ) -> list[hybrid.Result]:
        """Search for several queries in one request."""
        return await self._done(self._calls.search_many(queries, k, where, **terms))

    async def explain(
        self,
        query: str | hybrid.Query,
        id: str,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        **terms: Unpack[Variant],
    ) -> hybrid.Explanation:
        """Explain where a document ranks for a query."""
        return await self._done(self._calls.explain(query, id, k, where, **terms))

    async def get(self, id: str) -> hybrid.Document:
        """Return a document by its id.

        Raises:
            NotFoundError: there is none.
        """
        return await self._done(self._calls.get(id))

    async def version(self, id: str) -> int:
        """Return the version of a document, for ``if_version``; ask for it before you read the document.

        Raises:
            NotFoundError: there is no such document.
        """
        return await self._done(self._calls.version(id))

    async def add(self, documents: Iterable[hybrid.Document]) -> int:
        """Add documents in one atomic commit; return how many."""
        return await self._done(self._calls.add(documents))

    async def update(
        self,
        documents: Iterable[hybrid.Document],
        *,
        if_version: Mapping[str, int | None] | None = None,
    ) -> int:
        """Add documents, replacing those of the same ids, in one atomic commit; return how many.

        Raises:
            ConflictError: a document has another version than ``if_version`` says; nothing was changed.
        """
        return await self._done(self._calls.update(documents, if_version))

    async def delete(
        self,
        ids: Iterable[str] | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        missing: Missing = "error",
        if_version: Mapping[str, int | None] | None = None,
    ) -> int:
        """Delete documents in one atomic commit, by id or by filter; return how many.

        Raises:
            NotFoundError: an id is not there, unless ``missing`` is "ignore".
            ConflictError: a document has another version than ``if_version`` says; nothing was changed.
        """
        return await self._done(self._calls.delete(ids, where, missing, if_version))

    async def stats(self) -> hybrid.Stats:
        """Return the index's figures."""
        return await self._done(self._calls.stats())

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
