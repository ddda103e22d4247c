"""A connection that does not wait for ever: for the head of a request, or for an answer to be taken."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hybrid.server.problems import MEDIA_TYPE, Problem

HEAD = 64 * 1024
"""Bytes of a request's head at most."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection with a clock. What is late is cut off; there is nobody to talk to.

    ``slow`` and ``most``, seconds and connections, are set by `limited`.
    """

    slow: float = 15.0
    most: int = 1000

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head; where there are too many connections already, hang up."""
        super().connection_made(transport)
        self._clock: asyncio.TimerHandle | None = None
        self._head = 0
        if len(self.connections) > self.most:
            transport.abort()
        else:
            self._start()

    def data_received(self, data: bytes) -> None:
        """Read on; the clock runs while a head is incomplete, and a head has a bound."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:  # a head is complete
            self._head = 0
            self._stop()
        elif before is None or before.response_complete:
            self._head += len(data)
            if self._head > HEAD:
                self.transport.abort()
            elif self._clock is None:
                self._start()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, as everything else is answered that is not accepted."""
        body = Problem(400, "http", msg).body()
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: {MEDIA_TYPE}\r\nconnection: close\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()

    def pause_writing(self) -> None:
        """Give the client so long to take what it has asked for."""
        super().pause_writing()
        self._start()

    def resume_writing(self) -> None:
        """Stop the clock: the client reads on."""
        super().resume_writing()
        self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop()
        super().connection_lost(exc)

    def _start(self) -> None:
        self._stop()
        self._clock = self.loop.call_later(self.slow, self.transport.abort)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


def limited(slow: float, most: int) -> type[Connection]:
    """Return a class of connections with these limits."""
    return type("LimitedConnection", (Connection,), {"slow": slow, "most": most})
