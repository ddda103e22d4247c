"""What the files of a late-interaction model say: markers, lengths, query augmentation, skipped tokens.

Understood are the layouts of Stanford's ColBERT (``artifact.metadata``, the projection among the weights), of
PyLate (settings in ``config_sentence_transformers.json``), of sentence-transformers' MultiVectorEncoder
(settings beside each module), and a transformer alone, whose token vectors are taken as they are.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.encoders.neural import layout
from hybrid.encoders.neural.layout import Part
from hybrid.encoders.neural.loading import read_config
from hybrid.errors import EncoderError

_STANFORD_QUERY = 32
_STANFORD_DOCUMENT = 220
"""The lengths of ColBERT's own settings, for what ``artifact.metadata`` leaves out."""

_PYLATE_QUERY = 32
_PYLATE_DOCUMENT = 180


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Queries are filled up with mask tokens, whose vectors count (Khattab and Zaharia 2020, section 3.2).

    ``length``: up to so many tokens. ``fixed``: longer queries are cut there. ``attend``: whether tokens see
    the added ones. ``token``: what is added; None for the tokenizer's mask token, or else its end token.
    """

    length: int = _STANFORD_QUERY
    fixed: bool = True
    attend: bool = False
    token: str | None = None


@dataclass(frozen=True, slots=True)
class ColbertLayout:
    """Where the parts of a model are, and how texts are prepared.

    ``projections``: the folders of its linear layers, in order; in a transformer's own folder, the layer is
    among its weights. ``query_marker``, ``document_marker``: the token behind the first one
    of each text. ``query_length``, ``document_length``: where texts are cut, special tokens and markers
    included; None for the model's window. ``skipped``: tokens whose vectors are left out, on the sides
    ``skipping``.
    """

    transformer: Path
    projections: tuple[Path, ...] = ()
    query_prefix: str = ""
    document_prefix: str = ""
    query_marker: str | None = None
    document_marker: str | None = None
    query_length: int | None = None
    document_length: int | None = None
    augmentation: Augmentation | None = None
    skipped: tuple[str, ...] = ()
    skipping: tuple[str, ...] = ("document",)


def read_layout(folder: Path) -> ColbertLayout:
    """Read the small files of a model's folder.

    Raises:
        EncoderError: a file is malformed, or asks for something not supported.
    """
    parts = layout.parts(folder)
    if parts:
        return _modules(folder, parts)
    if "HF_ColBERT" in (read_config(folder).get("architectures") or ()):
        return _stanford(folder)
    query, document = layout.prompts(folder)
    return ColbertLayout(folder, query_prefix=query, document_prefix=document)


def _stanford(folder: Path) -> ColbertLayout:
    said = layout.read_object(folder / "artifact.metadata", optional=True)
    return ColbertLayout(
        folder,
        projections=(folder,),
        query_marker=said.get("query_token_id") or "[unused0]",
        document_marker=said.get("doc_token_id") or "[unused1]",
        document_length=said.get("doc_maxlen") or _STANFORD_DOCUMENT,
        augmentation=Augmentation(
            said.get("query_maxlen") or _STANFORD_QUERY, attend=bool(said.get("attend_to_mask_tokens"))
        ),
        skipped=tuple(string.punctuation) if said.get("mask_punctuation", True) else (),
    )


def _modules(folder: Path, parts: Sequence[Part]) -> ColbertLayout:
    kinds = [part.kind for part in parts]
    known = {"Transformer", "Dense", "MultiVectorMask", "Normalize", "Pooling"}
    if kinds[0] != "Transformer" or set(kinds) - known or {"Dense", "Pooling"} <= set(kinds):
        raise EncoderError(
            f"the modules of {folder} are {kinds}; accepted: a transformer, linear layers, and "
            "MultiVectorMask and Normalize; or a transformer with pooling, which is left out"
        )
    query, document = layout.prompts(folder)
    settings = layout.settings(folder)
    common: dict[str, Any] = {
        "transformer": parts[0].folder,
        "projections": tuple(part.folder for part in parts if part.kind == "Dense"),
        "query_prefix": query,
        "document_prefix": document,
    }
    if settings.get("model_type") == "ColBERT" or "query_prefix" in settings:
        return _pylate(settings, common)
    said = layout.read_object(parts[0].folder / "sentence_bert_config.json", optional=True)
    masks = [part.folder for part in parts if part.kind == "MultiVectorMask"]
    mask = layout.read_object(masks[0] / "config.json", optional=True) if masks else {}
    if mask.get("keep_only_token_ids"):
        raise EncoderError(f"{masks[0] / 'config.json'} keeps some token ids only, which is not supported")
    window = said.get("max_seq_length")
    return ColbertLayout(
        **common,
        query_length=said.get("query_length") or window,
        document_length=said.get("document_length") or window,
        augmentation=_augmentation(said.get("query_expansion")),
        skipped=tuple(mask.get("skiplist_words") or ()),
        skipping=tuple(mask.get("skiplist_tasks") or ("document",)),
    )


def _pylate(settings: Mapping[str, Any], common: Mapping[str, Any]) -> ColbertLayout:
    length = settings.get("query_length") or _PYLATE_QUERY
    words = settings.get("skiplist_words")
    augmented = settings.get("do_query_expansion") is not False
    attend = bool(settings.get("attend_to_expansion_tokens"))
    return ColbertLayout(
        **common,
        query_marker=settings.get("query_prefix") or None,
        document_marker=settings.get("document_prefix") or None,
        query_length=length,
        document_length=settings.get("document_length") or _PYLATE_DOCUMENT,
        augmentation=Augmentation(length, attend=attend) if augmented else None,
        skipped=tuple(string.punctuation if words is None else words),
    )


def _augmentation(said: Mapping[str, Any] | None) -> Augmentation | None:
    if said is None:
        return None
    strategy, length = said.get("strategy"), said.get("length")
    if strategy not in ("fixed", "min") or not isinstance(length, int) or length < 1:
        raise EncoderError(
            f"the query expansion of the model is {dict(said)!r}; its strategy must be 'fixed' or 'min', and "
            "its length a whole number of at least 1"
        )
    return Augmentation(length, strategy == "fixed", bool(said.get("attend")), said.get("token"))
