"""Parse, call the public API, print; and turn errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from hybrid.cli.commands import COMMANDS
from hybrid.cli.parser import build_parser
from hybrid.errors import CorpusError, DocumentError, HybridError, InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 done, 2 wrong use, 1 anything else."""
    options = build_parser().parse_args(arguments)
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
        sys.stderr.write(f"hybrid: {_message(error)}\n")
        wrong_use = isinstance(error, InputError) and not isinstance(error, CorpusError | DocumentError)
        return 2 if wrong_use else 1
    return 0


def _message(error: Exception) -> str:
    if isinstance(error, HybridError):
        return str(error)
    return f"{type(error).__name__}: {error} (run again with --debug for the traceback)"
