"""Recipes: pipelines as TOML.

A part with several kinds carries its ``type``; what is left out has its default::

    name = "hybrid"

    [[branches]]
    type = "bm25"
    analyzer = "english"

    [[branches]]
    type = "dense"
    model = "all-MiniLM-L6-v2"

    [fusion]
    type = "weighted"
    alpha = 0.8
    normalizer = "tm2c2"

A recipe that is written holds every value, so that it keeps its meaning when a default changes; only
what says that nothing is asked for (None, or the default of a field marked neutral) is left out. Where None
is not the default, as of a pipeline's ``passages``, it is written as false.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybrid.branches import BRANCHES
from hybrid.branches.bm25 import spelling
from hybrid.branches.feedback import RM3
from hybrid.branches.passages import Passages
from hybrid.errors import PipelineError
from hybrid.fusion import FUSIONS, NORMALIZERS
from hybrid.index.dense import INDEXES
from hybrid.pipeline.pipeline import Pipeline
from hybrid.rerankers import STAGES, Neighbours
from hybrid.rewriting import REWRITERS
from hybrid.text import Analyzer, Cleaning
from hybrid.text.chunking import CHUNKERS

_KINDS: Mapping[str, Mapping[str, type[Any]]] = {
    "branches": BRANCHES,
    "fusion": FUSIONS,
    "rerank": STAGES,
    "normalizer": NORMALIZERS,
    "index": INDEXES,
    "chunker": CHUNKERS,
    "outer": CHUNKERS,
    "inner": CHUNKERS,
    "rewrite": REWRITERS,
}
"""The fields whose value is one of several kinds, and the classes by the kind's name."""

_PLAIN: Mapping[str, type[Any]] = {
    "cleaning": Cleaning,
    "passages": Passages,
    "expand": Neighbours,
    "feedback": RM3,
}
"""The fields whose value is of one kind, and its class."""

_NAMED = ("normalizer", "index")
"""Those that may be written as the kind's name alone."""


def read_recipe(path: str | Path) -> Pipeline:
    """Read a pipeline from a TOML file.

    Raises:
        PipelineError: the file is missing, is not TOML, or does not describe a pipeline.
    """
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or not a path at all
        raise PipelineError(f"cannot read the recipe {path}: {error}") from error
    try:
        return parse_recipe(text)
    except PipelineError as error:
        raise PipelineError(f"{path}: {error}") from error


def write_recipe(pipeline: Pipeline, path: str | Path) -> None:
    """Write a pipeline as a TOML file."""
    Path(path).write_text(format_recipe(pipeline), "utf-8")


def parse_recipe(text: str) -> Pipeline:
    """Return the pipeline that a TOML text describes.

    Raises:
        PipelineError: it is not TOML, or does not describe a pipeline; names what is accepted.
    """
    if not isinstance(text, str):
        raise PipelineError(f"the recipe is {text!r}; a string is needed (read_recipe reads a file)")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # more than TOMLDecodeError: numbers without end
        raise PipelineError(f"the recipe is not TOML: {error}") from error
    return from_dict(table)


def format_recipe(pipeline: Pipeline) -> str:
    """Return the TOML text that describes a pipeline, every value spelt out."""
    import tomli_w

    table = to_dict(pipeline)
    branches, fusion, rerank = (table.pop(name) for name in ("branches", "fusion", "rerank"))
    once: list[dict[str, Any]] = [
        {name: table.pop(name)}
        for name in ("cleaning", "passages", "rewrite")
        if isinstance(table.get(name), Mapping)
    ]
    blocks = [
        tomli_w.dumps(table),
        *(tomli_w.dumps(part) for part in once),
        *(_item("branches", branch) for branch in branches),
    ]
    blocks += [tomli_w.dumps({"fusion": fusion}), *(_item("rerank", stage) for stage in rerank)]
    return "\n".join(blocks)


def _item(name: str, table: Mapping[str, Any]) -> str:
    """Return one table of an array as ``[[name]]``, and tables inside it as ``[name.key]``."""
    import tomli_w

    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    flat = {key: value for key, value in table.items() if key not in inner}
    blocks = [f"[[{name}]]\n{tomli_w.dumps(flat)}"]
    blocks += [tomli_w.dumps({name: {key: value}}) for key, value in inner.items()]
    return "\n".join(blocks)


def to_dict(pipeline: Pipeline) -> dict[str, Any]:
    """Return a pipeline as plain values (strings, numbers, lists, dicts).

    Raises:
        PipelineError: it has a part that is not of this package, which a recipe cannot hold.
    """
    table = _table(pipeline)
    if pipeline.passages is None:
        table["passages"] = False
    return {"name": table.pop("name"), **table}


def from_dict(table: Mapping[str, Any]) -> Pipeline:
    """Return the pipeline that plain values describe; the inverse of `to_dict`.

    Raises:
        PipelineError: a field is unknown or missing, or its value is not accepted.
    """
    if isinstance(table, Mapping) and table.get("passages") is False:
        table = {**table, "passages": None}
    pipeline: Pipeline = _build(Pipeline, table, "the recipe")
    return pipeline


def from_stored(table: Mapping[str, Any]) -> Pipeline:
    """Return the pipeline that an index keeps; those that say nothing of passages were built without.

    Raises:
        PipelineError: it is none.
    """
    if not isinstance(table, Mapping):
        raise PipelineError(f"the index's pipeline is {table!r}; a table is needed")
    return from_dict({"passages": False, **table})


def _table(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as plain values; None and neutral defaults are left out."""
    fields = {f: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
    return {
        field.name: _plain(field.name, item)
        for field, item in fields.items()
        if item is not None and not (field.metadata.get("neutral") and item == field.default)
    }


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Analyzer):
        spelt = spelling(value)
        return spelt if isinstance(spelt, str) else _table(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value]
    if name in _KINDS and not isinstance(value, str):
        return _typed_table(name, value)
    return _table(value) if dataclasses.is_dataclass(value) else value


def _typed_table(name: str, value: Any) -> Any:
    """Return a part with its ``type``; a normalizer or index without fields as its name alone."""
    kinds = _KINDS[name]
    kind = next((kind for kind, cls in kinds.items() if cls is type(value)), None)
    if kind is None:
        raise PipelineError(
            f"a recipe cannot hold {value!r}; it can hold {', '.join(c.__name__ for c in kinds.values())}"
        )
    table = _table(value)
    return kind if name in _NAMED and not table else {"type": kind, **table}


def _build(cls: type[Any], table: Any, where: str) -> Any:
    """Make a value of ``cls`` from a table, naming what does not belong."""
    if not isinstance(table, Mapping):
        raise PipelineError(f"{where} is {table!r}; a table is needed")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    for name in table:
        if name not in fields:
            accepted = ", ".join(fields) or "none"
            raise PipelineError(f"{where} has the unknown field {name!r}; its fields are {accepted}")
    for name, field in fields.items():
        if name not in table and field.default is field.default_factory is dataclasses.MISSING:
            raise PipelineError(f"{where} has no {name}; give it one")
    return cls(**{name: _value(name, value, where) for name, value in table.items()})


def _value(name: str, value: Any, where: str) -> Any:
    if name == "analyzer" and isinstance(value, Mapping):
        return _build(Analyzer, value, f"{name} in {where}")
    if name == "rerank":
        return tuple(_typed(name, item, "a rerank stage") for item in _tables(name, value))
    if name in _PLAIN and value is not None:
        return _build(_PLAIN[name], value, name)
    if name == "branches":
        return tuple(_typed(name, item, "a branch") for item in _tables(name, value))
    if name in ("fusion", "chunker", "outer", "inner", "rewrite") or (
        name in _NAMED and isinstance(value, Mapping)
    ):
        return _typed(name, value, name)
    return tuple(value) if isinstance(value, list) else value


def _tables(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise PipelineError(f"{name} is {value!r}; write it as [[{name}]] tables")
    return value


def _typed(name: str, table: Any, what: str) -> Any:
    """Make a value of the class that the table's ``type`` names."""
    kinds = _KINDS[name]
    if not isinstance(table, Mapping):
        raise PipelineError(f"{what} is {table!r}; write a table with a type: {', '.join(kinds)}")
    kind = table.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        raise PipelineError(f"the type of {what} is {kind!r}; it is one of {', '.join(kinds)}")
    rest = {key: value for key, value in table.items() if key != "type"}
    return _build(kinds[kind], rest, f"{what} of type {kind!r}")
