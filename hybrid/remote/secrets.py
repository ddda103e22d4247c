"""Keys of services: from the environment or handed in, and never shown."""

from __future__ import annotations

import os
from typing import NoReturn

from hybrid.errors import InputError

HIDDEN = "***"


class Secret:
    """A key that does not show itself: not when printed, compared in a test, logged or pickled.

    >>> Secret("sk-1234")
    Secret(***)
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Take the key.

        Raises:
            InputError: it is not one line of printable ASCII. The message does not show it.
        """
        if not isinstance(value, str) or not value.strip():
            raise InputError(
                f"a secret is a {type(value).__name__} without content; give the key as a string"
            )
        value = value.strip()
        if not (value.isascii() and value.isprintable() and " " not in value):
            raise InputError(
                "a secret holds blanks, control characters or letters beyond ASCII; copy it anew"
            )
        self._value = value

    @classmethod
    def from_environment(cls, variable: str) -> Secret | None:
        """Return the key in an environment variable, or None if that is not set or blank."""
        value = os.environ.get(variable, "")
        return cls(value) if value.strip() else None

    def reveal(self) -> str:
        """Return the key itself."""
        return self._value

    def hide_in(self, text: str) -> str:
        """Return a text with every occurrence of the key replaced."""
        return text.replace(self._value, HIDDEN)

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __reduce__(self) -> NoReturn:
        raise InputError("a secret cannot be pickled; let the other process read it from its environment")


def checked_secret(value: Secret | None, name: str, variable: str) -> Secret | None:
    """Return the secret handed in, else that of the environment, if any.

    Raises:
        InputError: what was handed in is not a `Secret`. The message does not show it.
    """
    if value is None:
        return Secret.from_environment(variable)
    if not isinstance(value, Secret):
        raise InputError(
            f"{name} is a {type(value).__name__}; give hybrid.Secret(...), or set the environment variable "
            f"{variable}"
        )
    return value
