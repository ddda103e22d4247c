"""JSON over HTTP to one service: bounded, patient, and never telling its key.

How failures are handled:

| failure | what happens |
|---|---|
| 429, 408, 409, 425, 5xx | sent again, with back-off, or after Retry-After (then all requests wait) |
| 429 that says the quota is spent | raised at once: waiting does not help |
| Retry-After beyond `Retries.patience` | raised at once, with the time asked for |
| 401, 403 (wrong or revoked key) | raised at once; says where the key came from |
| other 4xx | raised at once, with what the service says |
| 3xx | raised at once: following it would take the key along |
| refused, reset, or cut before the end of the answer | sent again |
| no complete answer within ``timeout`` seconds (a slow drip too) | sent again |
| not JSON, cut off, or cannot be unpacked (gzip) | sent again |

What was sent again as often as `Retries.attempts` says raises a `RemoteError` that names the last failure.
httpx is used rather than the standard library: pooled connections, proxies, compressed answers, and requests
that can be cancelled wherever they are, so that ``timeout`` bounds an attempt as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import weakref
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from hybrid.errors import InputError, MissingDependencyError, RemoteError
from hybrid.forking import renewed_after_fork
from hybrid.remote import loop
from hybrid.remote.limiter import Limiter, Limits
from hybrid.remote.retrying import LASTING, PASSING, Retries, retry_after
from hybrid.remote.secrets import Secret
from hybrid.threads import when_abandoned

T = TypeVar("T")

_CONNECT = 10.0
_SHOWN = 300


class Call:
    """Requests that belong together: when one has failed for good, the others are not tried any more."""

    def __init__(self) -> None:
        self._halted = asyncio.Event()
        self.error: BaseException | None = None

    @property
    def halted(self) -> bool:
        """Whether one has failed."""
        return self._halted.is_set()

    def halt(self, error: BaseException) -> None:
        """Send no further request; those under way may end. To be called in the loop of requests."""
        self.error = self.error or error
        self._halted.set()

    async def sleep(self, seconds: float) -> None:
        """Wait so long, or until ``halt``."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._halted.wait(), seconds)


def waited(work: Coroutine[Any, Any, T], call: Call) -> T:
    """Run requests of a call in the process's loop, and wait for what they give.

    When the thread is interrupted, or nobody waits for what it does any more
    (`hybrid.threads.when_abandoned`), nothing more is sent.
    """

    def halt(error: BaseException) -> None:
        loop.running_loop().call_soon_threadsafe(call.halt, error)

    future = loop.submit(work)
    with when_abandoned(lambda: halt(TimeoutError("nobody waits for the answer any more"))):
        try:
            return future.result()
        except BaseException as error:
            halt(error)
            raise


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an attempt failed: the error to raise in the end, and whether and when to try again."""

    error: RemoteError
    passing: bool
    asked: float | None = None


class Service:
    """One service; may be used from several threads. ``close`` (or ``with``) ends its connections."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        key: Secret | None = None,
        key_from: str = "",
        timeout: float = 60.0,
        retries: Retries | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Take the service's address; nothing is sent yet.

        ``key`` goes along as a bearer token; ``key_from`` says in errors where it comes from. ``timeout``:
        seconds for one attempt, from connecting to the last byte.

        Raises:
            InputError: the address is not one of http or https, or holds a password or a query; the timeout
                is not above 0.
            MissingDependencyError: httpx is not installed.
        """
        try:
            import httpx
        except ImportError as error:
            raise MissingDependencyError("httpx", "api") from error
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < 1e6:
            raise InputError(f"timeout is {timeout!r}; give a number of seconds above 0")
        self.name, self.base_url = name, checked_url(base_url)
        self._key, self._key_from, self._timeout = key, key_from, float(timeout)
        self._retries, self._limits = retries or Retries(), limits or Limits()
        self._httpx = httpx
        self._limiter = Limiter(self._limits)
        self._connect()
        renewed_after_fork(self)

    def _connect(self) -> None:
        """Make the client, which connects when it is used."""
        headers = {"Authorization": f"Bearer {self._key.reveal()}"} if self._key else {}
        timeout = self._httpx.Timeout(self._timeout, connect=min(_CONNECT, self._timeout), pool=None)
        limits = self._httpx.Limits(max_connections=self._limits.concurrency)
        self._client = self._httpx.AsyncClient(headers=headers, timeout=timeout, limits=limits)
        self._places = asyncio.Semaphore(self._limits.concurrency)
        self._closing = weakref.finalize(self, _leave, self._client)

    def renew(self) -> None:
        """Leave the connections to the process that this one was forked from, and make others."""
        if self._closing.detach():
            self._connect()

    @property
    def limits(self) -> Limits:
        """How much it may be asked."""
        return self._limits

    def __repr__(self) -> str:
        return f"Service({self.name!r}, {self.base_url!r})"

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connections; no further request can be sent."""
        if self._closing.detach():
            loop.submit(self._client.aclose()).result(timeout=_CONNECT)

    async def post(self, path: str, body: Mapping[str, Any], tokens: int, call: Call) -> Any:
        """Send one request, again if need be, and return the JSON of the answer.

        To be awaited in the loop of `hybrid.remote.loop`.

        Raises:
            RemoteError: it failed, as the table above says.
        """
        content = json.dumps(body, ensure_ascii=False).encode()
        failures = 0
        while True:
            async with self._places:
                while not call.halted and (seconds := self._limiter.delay(tokens)) > 0:
                    await call.sleep(seconds)
                if call.halted:
                    raise RemoteError(f"{self.name}: not sent, because another request failed")
                outcome = await self._attempt(path, content)
            if not isinstance(outcome, _Failure):
                return outcome[0]
            failures += 1
            wait = self._retries.wait(failures, outcome.asked) if outcome.passing else None
            if wait is None or call.halted:
                raise _told(outcome, failures)
            if outcome.asked is not None:
                self._limiter.pause(outcome.asked)
            await call.sleep(wait)

    async def _attempt(self, path: str, content: bytes) -> tuple[Any] | _Failure:
        """Send a request once. No exception of httpx leaves: they hold the request, and so the key."""
        httpx = self._httpx
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(
                    f"{self.base_url}/{path}", content=content, headers={"Content-Type": "application/json"}
                )
        except (TimeoutError, httpx.TimeoutException):
            return self._failed(f"no complete answer within {self._timeout:g} seconds")
        except httpx.RequestError as error:
            return self._failed(f"{type(error).__name__}: {error}")
        if response.status_code != 200:
            return self._refused(response.status_code, response.headers, response.text)
        try:
            return (json.loads(response.content),)
        except (ValueError, RecursionError) as error:
            return self._failed(f"the answer is not JSON: {error}; it begins {response.text[:80]!r}")

    def _failed(self, what: str) -> _Failure:
        return _Failure(RemoteError(self._shown(f"{self.name} at {self.base_url}: {what}")), passing=True)

    def _refused(self, status: int, headers: Mapping[str, str], text: str) -> _Failure:
        said = message(self._shown(text))  # before it is shortened, which could leave half a key
        what = f"{self.name} at {self.base_url} answered {status}: {said or 'without a message'}"
        if status in {401, 403}:
            source = self._key_from or "no key was given"
            what += f"; the key is wrong, revoked or not allowed this model ({source})"
        elif 300 <= status < 400:
            what += f"; redirects are not followed, give the final address ({headers.get('location', '')})"
        lasting = status == 429 and any(mark in text for mark in LASTING)
        passing = status in PASSING and not lasting
        asked = retry_after(headers) if passing else None
        return _Failure(RemoteError(self._shown(what), status=status), passing, asked)

    def _shown(self, text: str) -> str:
        return text if self._key is None else self._key.hide_in(text)


def checked_url(url: str) -> str:
    """Return an address without the slash at its end.

    Raises:
        InputError: it is not one of http or https, or holds what may be a secret (which is not shown).
    """
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        good = parts is not None and parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port if parts is not None else None
    except ValueError:
        good = False
    if not good or parts is None:
        raise InputError("base_url is not an address; give one such as https://api.example.com/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(
            f"base_url, an address of {parts.hostname}, holds a user, a password, a query or a fragment; "
            "give the address alone, and keys as hybrid.Secret or in the environment"
        )
    return url.rstrip("/")


def message(text: str) -> str:
    """Return what the body of an error says, in one line.

    Services put it under ``error.message`` (OpenAI), ``message`` (Cohere), ``detail`` (Voyage, Jina) or
    ``error`` (text-embeddings-inference).
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = text
    for name in ("error", "message", "detail"):
        if isinstance(said, dict) and said.get(name):
            said = said[name]
    return " ".join(str(said).split())[:_SHOWN]


def _told(failure: _Failure, failures: int) -> RemoteError:
    error = failure.error
    notes = [f"tried {failures} times"] if failures > 1 else []
    if failure.asked is not None:
        notes.append(f"it asked to wait {failure.asked:g} seconds")
    if notes:
        return RemoteError(f"{error} ({'; '.join(notes)})", status=error.status)
    return error


def _leave(client: Any) -> None:
    """End the connections, in the loop that they belong to, without waiting: this may be that thread."""
    loop.submit(client.aclose())
