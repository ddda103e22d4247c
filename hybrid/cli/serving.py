"""What ``hybrid serve`` and ``hybrid key`` do."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace

from hybrid.cli import show
from hybrid.errors import MissingDependencyError
from hybrid.server import KeyRing, Settings, new_key
from hybrid.server.keys import append_key

_GIVEN = ("host", "port", "write", "rate", "deadline", "queue", "slow", "connections")


def serve_indexes(options: argparse.Namespace) -> None:
    """``hybrid serve INDEX...``."""
    try:
        from hybrid.server.running import serve
    except ModuleNotFoundError as error:
        raise MissingDependencyError(error.name or "fastapi", "server") from error
    given = {name: getattr(options, name) for name in _GIVEN}
    settings = replace(
        Settings(),
        **{name: value for name, value in given.items() if value is not None},
        hosts=tuple(options.allow_host),
        origins=tuple(options.allow_origin),
    )
    logging.getLogger("hybrid.server").setLevel(logging.INFO)

    def started(url: str) -> None:
        show.line(f"serving at {url} (Ctrl-C stops)")
        show.flush()

    serve(options.index, settings, KeyRing.read(options.keys), started=started)


def serve_assistant_over(options: argparse.Namespace) -> None:
    """``hybrid mcp INDEX...``."""
    try:
        from hybrid.server.assistants import serve_assistant
    except ModuleNotFoundError as error:
        raise MissingDependencyError(error.name or "mcp", "mcp") from error
    serve_assistant(options.index)


def make_key(options: argparse.Namespace) -> None:
    """``hybrid key NAME --file FILE``."""
    key, line = new_key(options.name, options.role)
    append_key(options.file, line)
    show.line(key.reveal())
