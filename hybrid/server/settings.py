"""What a server is told: where it listens, what it serves, and how much it takes on."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from hybrid.errors import InputError
from hybrid.threads import thread_count

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a server listens and what it lets callers do.

    ``write``: whether indexes are opened for changes. ``body``: bytes of a request at most. ``rate``:
    requests a second of one caller, over time; a burst may be ``2 * rate``; None for no limit. ``queue``:
    searches that may wait, for each index; one more is answered 503. ``batch``: searches that are encoded
    together at most. ``workers``: batches that run side by side, for each index. ``deadline``: seconds that
    anything but a change may take, waiting included. ``max_k``: hits of an answer at most. ``reach``: hits
    at most with the pages before, each of which costs a search for all of them. ``slow``: seconds that a
    client may take to send a request, or to take an answer. ``connections``: at most. ``refresh``: seconds
    between looks for a newer generation. ``drain``: seconds that a stopping server still takes new
    requests, while it tells clients to go away; ``grace``: seconds that it then waits for answers under
    way. ``hosts``: names, beside its own, that a request without a key may ask for. ``origins``: origins of
    pages elsewhere that may ask (CORS).
    """

    host: str = "127.0.0.1"
    port: int = 8080
    write: bool = False
    body: int = 8 * 2**20
    rate: float | None = None
    queue: int = 256
    batch: int = 32
    workers: int = field(default_factory=lambda: max(2, thread_count()))
    deadline: float = 10.0
    max_k: int = 1000
    reach: int = 10_000
    slow: float = 15.0
    connections: int = 1000
    refresh: float = 1.0
    drain: float = 0.5
    grace: float = 30.0
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("body", "queue", "batch", "workers", "max_k", "reach", "connections"):
            self._check(name, whole=True)
        for name in ("deadline", "slow", "refresh", "grace"):
            self._check(name)
        if self.rate is not None:
            self._check("rate")
        if not 0 <= self.drain < math.inf or not 0 <= self.port < 65536:
            raise InputError(f"drain is {self.drain!r} and port {self.port!r}; give numbers of at least 0")
        if "*" in self.origins:
            raise InputError("origins holds '*'; name each origin, such as 'https://example.org'")

    def _check(self, name: str, *, whole: bool = False) -> None:
        value = getattr(self, name)
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not number or not 0 < value < math.inf:
            what = "whole number" if whole else "number"
            raise InputError(f"{name} is {value!r}; give a {what} above 0")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host == "localhost" or (
            _is_address(self.host) and ipaddress.ip_address(self.host).is_loopback
        )

    def check_keys(self, keys: int) -> None:
        """Refuse to be reachable by others without a key.

        Raises:
            InputError: the address is public and there is no key.
        """
        if not self.loopback and not keys:
            raise InputError(
                f"host is {self.host!r}, which others can reach, and there is no key; make one with "
                "`hybrid key NAME --file FILE` and pass --keys FILE, or listen on 127.0.0.1"
            )


SETTINGS = tuple(each.name for each in fields(Settings))


def named_indexes(given: Iterable[str | Path] | Mapping[str, str | Path]) -> dict[str, Path]:
    """Return folders by the names that callers use: ``NAME=FOLDER``, or a folder under its own name.

    Raises:
        InputError: a name is not accepted or there twice, or nothing is given.
    """
    pairs = list(given.items()) if isinstance(given, Mapping) else [_pair(str(each)) for each in given]
    if not pairs:
        raise InputError("no index is given; name at least one folder")
    found: dict[str, Path] = {}
    for name, folder in pairs:
        if not NAME.fullmatch(name):
            raise InputError(
                f"the index name {name!r} is not accepted: use letters, digits, '.', '_' and '-', beginning "
                "with a letter or a digit; write NAME=FOLDER to choose it"
            )
        if name in found:
            raise InputError(f"two indexes are named {name!r}; write NAME=FOLDER to tell them apart")
        found[name] = Path(folder)
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, folder = text.partition("=")
    return (name, folder) if equals and "/" not in name else (Path(text).resolve().name, text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
