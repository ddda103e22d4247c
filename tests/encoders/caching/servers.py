"""Redis servers on this machine alone: a real one if there is one, and one that speaks just enough."""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import subprocess
import threading
import time

REAL = shutil.which("redis-server")


@contextlib.contextmanager
def real(folder, *options):
    """Run redis-server; yield its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [REAL, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


class _Answers(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(ConnectionError, ValueError):
            while (line := self.rfile.readline()).startswith(b"*"):
                words = []
                for _ in range(int(line[1:])):
                    size = int(self.rfile.readline()[1:])
                    words.append(self.rfile.read(size + 2)[:size])
                self.server.asked.append(words[0].upper())
                self.wfile.write(self.server.answer(words[0].upper(), words[1:]))


class Speaking(socketserver.ThreadingTCPServer):
    """A server that speaks RESP (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.kept, self.asked, self.broken = {}, [], None
        self.nothing = b"$-1\r\n"

    def answer(self, command, words):
        if command == b"HELLO":
            self.nothing = b"_\r\n"
            return (
                b"%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:3\r\n"
            )
        if command in (b"MGET", b"MSET") and self.broken is not None:
            return self.broken
        if command == b"MSET":
            self.kept |= zip(words[::2], words[1::2], strict=True)
        if command == b"MGET":
            found = [self.kept.get(key) for key in words]
            bulk = (b"$%d\r\n%s\r\n" % (len(v), v) if v is not None else self.nothing for v in found)
            return b"*%d\r\n" % len(found) + b"".join(bulk)
        return b"+OK\r\n"


@contextlib.contextmanager
def speaking():
    """Run the other one; yield it and its URL."""
    with Speaking() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server, f"redis://127.0.0.1:{server.server_address[1]}/0"
        finally:
            server.shutdown()
            thread.join()
