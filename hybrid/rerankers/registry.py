"""Rerankers by name, one instance per process."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from hybrid import forking
from hybrid.encoders.sources import download
from hybrid.errors import EncoderError, InputError
from hybrid.rerankers.request import Options
from hybrid.types import Reranker

Factory = Callable[[], Reranker]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)

_registered: dict[str, Factory] = {}
_loaded: dict[str, Reranker] = {}
_lock = forking.Lock(threading.RLock)


def register(name: str, factory: Factory, *, replace: bool = False) -> None:
    """Make ``load(name)``, and rerank stages that name it, call ``factory()``, once per process.

    Raises:
        InputError: the name is empty or taken; pass ``replace=True`` to replace it.
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"a reranker's name is {name!r}; give a string that is not blank")
    with _lock:
        if name in _registered and not replace:
            raise InputError(f"the reranker name {name!r} is taken; choose another or pass replace=True")
        _registered[name] = factory
        _loaded.pop(name, None)


def load(name: str, **options: Any) -> Reranker:
    """Return the reranker of a name; without options the same instance each time within this process.

    Accepted, tried in this order: a registered name; a model behind an API, ``provider:model``; the path of
    a folder that holds a cross-encoder; the name of a Hugging Face hub repository, ``owner/name``.
    ``options`` are those of `hybrid.rerankers.request.Options`: ``backend``, ``device``, ``dtype`` and so on;
    of an API, those of `hybrid.rerankers.api.connect` or `connect_listwise`. ``docs/rerankers.md`` has a
    table.

    Raises:
        EncoderError: the name is unknown, or the model cannot be loaded.
        InputError: an option is unknown, or has a value that cannot be had.
    """
    with _lock:
        if name in _registered:
            if options:
                raise InputError(f"the reranker {name!r} is registered, and takes no {', '.join(options)}")
            if name not in _loaded:
                _loaded[name] = _registered[name]()
            return _loaded[name]
        if options or name not in _loaded:
            reranker = _make(name, options)
            if options:
                return reranker
            _loaded[name] = reranker
        return _loaded[name]


def _make(name: str, options: Mapping[str, Any]) -> Reranker:
    from hybrid.rerankers import api

    connect = api.maker_of(name)
    accepted = [field.name for field in fields(Options)]
    if connect is not None:
        accepted = [option for option in inspect.signature(connect).parameters if option != "name"]
    for option in options:
        if option not in accepted:
            raise InputError(f"{option!r} is no option of {name!r}; accepted: {', '.join(accepted)}")
    return _local(name, Options(**options)) if connect is None else connect(name, **options)


def _local(name: str, options: Options) -> Reranker:
    from hybrid.rerankers.loading import load_folder, needs_file

    folder = Path(name).expanduser()
    if folder.is_dir():
        if options.revision is not None:
            raise InputError(
                f"revision is {options.revision!r}, and {folder} is a folder; leave revision out"
            )
        return load_folder(folder, folder.resolve().name, options)
    if _HUB_NAME.fullmatch(name):
        folder = download(name, options.revision, code=options.trust_remote_code)
        if needs_file(folder, options):
            folder = download(name, options.revision, code=options.trust_remote_code, onnx=True)
        return load_folder(folder, name, options)
    known = f"registered: {', '.join(sorted(_registered))}; " if _registered else ""
    raise EncoderError(
        f"the reranker {name!r} is unknown; {known}accepted: the path of an existing folder with a "
        "cross-encoder, a Hugging Face hub name owner/name, or a model behind an API, such as "
        "cohere:rerank-v3.5"
    )
