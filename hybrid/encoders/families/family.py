"""One published model as plain values, read from ``models.toml`` beside this file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from hybrid.batches import Representation

Pooling: TypeAlias = Literal["cls", "mean", "max", "last"]
"""How token vectors become one: the first, their mean, each number's maximum, or the last."""

ACCEPTED_POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

_DATA = Path(__file__).with_name("models.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What is known of one model besides its weights.

    ``name``: its repository on the Hugging Face hub. ``dimension``: of a dense vector or of a token's
    vector; 0 where the vocabulary decides. ``max_tokens``: the longest document, special tokens included.
    ``matryoshka``: the lengths that vectors may be cut to, longest first; empty if the model was not
    trained for it. ``end_token``: a text must end with the tokenizer's end token. ``bidirectional``: a
    decoder whose tokens see what follows. ``remote_code``: its vectors need the Python code of its
    repository. ``layer_norm``: pooled vectors are standardised before they are cut. ``query_task`` and
    ``document_task``: names of its adapters. ``source``: where the row was read; ``unverified``: what was
    not found there.
    """

    name: str
    aliases: tuple[str, ...] = ()
    title: str
    gives: tuple[Representation, ...] = ("dense",)
    pooling: Pooling | None = None
    normalize: bool = True
    dimension: int
    max_tokens: int
    query_prefix: str = ""
    document_prefix: str = ""
    matryoshka: tuple[int, ...] = ()
    similarity: Literal["cosine", "dot", "maxsim"] = "cosine"
    languages: str = "English"
    licence: str
    end_token: bool = False
    bidirectional: bool = False
    remote_code: bool = False
    layer_norm: bool = False
    query_task: str = ""
    document_task: str = ""
    note: str = ""
    source: tuple[str, ...]
    unverified: tuple[str, ...] = ()

    @property
    def card(self) -> str:
        """The address of its model card."""
        return f"https://huggingface.co/{self.name}"


@cache
def families() -> tuple[Family, ...]:
    """Return every known model, by family and size."""
    groups = tomllib.loads(_DATA.read_text(encoding="utf-8"))["family"]
    return tuple(family for group in groups for family in _rows(group))


def find(name: str) -> Family | None:
    """Return what is known of a model by its repository or a short name, in any case; None if nothing is.

    >>> find("e5-base-v2").query_prefix
    'query: '
    """
    return _by_name().get(name.casefold())


@cache
def _by_name() -> Mapping[str, Family]:
    found: dict[str, Family] = {}
    for family in families():
        for name in (family.name, *family.aliases):
            found[name.casefold()] = family
    return found


def _rows(group: dict[str, Any]) -> Iterator[Family]:
    """Yield the models of one family: what is said of the family holds for each, unless it says otherwise."""
    common = {key: value for key, value in group.items() if key != "model"}
    known = {field.name for field in fields(Family)}
    for model in group["model"]:
        row: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in (common | model).items()
        }
        if unknown := set(row) - known:
            raise ValueError(f"{_DATA.name}: {model.get('name')} has the unknown keys {sorted(unknown)}")
        yield Family(**row)
