"""What came of reading files: how much was read, and what was not, with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from hybrid.errors import CorpusError

Note: TypeAlias = Callable[[str, str], None]
"""Called as ``note(part, reason)`` for a part of a file that cannot be read while the rest can."""

NAMED = 20
"""Of one file, so many parts that could not be read are named; the others are counted."""


class UnreadableError(CorpusError):
    """A file, or a part of one, cannot be read; the message is the reason, without the path."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not read, or a part of one (``path#part``), or a folder (``path/``), and why."""

    path: str
    reason: str


@dataclass(slots=True)
class ReadReport:
    """What was read so far: ``files``, ``documents`` made of them, and what was ``skipped``."""

    files: int = 0
    documents: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, path: str, reason: str) -> None:
        """Note what was not read."""
        self.skipped.append(Skipped(path, reason))


class PartNotes:
    """Notes the unreadable parts of one file in a report: the first few by name, the others as a number."""

    def __init__(self, report: ReadReport, path: str) -> None:
        self._report, self._path, self.count = report, path, 0

    def __call__(self, part: str, reason: str) -> None:
        """Note one part."""
        self.count += 1
        if self.count <= NAMED:
            self._report.skip(f"{self._path}#{part}", reason)

    def close(self) -> None:
        """Say how many parts were not named."""
        if self.count > NAMED:
            self._report.skip(self._path, f"{self.count - NAMED:,} more of its parts cannot be read")
