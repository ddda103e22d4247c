"""How error messages show a value."""

from __future__ import annotations

import reprlib

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 60


def shown(value: object) -> str:
    """Return a value's type and the beginning of its repr.

    >>> shown(b"text")
    "bytes b'text'"
    """
    return f"{type(value).__name__} {_repr.repr(value)}"
