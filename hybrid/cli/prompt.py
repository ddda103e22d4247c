"""``hybrid search INDEX`` without a query: a prompt that searches, line after line."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import hybrid
from hybrid.cli import show
from hybrid.cli.arguments import parsed_where
from hybrid.errors import HybridError, InputError

LINES = 1000
"""How many lines the history keeps."""

HELP = """\
Type what you search for. Arrow keys bring back earlier lines; these begin with a colon:
  :why N         explain hit N of the last result
  :open N        print the whole text of hit N
  :k N           show N hits from now on
  :where JSON    filter from now on; without JSON, no more
  :branches A,B  search only these from now on; without names, all
  :quit          leave (or Ctrl-D)
"""


class Prompt:
    """What one session remembers: how to search, and the last result."""

    def __init__(self, index: hybrid.HybridIndex, options: argparse.Namespace) -> None:
        """Begin as the command line says."""
        self._index, self._explain = index, options.explain
        self._k = options.k
        self._where: Mapping[str, Any] | None = parsed_where(options.where)
        self._branches = options.branches.split(",") if options.branches else None
        self._last: hybrid.Result | None = None
        self._commands: Mapping[str, Callable[[str], None]] = {
            "why": lambda text: _lines(str(self._result().explain(self._rank(text))).split("\n")),
            "open": self._open,
            "k": self._set_k,
            "where": self._set_where,
            "branches": self._set_branches,
            "help": lambda text: show.line(HELP.rstrip()),
        }

    def run(self) -> None:
        """Read lines until there are no more."""
        show.line(f"{show.count(len(self._index), 'document')} in {self._index.path}; :help tells what else")
        with _History():
            while True:
                try:
                    text = input("search> ").strip()
                except EOFError:
                    show.line("")
                    return
                except KeyboardInterrupt:  # gives up the line, as a shell does
                    show.line("")
                    continue
                if text in (":quit", ":q", ":exit"):
                    return
                if text:
                    self._answer(text)

    def _answer(self, text: str) -> None:
        """Do what a line says; what is wrong with it ends the line only."""
        try:
            if text.startswith(":"):
                name, _, rest = text[1:].partition(" ")
                if name not in self._commands:
                    known = ", ".join(f":{each}" for each in [*self._commands, "quit"])
                    raise InputError(f"there is no command :{name}; there are {known}")
                self._commands[name](rest.strip())
                return
            self._last = self._index.search(text, self._k, self._where, branches=self._branches)
            explanations = [self._last.explain(hit.rank) for hit in self._last] if self._explain else None
            show.result(self._last, explanations)
        except (HybridError, IndexError) as error:
            show.line(f"hybrid: {' '.join(str(error).split())}")
        except KeyboardInterrupt:
            show.line("given up")

    def _result(self) -> hybrid.Result:
        if self._last is None:
            raise InputError("nothing was searched yet")
        return self._last

    def _open(self, text: str) -> None:
        hit = self._result()[self._rank(text) - 1]
        _lines([hit.title, "", *hit.text.splitlines()])

    @staticmethod
    def _rank(text: str) -> int:
        if not text.isdecimal() or int(text) < 1:
            raise InputError(f"{text!r} is no rank; give the number of a hit, such as :why 1")
        return int(text)

    def _set_k(self, text: str) -> None:
        self._k = self._rank(text)

    def _set_where(self, text: str) -> None:
        where = parsed_where(text or None)
        self._index.search("", 1, where)  # what is wrong with it shows now
        self._where = where

    def _set_branches(self, text: str) -> None:
        names = [name.strip(",") for name in shlex.split(text.replace(",", " "))] or None
        self._index.pipeline.only(tuple(names or [branch.name for branch in self._index.pipeline.branches]))
        self._branches = names


def _lines(texts: Iterable[str]) -> None:
    """Print lines; what would steer the terminal is taken out."""
    show.line("\n".join(map(show.printable, texts)))


class _History:
    """Lines of earlier sessions at the arrow keys, where there is a terminal."""

    def __enter__(self) -> None:
        self._file: Path | None = None
        if not sys.stdin.isatty():
            return
        try:
            import readline
        except ImportError:  # a Python without it
            return
        file = history_file()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            readline.read_history_file(file)
        except OSError:  # a home that cannot be written: this session has its own lines only
            return
        readline.set_history_length(LINES)
        self._file = file

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            import readline

            readline.write_history_file(self._file)


def history_file() -> Path:
    """Return where earlier lines are kept: ``hybrid/history`` under ``XDG_STATE_HOME``."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "hybrid" / "history"
