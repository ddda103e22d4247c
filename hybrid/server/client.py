"""A client whose results are the library's: `hybrid.Result`, `hybrid.Document`, the same errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

import hybrid
from hybrid.errors import InputError, MissingDependencyError, RemoteError
from hybrid.remote import Secret
from hybrid.remote.retrying import Retries, retry_after
from hybrid.server.asking import Request, Requests, search_terms
from hybrid.server.problems import error_of
from hybrid.server.records import (
    read_document,
    read_explanation,
    read_highlights,
    read_result,
    read_stats,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

H = TypeVar("H")

TIMEOUT = 60.0
_AGAIN = (429, 503)
"""What the server answers before it has done anything: the same request may be sent again."""


class _Face(Generic[H]):
    """What both clients are made of: an address, an index, a key, and when to try again."""

    def __init__(
        self,
        url: str,
        index: str,
        *,
        key: Secret | None = None,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
    ) -> None:
        """Take the server's address, the name of an index there, and a key if the server needs one.

        ``timeout``: seconds of one attempt. ``retries``: how often a request is sent again that the server
        refused before it did anything (429 and 503), by default for as long as it says.

        Raises:
            InputError: the address or the key is not accepted.
            MissingDependencyError: httpx is not installed.
        """
        if not url.startswith(("http://", "https://")):
            raise InputError(f"url is {url!r}; give an address such as 'http://127.0.0.1:8080'")
        if key is not None and not isinstance(key, Secret):
            raise InputError(f"key is a {type(key).__name__}; give hybrid.Secret(...)")
        self._url, self._ask = url.rstrip("/"), Requests(index)
        self._retries = retries or Retries()
        headers = {} if key is None else {"authorization": f"Bearer {key.reveal()}"}
        self._http = self._made({"base_url": self._url, "headers": headers, "timeout": timeout})

    def _made(self, options: dict[str, Any]) -> H:
        raise NotImplementedError

    def _read(self, response: httpx.Response) -> Any:
        """Return the JSON of an answer, or raise the error that it tells of."""
        try:
            record = response.json()
        except ValueError as error:
            raise RemoteError(
                f"{self._url} answered with status {response.status_code} and no JSON", response.status_code
            ) from error
        if response.is_success:
            return record
        raise error_of(response.status_code, record if isinstance(record, dict) else {})

    def _wait(self, response: httpx.Response, failures: int) -> float | None:
        """Return how long to wait before the request is sent again, None if it is not."""
        again = response.status_code in _AGAIN
        return self._retries.wait(failures, retry_after(response.headers)) if again else None

    @contextmanager
    def _reached(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.HTTPError as error:
            raise RemoteError(f"{self._url} cannot be reached: {error or type(error).__name__}") from error


class Client(_Face["httpx.Client"]):
    """An index on a server, asked as one on disk is; use it in a ``with`` block, from any threads.

    Errors are the library's; what it has no name for (no key, too much asked) is a `hybrid.RemoteError` with
    the HTTP status.
    """

    def _made(self, options: dict[str, Any]) -> httpx.Client:
        return _httpx().Client(**options)  # type: ignore[no-any-return]

    def _send(self, request: Request) -> Any:
        failures = 0
        while True:
            with self._reached():
                response = self._http.request(**request.arguments())
            failures += 1
            wait = self._wait(response, failures)
            if wait is None:
                return self._read(response)
            time.sleep(wait)

    def search(
        self,
        query: str | hybrid.Query,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branches: Sequence[str] | None = None,
        fusion: hybrid.Fusion | None = None,
        strict: bool = False,
        deadline: float | None = None,
    ) -> hybrid.Result:
        """Return the ``k`` best documents, as `hybrid.HybridIndex.search` does."""
        terms = search_terms(k, where, branches, fusion, strict, deadline)
        return self._result(self._send(self._ask.search(query, terms)), terms)

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branches: Sequence[str] | None = None,
        fusion: hybrid.Fusion | None = None,
        strict: bool = False,
    ) -> list[hybrid.Result]:
        """Search for several queries in one request."""
        terms = search_terms(k, where, branches, fusion, strict, None)
        records = self._send(self._ask.search_many(queries, terms))["results"]
        return [self._result(record, terms) for record in records]

    def _result(self, record: Mapping[str, Any], terms: Mapping[str, Any]) -> hybrid.Result:
        query = record["query"]

        def explain(id: str) -> hybrid.Explanation:
            return read_explanation(self._send(self._ask.explain(query, id, terms)))

        def highlight(text: str) -> list[tuple[int, int]]:
            again = self._send(self._ask.search(query, {**terms, "highlights": True}))
            return read_highlights(again, text)

        return read_result(record, explain, highlight)

    def explain(
        self, query: str, id: str, k: int = 10, where: Mapping[str, Any] | None = None
    ) -> hybrid.Explanation:
        """Explain where a document ranks for a query."""
        terms = search_terms(k, where, None, None, False, None)
        return read_explanation(self._send(self._ask.explain(query, id, terms)))

    def get(self, id: str) -> hybrid.Document:
        """Return a document by its id.

        Raises:
            NotFoundError: there is none.
        """
        return read_document(self._send(self._ask.get(id))["documents"][0])

    def add(self, documents: Iterable[hybrid.Document]) -> int:
        """Add documents in one atomic commit; return how many."""
        return int(self._send(self._ask.write("POST", documents))["changed"])

    def update(self, documents: Iterable[hybrid.Document]) -> int:
        """Add documents, replacing those of the same ids, in one atomic commit; return how many."""
        return int(self._send(self._ask.write("PUT", documents))["changed"])

    def delete(self, ids: Iterable[str], *, missing_ok: bool = False) -> int:
        """Delete documents in one atomic commit; return how many were there."""
        return int(self._send(self._ask.delete(ids, missing_ok))["changed"])

    def stats(self) -> hybrid.Stats:
        """Return the index's figures."""
        return read_stats(self._send(self._ask.stats()))

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(_Face["httpx.AsyncClient"]):
    """`Client` for event loops; use it in an ``async with`` block.

    A result's ``explain`` and ``highlights`` would hold up the loop and are refused; await `explain` here.
    """

    def _made(self, options: dict[str, Any]) -> httpx.AsyncClient:
        return _httpx().AsyncClient(**options)  # type: ignore[no-any-return]

    async def _send(self, request: Request) -> Any:
        failures = 0
        while True:
            with self._reached():
                response = await self._http.request(**request.arguments())
            failures += 1
            wait = self._wait(response, failures)
            if wait is None:
                return self._read(response)
            await asyncio.sleep(wait)

    async def search(
        self,
        query: str | hybrid.Query,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branches: Sequence[str] | None = None,
        fusion: hybrid.Fusion | None = None,
        strict: bool = False,
        deadline: float | None = None,
    ) -> hybrid.Result:
        """Return the ``k`` best documents, as `hybrid.HybridIndex.asearch` does."""
        terms = search_terms(k, where, branches, fusion, strict, deadline)
        return read_result(await self._send(self._ask.search(query, terms)), _not_here, _not_here)

    async def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branches: Sequence[str] | None = None,
        fusion: hybrid.Fusion | None = None,
        strict: bool = False,
    ) -> list[hybrid.Result]:
        """Search for several queries in one request."""
        terms = search_terms(k, where, branches, fusion, strict, None)
        records = (await self._send(self._ask.search_many(queries, terms)))["results"]
        return [read_result(record, _not_here, _not_here) for record in records]

    async def explain(
        self, query: str, id: str, k: int = 10, where: Mapping[str, Any] | None = None
    ) -> hybrid.Explanation:
        """Explain where a document ranks for a query."""
        terms = search_terms(k, where, None, None, False, None)
        return read_explanation(await self._send(self._ask.explain(query, id, terms)))

    async def get(self, id: str) -> hybrid.Document:
        """Return a document by its id."""
        return read_document((await self._send(self._ask.get(id)))["documents"][0])

    async def add(self, documents: Iterable[hybrid.Document]) -> int:
        """Add documents in one atomic commit; return how many."""
        return int((await self._send(self._ask.write("POST", documents)))["changed"])

    async def update(self, documents: Iterable[hybrid.Document]) -> int:
        """Add documents, replacing those of the same ids, in one atomic commit; return how many."""
        return int((await self._send(self._ask.write("PUT", documents)))["changed"])

    async def delete(self, ids: Iterable[str], *, missing_ok: bool = False) -> int:
        """Delete documents in one atomic commit; return how many were there."""
        return int((await self._send(self._ask.delete(ids, missing_ok)))["changed"])

    async def stats(self) -> hybrid.Stats:
        """Return the index's figures."""
        return read_stats(await self._send(self._ask.stats()))

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _not_here(what: str) -> NoReturn:
    raise InputError(
        "this result came by an AsyncClient, and would hold up the loop: await client.explain(query, id)"
    )


def _httpx() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise MissingDependencyError("httpx", "api") from error
    return httpx
