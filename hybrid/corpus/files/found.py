"""A file that was found, and what a reader makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hybrid.corpus.files.report import UnreadableError
from hybrid.types import Document

OWN_KEYS = ("path", "file")
"""The metadata keys that every document of a file has; a column of that name becomes ``column_path``."""


_DEEPEST = 8
_LONGEST = 1000  # bits


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file: what its documents are called by (``name``), where it is, and what kind it is.

    ``size`` is in bytes, ``modified`` in nanoseconds since 1970; ``language`` is that of source code.
    """

    name: str
    path: Path
    kind: str
    size: int
    modified: int
    language: str = ""

    def document(self, part: Part, prefix: str = "", extra: Mapping[str, Any] | None = None) -> Document:
        """Return a part as a document; its id is the file's name, with ``#`` and its key if it has one."""
        name = f"{prefix}{self.name}"
        about: dict[str, Any] = {"type": self.kind, "size": self.size, "modified": self.time, **(extra or {})}
        metadata: dict[str, Any] = {"path": name, "file": about}
        for key, value in part.metadata.items():
            metadata[f"column_{key}" if key in OWN_KEYS else valid(key)] = _valid(value)
        title = valid(part.title or Path(self.name).stem)
        id = name if part.key is None else valid(f"{name}#{part.key}")
        return Document(id, valid(part.text), title, metadata)

    @property
    def time(self) -> str:
        """When the file was last changed: ISO 8601, UTC, whole seconds; as strings they sort by time."""
        try:
            return datetime.fromtimestamp(self.modified // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (ValueError, OverflowError, OSError):  # a clock that was wrong by thousands of years
            return ""


@dataclass(frozen=True, slots=True)
class Part:
    """What becomes one document. ``key`` tells the parts of a file apart; None if it is the whole file."""

    text: str
    title: str = ""
    key: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def whole(cls, text: str, title: str = "", **metadata: Any) -> Part:
        """Return a file's only part; metadata that is empty is left out.

        Raises:
            UnreadableError: there is no text.
        """
        if not text.strip():
            raise UnreadableError("it is empty, or has no text")
        return cls(text, title, metadata={name: value for name, value in metadata.items() if value})


def valid(text: str) -> str:
    r"""Return text that UTF-8 can hold: halves of surrogate pairs are replaced.

    >>> valid("a\ud800b")
    'a?b'
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _valid(value: Any, depth: int = 0) -> Any:
    """Return a metadata value as an index accepts it: what is nested too deeply or too long as text."""
    if isinstance(value, str):
        return valid(value)
    if depth > _DEEPEST or (isinstance(value, int) and value.bit_length() > _LONGEST):
        return valid(str(value))
    if isinstance(value, Mapping):
        return {valid(str(key)): _valid(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_valid(item, depth + 1) for item in value]
    return value
