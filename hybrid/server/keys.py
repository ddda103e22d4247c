"""Keys of a server's callers: made here, kept only as digests, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast

from hybrid.errors import InputError
from hybrid.remote import Secret

Role: TypeAlias = Literal["read", "write"]
ROLES: tuple[Role, ...] = ("read", "write")

VARIABLE = "HYBRID_SERVER_KEYS"
"""Holds the lines of a key file, separated by newlines or commas."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: a name for logs and limits, and what it may do. A writer may read, too."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether it may do what needs this role."""
        return role in (self.role, "read")


class KeyRing:
    """The keys that a server knows, as SHA-256 digests.

    A key has 256 random bits, so its digest needs neither salt nor a slow hash: there is nothing to guess.
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        """Take the lines of a key file: ``role name digest``; blank ones and those after # are skipped.

        Raises:
            InputError: a line is something else, or a name or key is there twice.
        """
        self._keys: list[tuple[bytes, Caller]] = []
        for line in lines:
            if line.strip() and not line.lstrip().startswith("#"):
                digest, caller = _parsed(line)
                if any(caller.name == known.name or digest == other for other, known in self._keys):
                    raise InputError(
                        f"the key {caller.name!r} is there twice; give each key a name of its own"
                    )
                self._keys.append((digest, caller))

    @classmethod
    def read(cls, path: str | Path | None = None) -> KeyRing:
        """Read keys from a file, if one is named, and from the environment variable ``HYBRID_SERVER_KEYS``.

        Raises:
            InputError: the file cannot be read, or a line is no key.
        """
        lines = re.split(r"[\n,]", os.environ.get(VARIABLE, ""))
        if path is not None:
            try:
                lines += Path(path).read_text("utf-8").splitlines()
            except (OSError, UnicodeError) as error:
                raise InputError(f"cannot read the keys in {path}: {error}") from error
        return cls(lines)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._keys)

    def caller(self, key: str) -> Caller | None:
        """Return whose key this is, None if nobody's; the time does not depend on which one matches."""
        digest = _digest(key)
        found: Caller | None = None
        for known, caller in self._keys:
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def new_key(name: str, role: str) -> tuple[Secret, str]:
    """Make a key; return it, and its line for a key file. The key is nowhere else: show it once.

    Raises:
        InputError: the name or the role is not accepted.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"a key's name is {name!r}; use 1 to 64 letters, digits, '.', '_' and '-'")
    if role not in ROLES:
        raise InputError(f"a key's role is {role!r}; it is one of {', '.join(ROLES)}")
    key = f"hyb_{secrets.token_urlsafe(32)}"
    return Secret(key), f"{role} {name} {_digest(key).hex()}"


def append_key(path: str | Path, line: str) -> None:
    """Add a key's line to a file, which is made for its owner's eyes only if it is not there.

    Raises:
        InputError: the file holds something else, or a key of this name.
    """
    file = Path(path)
    known = file.read_text("utf-8").splitlines() if file.exists() else []
    KeyRing([*known, line])
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as out:
        out.write(line + "\n")


def _parsed(line: str) -> tuple[bytes, Caller]:
    parts = line.split()
    fits = len(parts) == 3 and parts[0] in ROLES and _NAME.fullmatch(parts[1]) and _DIGEST.fullmatch(parts[2])
    if not fits:  # the line may hold a key by mistake: it is not shown
        raise InputError(
            "a line of the keys is not 'role name digest' (read or write, a name, 64 hexadecimal digits); "
            "`hybrid key` writes such lines"
        )
    return bytes.fromhex(parts[2]), Caller(parts[1], cast("Role", parts[0]))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
