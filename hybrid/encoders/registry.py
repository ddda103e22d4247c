"""Encoders by name, one instance per process."""

from __future__ import annotations

import importlib
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

from hybrid.encoders.model import Model
from hybrid.errors import EncoderError, InputError
from hybrid.types import Encoder

Factory = Callable[[], Encoder]

_BUILTIN: dict[str, str] = {"all-MiniLM-L6-v2": "hybrid.encoders.sources:minilm"}
"""Names and where their factories are; imported only when asked for."""

_ALIASES = {
    "minilm": "all-MiniLM-L6-v2",
    "sentence-transformers/all-MiniLM-L6-v2": "all-MiniLM-L6-v2",
}

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)

_registered: dict[str, Factory] = {}
_loaded: dict[str, Encoder] = {}
_lock = threading.RLock()


def names() -> list[str]:
    """Return the names that need no path: registered and built in, with their aliases, sorted."""
    return sorted({*_registered, *_BUILTIN, *_ALIASES})


def register(name: str, factory: Factory, *, replace: bool = False) -> None:
    """Make ``load(name)`` call ``factory()``, once per process.

    Raises:
        InputError: the name is empty or taken; pass ``replace=True`` to replace one of your own.
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"an encoder's name is {name!r}; give a string that is not blank")
    if name in _BUILTIN or name in _ALIASES:
        raise InputError(f"the encoder name {name!r} is built in; choose another")
    with _lock:
        if name in _registered and not replace:
            raise InputError(f"the encoder name {name!r} is taken; choose another or pass replace=True")
        _registered[name] = factory
        _loaded.pop(name, None)


def load(name: str) -> Encoder:
    """Return the encoder of a name; the same instance each time within this process.

    Accepted, tried in this order: a registered name; a built-in name (``all-MiniLM-L6-v2``, also
    called ``minilm``); the path of a folder saved by sentence-transformers; the name of a Hugging
    Face hub repository, ``owner/name``.

    Raises:
        EncoderError: the name is unknown, or the model cannot be loaded.
    """
    if not isinstance(name, str) or not name:
        raise EncoderError(f"the encoder {name!r} is unknown; {_accepted()}")
    name = _ALIASES.get(name, name)
    with _lock:
        key, factory = _find(name)
        if key not in _loaded:
            encoder = factory()
            Model.of(name, encoder)  # what follows none of the protocols is refused now
            _loaded[key] = encoder
        return _loaded[key]


def _find(name: str) -> tuple[str, Factory]:
    """Return the key that an encoder is remembered under, and its factory."""
    if name in _registered:
        return name, _registered[name]
    if name in _BUILTIN:
        module, _, attribute = _BUILTIN[name].partition(":")
        return name, getattr(importlib.import_module(module), attribute)
    path = Path(name).expanduser()
    if path.is_dir():
        path = path.resolve()
        return str(path), lambda: _sources("local")(path)
    looks_like_path = name.startswith((".", "~", os.sep)) or path.is_absolute()
    if not looks_like_path and _HUB_NAME.fullmatch(name):
        return name, lambda: _sources("hub")(name)
    raise EncoderError(f"the encoder {name!r} is unknown; {_accepted()}")


def _sources(function: str) -> Callable[..., Encoder]:
    from hybrid.encoders import sources

    loader: Callable[..., Encoder] = getattr(sources, function)
    return loader


def _accepted() -> str:
    return (
        f"accepted: {', '.join(names())}; the path of an existing folder saved by sentence-transformers; "
        "or a Hugging Face hub name owner/name"
    )
