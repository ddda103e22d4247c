"""What every request passes before it reaches the application: host, key, role, rate, size, time.

An ASGI middleware without a framework. A body is read here, whole and within bounds, before anything is
parsed; a request that is refused costs nothing but its head.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from hybrid.server.keys import Caller, KeyRing, Role
from hybrid.server.metrics import Metrics
from hybrid.server.problems import MEDIA_TYPE, Problem, problem_of
from hybrid.server.settings import Settings

logger = logging.getLogger("hybrid.server")

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/", "/health", "/ready", "/openapi.json")
"""Paths that need no key, besides the files of the page."""

READING = ("search", "search-many", "explain", "candidates")
"""What POST may do for a reader; every other change of method or path is a writer's."""

SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY.items()]

LINGER = 4
"""How many times the bound of a body are read of one that is too large."""

REMEMBERED = 10_000
"""How many callers' rates are kept."""


def role_needed(method: str, path: str) -> Role | None:
    """Return the role that a request needs, None if it needs no key; what is not known needs the highest."""
    if method == "OPTIONS":  # a browser asks whether it may ask, without a key
        return None
    if method in ("GET", "HEAD"):
        return None if path in OPEN or path.startswith("/page/") else "read"
    return "read" if method == "POST" and path.rpartition("/")[2] in READING else "write"


class Rates:
    """A token bucket for each caller: ``rate`` requests a second, and twice as many at once."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the rate and, for tests, the clock."""
        self._rate, self._burst, self._clock = rate, max(1.0, 2 * rate), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Return 0 if the request is let through, else the seconds until one would be."""
        now = self._clock()
        left, since = self._buckets.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate
        self._buckets[caller] = (left if wait else left - 1, now)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return wait


class Guard:
    """The middleware. ``draining``: whether answers tell clients to close their connections."""

    def __init__(self, app: Application, settings: Settings, keys: KeyRing, metrics: Metrics) -> None:
        """Take the application behind it and what it must know."""
        self._app, self._settings, self._keys, self._metrics = app, settings, keys, metrics
        self._rates = None if settings.rate is None else Rates(settings.rate)
        own = {settings.host, "localhost", "127.0.0.1", "[::1]", *settings.hosts}
        self._hosts = {name.lower() for name in own}
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, self)
        self._metrics.begun()
        try:
            caller = self._admit(scope)
            scope["state"] = {**scope.get("state", {}), "caller": caller}
            body = await self._body(scope, receive)
            await self._app(scope, _replay(body, receive), answer)
        except Problem as problem:
            self._metrics.refused(problem.kind)
            await answer.problem(problem)
        except asyncio.CancelledError:
            if not self.draining:
                raise
            await answer.problem(Problem(504, "stopped", "the server was stopped before it could answer"))
        except Exception as error:
            if answer.status < 500:  # else the application has answered, and said so in the log
                logger.exception("%s %s failed", scope["method"], scope["path"])
            await answer.problem(problem_of(error))
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.answered(_method(scope), route, answer.status, time.monotonic() - answer.began)

    def _admit(self, scope: Scope) -> Caller:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        client = (scope.get("client") or ("unknown",))[0]
        caller = Caller(client, "write")
        if len(self._keys):
            known = self._identified(headers)
            needed = role_needed(scope["method"], scope["path"])
            if needed is not None and (known is None or not known.may(needed)):
                raise _unknown(headers) if known is None else _forbidden(known, needed)
            caller = known or Caller(client, "read")
        else:
            self._check_host(headers)
        wait = 0.0 if self._rates is None else self._rates.take(caller.name)
        if wait:
            seconds = str(math.ceil(wait))
            detail = f"more than {self._settings.rate:g} requests a second; try again in {seconds} s"
            raise Problem(429, "rate", detail, {"retry-after": seconds})
        return caller

    def _identified(self, headers: dict[str, str]) -> Caller | None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return self._keys.caller(key.strip()) if scheme.lower() == "bearer" else None

    def _check_host(self, headers: dict[str, str]) -> None:
        """Refuse names that are not ours: a page elsewhere could let its own name lead to this machine."""
        asked = headers.get("host", "")
        name = asked if asked.endswith("]") else asked.rpartition(":")[0] or asked
        if name.lower() not in self._hosts:
            detail = f"this server does not answer for the host {asked!r}; --allow-host would allow it"
            raise Problem(421, "host", detail)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Read the body within its bounds of size and time."""
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        large = declared.isdigit() and int(declared) > self._settings.body
        try:
            async with asyncio.timeout(self._settings.slow):
                body = await self._received(receive, keep=not large)
        except TimeoutError:
            seconds = f"{self._settings.slow:g} s"
            raise Problem(408, "slow", f"the request had not arrived after {seconds}", _CLOSE) from None
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if body and kind != b"application/json":
            # Also a guard: a page elsewhere may send a form or plain text here without asking, but not JSON.
            raise Problem(415, "media-type", "send JSON, with the header content-type: application/json")
        return body

    async def _received(self, receive: Receive, *, keep: bool) -> bytes:
        """Return the body; one that is too large is read on for a while, so that the client hears why."""
        pieces: list[bytes] = []
        size, more = 0, True
        while more and size <= LINGER * self._settings.body:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem(400, "disconnected", "the client went away")
            piece, more = message.get("body", b""), message.get("more_body", False)
            size += len(piece)
            keep = keep and size <= self._settings.body
            if keep:
                pieces.append(piece)
        if not keep:
            raise self._too_large()
        return b"".join(pieces)

    def _too_large(self) -> Problem:
        detail = f"the request is larger than {self._settings.body:,} bytes; send it in parts"
        return Problem(413, "too-large", detail, _CLOSE)


_CLOSE = {"connection": "close"}


class _Answer:
    """Sends an answer with the headers that all have, and remembers its status."""

    def __init__(self, send: Send, guard: Guard) -> None:
        self._send, self._guard = send, guard
        self.status, self.began = 0, time.monotonic()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            closing = [(b"connection", b"close")] if self._guard.draining else []
            message = {**message, "headers": [*message.get("headers", ()), *_HEADERS, *closing]}
        await self._send(message)

    async def problem(self, problem: Problem) -> None:
        """Answer with a problem, unless an answer has begun."""
        if self.status:
            return
        body = problem.body()
        fixed = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), "cache-control": "no-store"}
        headers = [(name.encode(), value.encode()) for name, value in {**fixed, **problem.headers}.items()]
        await self({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return what hands an application the body that was read, and after it what else comes."""
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed


def _method(scope: Scope) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"


def _unknown(headers: dict[str, str]) -> Problem:
    detail = "the key is not known here" if "authorization" in headers else "a key is needed"
    header = {"www-authenticate": "Bearer"}
    return Problem(401, "unauthorized", f"{detail}; send it as: Authorization: Bearer KEY", header)


def _forbidden(caller: Caller, needed: Role) -> Problem:
    return Problem(
        403, "forbidden", f"the key {caller.name!r} may only {caller.role}; this needs a key to {needed}"
    )
