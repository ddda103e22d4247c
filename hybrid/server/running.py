"""A running server: listening, and stopping without losing what it has accepted."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

from uvicorn import Config, Server

from hybrid.errors import InputError
from hybrid.server.app import build_app
from hybrid.server.connection import limited
from hybrid.server.guard import Guard
from hybrid.server.keys import KeyRing
from hybrid.server.settings import Settings, named_indexes

SO_ATTACH_FILTER = 26
"""Python's socket module does not have it (Linux, asm-generic/socket.h)."""

Told = Callable[[str], None]


def serve(
    indexes: Iterable[str | Path] | Mapping[str, str | Path],
    settings: Settings | None = None,
    keys: KeyRing | None = None,
    *,
    started: Told = lambda url: None,
) -> None:
    """Serve indexes until a signal (SIGINT, SIGTERM) ends it; ``started`` is told the address.

    Raises:
        InputError: a setting is not accepted, the address is public without a key, or cannot be had.
        HybridError: an index cannot be opened.
    """
    settings, keys = settings or Settings(), keys or KeyRing.read()
    settings.check_keys(len(keys))
    listening = _listening(settings)
    try:
        _, guard = build_app(named_indexes(indexes), settings, keys)
    except BaseException:
        listening.close()
        raise
    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    with listening:
        _Stopping(_config(guard, settings), guard, settings.drain, lambda: started(address)).run([listening])


def _config(guard: Guard, settings: Settings) -> Config:
    return Config(
        guard,
        http=limited(settings.slow, settings.connections),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(settings.grace)),
    )


class _Stopping(Server):
    """A server that first tells its clients to leave, and only then stops to listen.

    A client that keeps its connection open may send its next request at the moment when the server closes it,
    and would never hear of it. So answers carry ``connection: close`` for a while before.
    """

    def __init__(self, config: Config, guard: Guard, drain: float, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._guard, self._drain, self._told = guard, drain, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._told()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in who has connected already, give them time to say what they want, and stop."""
        loop = asyncio.get_running_loop()
        for listening in sockets or ():
            _refuse_new(listening)
            with suppress(BlockingIOError):
                while True:
                    accepted, _ = listening.accept()
                    accepted.setblocking(False)
                    await loop.connect_accepted_socket(self._connection, accepted)
        await asyncio.sleep(min(self._drain, 0.25))
        await super().shutdown(sockets)
        if self.force_exit:  # then the application has not been told
            await self.lifespan.shutdown()

    def _connection(self) -> asyncio.Protocol:
        known = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        made: asyncio.Protocol = self.config.http_protocol_class(**known)
        return made

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second signal stops at once."""
        if self._guard.draining:
            self.should_exit = self.force_exit = True
        self._guard.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Stop to listen when the time to leave is over."""
        if self._guard.draining and not self.should_exit:
            await asyncio.sleep(self._drain)
            self.should_exit = True
        return await super().on_tick(counter)


def _refuse_new(listening: socket.socket) -> None:
    """Let nobody else connect, where the system can; who has connected is not turned away by that.

    To close a listening socket resets the connections that wait in it. So they are taken in first, and so
    that no new ones come in between, a filter drops what asks for one (Linux; elsewhere that gap stays).
    """
    if not sys.platform.startswith("linux"):
        return
    drop = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET | BPF_K: keep 0 bytes
    program = struct.pack("HP", 1, ctypes.addressof(drop))
    listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio sends small pieces at once only on what says it is TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise InputError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}"
        ) from error
    return listening
