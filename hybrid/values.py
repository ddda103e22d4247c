"""How the values of a pipeline print themselves."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any


def short_repr(value: Any, **shown: Any) -> str:
    """Return the call that makes a frozen dataclass again, without the arguments that are defaults.

    The fields named in ``shown`` are there in any case, spelt as given there.
    """
    arguments = (
        f"{field.name}={shown.get(field.name, getattr(value, field.name))!r}"
        for field in fields(value)
        if field.init and (field.name in shown or getattr(value, field.name) != _default(field))
    )
    return f"{type(value).__name__}({', '.join(arguments)})"


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
