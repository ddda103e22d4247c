"""Rerankers by name, one instance per process."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hybrid.errors import EncoderError, InputError
from hybrid.types import Reranker

Factory = Callable[[], Reranker]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_FILES = ["*.json", "*.txt", "*.model", "model*.safetensors", "pytorch_model*.bin"]

_registered: dict[str, Factory] = {}
_loaded: dict[str, Reranker] = {}
_lock = threading.RLock()


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

    Accepted, tried in this order: a registered name; the path of a folder that holds a cross-encoder; the
    name of a Hugging Face hub repository, ``owner/name``. ``options`` are those of
    `hybrid.rerankers.cross_encoder.CrossEncoder.load`: ``device``, ``dtype``, ``max_tokens``,
    ``passages``, ``trust_remote_code``; and ``revision`` for a repository.

    Raises:
        EncoderError: the name is unknown, or the model cannot be loaded.
    """
    with _lock:
        if name in _registered:
            if options:
                raise InputError(f"the reranker {name!r} is registered, and takes no {', '.join(options)}")
            if name not in _loaded:
                _loaded[name] = _registered[name]()
            return _loaded[name]
        if options or name not in _loaded:
            reranker = _cross_encoder(name, **options)
            if options:
                return reranker
            _loaded[name] = reranker
        return _loaded[name]


def _cross_encoder(name: str, revision: str | None = None, **options: Any) -> Reranker:
    from hybrid.rerankers.cross_encoder import CrossEncoder

    folder = Path(name).expanduser()
    if folder.is_dir():
        return CrossEncoder.load(folder, name=folder.resolve().name, **options)
    if _HUB_NAME.fullmatch(name):
        return CrossEncoder.load(_download(name, revision), name=name, **options)
    known = f"registered: {', '.join(sorted(_registered))}; " if _registered else ""
    raise EncoderError(
        f"the reranker {name!r} is unknown; {known}accepted: the path of an existing folder with a "
        "cross-encoder, or a Hugging Face hub name owner/name"
    )


def _download(repo: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=_FILES))
    except Exception as error:  # network, permission, unknown repository: many unrelated types
        raise EncoderError(f"cannot download {repo!r} from the Hugging Face hub: {error}") from error
