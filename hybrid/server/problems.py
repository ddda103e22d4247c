"""Errors over HTTP: problem+json (RFC 9457) out, and the same errors in again at the client.

What a caller did wrong is told as the library tells it. What went wrong inside is not: the message is in
the server's log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hybrid.errors import (
    BranchError,
    ConflictError,
    CursorError,
    DocumentError,
    DuplicateIdError,
    FilterError,
    HybridError,
    IndexLockedError,
    InputError,
    LimitError,
    NotFoundError,
    PipelineError,
    ReadOnlyError,
    RemoteError,
)

MEDIA_TYPE = "application/problem+json"
LONGEST = 2000
"""Characters of a message that are sent; it may quote what was sent."""


class Problem(Exception):  # noqa: N818 - what is answered, by its name in RFC 9457
    """An answer that is not what was asked for.

    ``kind``: a name that programs can rely on. ``headers``: sent with it. ``more``: further members.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the status, the kind, the message, further headers and members."""
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers, self.more = dict(headers or {}), dict(more or {})

    def body(self) -> bytes:
        """Return the JSON text, in ASCII: what was sent may hold half a character."""
        record = {
            "type": f"urn:hybrid:problem:{self.kind}",
            "title": self.kind.replace("-", " "),
            "status": self.status,
            "detail": self.detail[:LONGEST],
        }
        return json.dumps(self.more | record).encode("ascii")


_KNOWN: tuple[tuple[type[HybridError], int, str], ...] = (
    (DuplicateIdError, 409, "duplicate-id"),
    (DocumentError, 422, "document"),
    (FilterError, 422, "filter"),
    (CursorError, 422, "cursor"),
    (LimitError, 422, "limit"),
    (PipelineError, 422, "pipeline"),
    (InputError, 422, "input"),
    (NotFoundError, 404, "not-found"),
    (ReadOnlyError, 403, "read-only"),
    (IndexLockedError, 409, "index-locked"),
)
"""Errors of the caller, the most special first: their messages are sent."""

_VERSIONS = ("id", "expected", "found")
"""What a conflict says besides its message."""

_CLASSES: Mapping[str, type[HybridError]] = {kind: error for error, _, kind in _KNOWN} | {
    "branches-failed": BranchError
}


def problem_of(error: Exception) -> Problem:
    """Return what is answered to an error of the library; a message is sent only if the caller caused it."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RecursionError):
        return Problem(422, "input", "the request is nested too deeply; make it flatter")
    if isinstance(error, ConflictError):
        versions = {name: getattr(error, name) for name in _VERSIONS}
        return Problem(409, "conflict", str(error), more=versions)
    for known, status, kind in _KNOWN:
        if isinstance(error, known):
            return Problem(status, kind, _told(error))
    if isinstance(error, BranchError):
        return Problem(502, "branches-failed", "no branch could answer; the server's log says why")
    return Problem(500, "internal", "the server failed; its log says why")


def error_of(status: int, record: Mapping[str, Any]) -> HybridError:
    """Return the error that a client raises for a problem: the library's own where there is one."""
    kind = str(record.get("type", "")).rpartition(":")[2]
    detail = str(record.get("detail") or f"the server answered with status {status}")
    if kind == "conflict" and record.keys() >= {*_VERSIONS}:
        return ConflictError(*(record[name] for name in _VERSIONS))
    known = _CLASSES.get(kind)
    return RemoteError(detail, status) if known is None else known(detail)


def _told(error: Exception) -> str:
    if isinstance(error, ReadOnlyError):  # the library's message names the folder
        return "this server does not change indexes; its operator can start it with --write"
    if isinstance(error, IndexLockedError):
        return "another writer holds the index; try again later"
    return str(error)
