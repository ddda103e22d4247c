"""Which files of a folder are meant: patterns that are given, and those in ``.gitignore`` files."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hybrid.errors import CorpusError
from hybrid.forking import cached_property

if TYPE_CHECKING:  # loaded when a folder is read
    from pathspec import GitIgnoreSpec


@dataclass(frozen=True)
class Selection:
    """Which files of a folder are meant.

    ``include`` and ``exclude`` are patterns as in ``.gitignore``: ``*.md``, ``docs/``, ``/drafts/**``. With
    ``include`` only files that match one are meant, and text files of any suffix among them. ``hidden``: also
    names that begin with a dot. ``gitignore``: files that a ``.gitignore`` names are not meant.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    hidden: bool = False
    gitignore: bool = True

    def __post_init__(self) -> None:
        for name in ("include", "exclude"):
            given = getattr(self, name)
            if isinstance(given, str) or not all(isinstance(each, str) for each in given):
                raise CorpusError(f"{name} is {given!r}; give a list of patterns, such as ['*.md']")
            object.__setattr__(self, name, tuple(given))
            if not given:
                continue
            try:
                _spec(given)
            except ValueError as error:
                raise CorpusError(f"{name}: {error}; patterns are those of .gitignore") from error

    @cached_property
    def _included(self) -> GitIgnoreSpec:
        return _spec(self.include)

    @cached_property
    def _excluded(self) -> GitIgnoreSpec:
        return _spec(self.exclude)

    def means(self, name: str) -> bool:
        """Return whether a file, by its path relative to the folder, is meant."""
        if self.include and not self._included.match_file(name):
            return False
        return self.enters(name)

    def enters(self, name: str) -> bool:
        """Return whether to look into a folder, by its relative path with ``/`` at its end."""
        return not (self.exclude and self._excluded.match_file(name))


_LONGEST_FILE = 1 << 20
_MOST_STARS, _MOST_FOLDERS = 4, 2
"""A ``.gitignore`` is a stranger's: patterns with more stars among letters, or more ``**/``, are left out."""


class Ignored(NamedTuple):
    """The patterns of one ``.gitignore``.

    ``base``: the folder it stands in, relative to the root (with ``/``); ``above``: if that is above it,
    the root's path from there.
    """

    base: str
    patterns: GitIgnoreSpec
    above: str = ""


def ignored_above(root: Path) -> tuple[Ignored, ...]:
    """Return the ``.gitignore`` files above a folder inside of a repository.

    None, if they ignore the folder itself: who names it means it.
    """
    found: list[Ignored] = []
    for folder in root.parents if not (root / ".git").exists() else ():
        inside = f"{root.relative_to(folder).as_posix()}/"
        patterns = _read_patterns(folder / ".gitignore")
        if patterns is not None:
            found.append(Ignored("", patterns, inside))
        if (folder / ".git").exists():
            return () if ignores(found[::-1], "") else tuple(reversed(found))
    return ()


def ignored_here(root: Path, name: str) -> tuple[Ignored, ...]:
    """Return what the ``.gitignore`` of a folder says; ``name``: its path from the root, with ``/``."""
    patterns = _read_patterns(root / name / ".gitignore")
    return () if patterns is None else (Ignored(name, patterns),)


def _read_patterns(path: Path) -> GitIgnoreSpec | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would never end
            return None
        with path.open("rb") as stream:
            text = stream.read(_LONGEST_FILE).decode("utf-8", "replace")
        return _spec([line for line in text.splitlines() if not _too_costly(line)])
    except (OSError, ValueError):  # what git cannot understand either
        return None


def _too_costly(pattern: str) -> bool:
    """Return whether matching a pattern can take long: with each such star, a name's length times as long."""
    parts = pattern.strip().strip("/").split("/")
    stars = sum(part.count("*") for part in parts if part not in ("*", "**"))
    return stars > _MOST_STARS or parts[:-1].count("**") > _MOST_FOLDERS


def ignores(ignored: Sequence[Ignored], name: str) -> bool:
    """Return whether a path is ignored: the innermost file that says anything of it decides."""
    for base, patterns, above in reversed(ignored):
        said = patterns.check_file(above + name[len(base) :]).include
        if said is not None:
            return said
    return False


def _spec(lines: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)
