"""Parse, call the public API, print; and turn errors into one line and an exit code."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hybrid.cli.commands import COMMANDS
from hybrid.cli.parser import build_parser
from hybrid.errors import CorpusError, DocumentError, HybridError, InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 done, 2 wrong use, 1 anything else."""
    options = build_parser().parse_args(arguments)
    with _warnings_shown(options.debug):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        COMMANDS[options.command](options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("hybrid: interrupted\n")
        return 1
    except Exception as error:
        if options.debug:
            raise
        sys.stderr.write(f"hybrid: {_one_line(_message(error))}\n")
        wrong_use = isinstance(error, InputError) and not isinstance(error, CorpusError | DocumentError)
        return 2 if wrong_use else 1
    return 0


@contextmanager
def _warnings_shown(debug: bool) -> Iterator[None]:
    """Show the package's warnings on standard error, each in one line; with ``debug`` in full."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("hybrid: %(message)s") if debug else _OneLine())
    logger = logging.getLogger("hybrid")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _OneLine(logging.Formatter):
    """A message without its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return f"hybrid: {_one_line(record.getMessage())}"


def _message(error: Exception) -> str:
    if isinstance(error, HybridError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {error} (run again with --debug for the traceback)"


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines())
