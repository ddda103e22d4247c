"""The files of sentence-transformers around a transformer: its modules, settings and prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.errors import EncoderError

PROMPT_NAMES = {"query": ("query",), "document": ("document", "passage", "corpus")}
"""What sentence-transformers looks for in ``prompts``, in this order."""


@dataclass(frozen=True, slots=True)
class Part:
    """One module: the last word of its type, and its folder."""

    kind: str
    folder: Path


def read_object(path: Path, *, optional: bool = False) -> Mapping[str, Any]:
    """Return the JSON object in a file; an empty one if the file is optional and absent.

    Raises:
        EncoderError: it cannot be read, or holds something else.
    """
    if optional and not path.is_file():
        return {}
    value = _read(path)
    if not isinstance(value, dict):
        raise EncoderError(f"{path} holds a JSON {type(value).__name__}; an object is expected")
    return value


def parts(folder: Path) -> list[Part]:
    """Return the modules of a folder, in order; none if it has no ``modules.json``.

    Raises:
        EncoderError: the file cannot be read.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return []
    try:
        return [Part(_last(module["type"]), folder / module["path"]) for module in _read(path)]
    except (TypeError, KeyError) as error:
        raise EncoderError(f"{path} is not a list of modules: {error!r}") from error


def routes(folder: Path) -> Mapping[str, list[Part]]:
    """Return the modules of each route of a Router, "query" and "document" among them.

    Raises:
        EncoderError: ``router_config.json`` cannot be read.
    """
    path = folder / "router_config.json"
    config = read_object(path)
    try:
        return {
            route: [Part(_last(config["types"][name]), folder / name) for name in names]
            for route, names in config["structure"].items()
        }
    except (TypeError, KeyError, AttributeError) as error:
        raise EncoderError(f"{path} does not describe routes: {error!r}") from error


def settings(folder: Path) -> Mapping[str, Any]:
    """Return the object in ``config_sentence_transformers.json``; an empty one if there is none."""
    return read_object(folder / "config_sentence_transformers.json", optional=True)


def prompts(folder: Path) -> tuple[str, str]:
    """Return what stands before a query and before a document; "" for nothing.

    Raises:
        EncoderError: a prompt is no string.
    """
    named = settings(folder).get("prompts") or {}
    found = [
        next((named[key] for key in PROMPT_NAMES[side] if named.get(key) is not None), "")
        for side in ("query", "document")
    ]
    for prompt in found:
        if not isinstance(prompt, str):
            raise EncoderError(f"a prompt of the model in {folder} is {prompt!r}; it must be a string")
    return found[0], found[1]


def stated_window(folder: Path) -> int | None:
    """Return ``max_seq_length`` of a transformer's folder; None if it is not set."""
    limit = read_object(folder / "sentence_bert_config.json", optional=True).get("max_seq_length")
    return int(limit) if limit is not None else None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"cannot read {path}: {error}") from error


def _last(kind: Any) -> str:
    return str(kind).rsplit(".", 1)[-1]
