"""What both clients are made of: where a server is, how its answers are read, when to ask again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

from hybrid.errors import InputError, MissingDependencyError, RemoteError
from hybrid.remote import Secret
from hybrid.remote.retrying import Retries, retry_after
from hybrid.server.asking import Call, Calls
from hybrid.server.problems import error_of

if TYPE_CHECKING:
    import httpx

H = TypeVar("H")
T = TypeVar("T")

TIMEOUT = 60.0
_AGAIN = (429, 503)
"""What the server answers before it has done anything: the same request may be sent again."""

_UNREADABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError)
"""What reading an answer raises that is not what this server would have said."""


class Session(Generic[H]):
    """An address, an index there, a key; ``H`` is what sends."""

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
            InputError: the address, the name or the key is not accepted.
            MissingDependencyError: httpx is not installed.
        """
        _check_address(url)
        if key is not None and not isinstance(key, Secret):
            raise InputError(f"key is a {type(key).__name__}; give hybrid.Secret(...)")
        self._url, self._calls = url.rstrip("/"), Calls(index, self._follow)
        self._retries = retries or Retries()
        headers = {} if key is None else {"authorization": f"Bearer {key.reveal()}"}
        self._http = self._made({"base_url": self._url, "headers": headers, "timeout": timeout})

    def _made(self, options: dict[str, Any]) -> H:
        raise NotImplementedError

    def _follow(self, call: Call[Any]) -> Any:
        raise NotImplementedError

    def _read(self, call: Call[T], response: httpx.Response) -> T:
        """Return what an answer says, or raise the error that it tells of."""
        try:
            record = response.json()
        except ValueError as error:
            raise RemoteError(
                f"{self._url} answered with status {response.status_code} and no JSON", response.status_code
            ) from error
        if not response.is_success:
            raise error_of(response.status_code, record if isinstance(record, dict) else {})
        try:
            return call.read(record)
        except _UNREADABLE as error:
            raise RemoteError(
                f"{self._url} answered with JSON that is not this server's; is it another one, or of another "
                "version?",
                response.status_code,
            ) from error

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


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits:
        raise InputError(f"url is {url!r}; give an address such as 'http://127.0.0.1:8080'")
    if parts.username is not None:  # it would stand in messages
        raise InputError("url holds a name or a password; give the server's key as key=hybrid.Secret(...)")


def httpx_module() -> Any:
    """Return httpx, or say what to install."""
    try:
        import httpx
    except ImportError as error:
        raise MissingDependencyError("httpx", "api") from error
    return httpx
