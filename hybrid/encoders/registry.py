"""Encoders by name, one instance per process."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

from hybrid import forking
from hybrid.encoders.families import Pooling, find
from hybrid.encoders.model import Model
from hybrid.encoders.request import Backend, Dtype, Options
from hybrid.errors import EncoderError, InputError
from hybrid.types import Encoder

Factory = Callable[[], Encoder]

_BUNDLED = "all-MiniLM-L6-v2"
_ALIASES = {"minilm": _BUNDLED, "sentence-transformers/all-MiniLM-L6-v2": _BUNDLED}

_APIS = ("openai", "cohere", "voyage", "jina", "tei")

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)

_registered: dict[str, Factory] = {}
_loaded: dict[tuple[str, Options], Encoder] = {}
_lock = forking.Lock(threading.RLock)


def names() -> list[str]:
    """Return the names that need no path and no download: registered and built in, with aliases, sorted."""
    return sorted({*_registered, _BUNDLED, *_ALIASES})


def register(name: str, factory: Factory, *, replace: bool = False) -> None:
    """Make ``load(name)`` call ``factory()``, once per process.

    Raises:
        InputError: the name is empty or taken; pass ``replace=True`` to replace one of your own.
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"an encoder's name is {name!r}; give a string that is not blank")
    if name == _BUNDLED or name in _ALIASES:
        raise InputError(f"the encoder name {name!r} is built in; choose another")
    with _lock:
        if name in _registered and not replace:
            raise InputError(f"the encoder name {name!r} is taken; choose another or pass replace=True")
        _registered[name] = factory
        _loaded.pop((name, Options()), None)


def load(
    name: str,
    *,
    backend: Backend = "auto",
    device: str | None = None,
    dtype: Dtype = "float32",
    revision: str | None = None,
    family: str | None = None,
    query_prefix: str | None = None,
    document_prefix: str | None = None,
    pooling: Pooling | None = None,
    max_tokens: int | None = None,
    dimension: int | None = None,
    trust_remote_code: bool = False,
    base_url: str | None = None,
) -> Encoder:
    """Return the encoder of a name; the same instance each time for the same options within this process.

    Accepted names, tried in this order: a registered name; a known model by its short name, such as
    ``bge-m3`` or ``e5-base-v2`` (``docs/models.md`` lists them; ``minilm`` is bundled); the path of a model's
    folder; the name of a Hugging Face hub repository, ``owner/name``. A model behind an API is
    ``openai:``, ``cohere:``, ``voyage:``, ``jina:`` or ``tei:`` and its name (`hybrid.encoders.api.connect`).

    The options are those of `Options`. If any was given, pass what comes back as ``encoders={name: encoder}``
    to ``hybrid.create`` and ``hybrid.open``; a pipeline names the model only.

    Raises:
        EncoderError: the name is unknown, or the model cannot be loaded, or nothing says how to use it.
        InputError: an option is wrong, or does not fit the model.
        MissingDependencyError: what runs the model is not installed.
    """
    options = Options(
        backend=backend,
        device=device,
        dtype=dtype,
        revision=revision,
        family=family,
        query_prefix=query_prefix,
        document_prefix=document_prefix,
        pooling=pooling,
        max_tokens=max_tokens,
        dimension=dimension,
        trust_remote_code=trust_remote_code,
        base_url=base_url,
    )
    if not isinstance(name, str) or not name:
        raise EncoderError(f"the encoder {name!r} is unknown; {_accepted()}")
    name = _ALIASES.get(name, name)
    with _lock:
        key, factory = _find(name, options)
        if (key, options) not in _loaded:
            encoder = factory()
            Model.of(name, encoder)  # what follows none of the protocols is refused now
            _loaded[key, options] = encoder
        return _loaded[key, options]


def _find(name: str, options: Options) -> tuple[str, Factory]:
    """Return the key that an encoder is remembered under, and its factory."""
    if name in _registered:
        if options != Options():
            raise InputError(
                f"the encoder {name!r} was registered with its own factory, which takes no options"
            )
        return name, _registered[name]
    if name.partition(":")[0] in _APIS and name.partition(":")[2]:
        return name, lambda: _from_api(name, options)
    if options.base_url is not None:
        raise InputError(f"base_url is for models behind an API, such as openai:{name}; {name!r} names none")
    if name == _BUNDLED and options.revision is None:
        return name, lambda: _bundled(options)
    known = find(name)
    if known is not None:
        return known.name, lambda: _from_hub(known.name, options)
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path.resolve()), lambda: _from_folder(path.resolve(), options)
    looks_like_path = name.startswith((".", "~", os.sep)) or path.is_absolute()
    if not looks_like_path and _HUB_NAME.fullmatch(name):
        return name, lambda: _from_hub(name, options)
    raise EncoderError(f"the encoder {name!r} is unknown; {_accepted()}")


def _from_api(name: str, options: Options) -> Encoder:
    from hybrid.encoders.api import connect

    only = Options(
        base_url=options.base_url,
        dimension=options.dimension,
        query_prefix=options.query_prefix,
        document_prefix=options.document_prefix,
        max_tokens=options.max_tokens,
        family=options.family,
    )
    if options != only:
        raise InputError(
            f"{name!r} is a model behind an API; accepted options: base_url, dimension, query_prefix, "
            "document_prefix, max_tokens, family"
        )
    return connect(
        name,
        base_url=options.base_url,
        dimension=options.dimension,
        query_prefix=options.query_prefix,
        document_prefix=options.document_prefix,
        max_tokens=options.max_tokens,
        family=options.family,
    )


def _bundled(options: Options) -> Encoder:
    from hybrid.encoders.loading import load_folder
    from hybrid.encoders.sources import minilm_folder

    return load_folder(minilm_folder(), _BUNDLED, options, find(_BUNDLED))


def _from_folder(folder: Path, options: Options) -> Encoder:
    from hybrid.encoders.loading import load_folder

    if options.revision is not None:
        raise InputError(f"revision is {options.revision!r}, and {folder} is a folder; leave revision out")
    return load_folder(folder, folder.name, options)


def _from_hub(repo: str, options: Options) -> Encoder:
    from hybrid.encoders.loading import load_folder
    from hybrid.encoders.onnx_loading import needs_file
    from hybrid.encoders.sources import commit, download

    folder = download(repo, options.revision, code=options.trust_remote_code)
    if needs_file(folder, options):
        folder = download(repo, options.revision, code=options.trust_remote_code, onnx=True)
    return load_folder(folder, repo, options, find(repo), commit(folder))


def _accepted() -> str:
    return (
        f"accepted: {', '.join(names())}; another known model, such as bge-m3 or e5-base-v2; the path of an "
        "existing folder saved by sentence-transformers or transformers; a Hugging Face hub name "
        "owner/name; or a model behind an API, such as openai:text-embedding-3-small"
    )
