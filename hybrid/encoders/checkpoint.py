"""A folder in the sentence-transformers layout, read into plain values.

Both layouts are understood: that of sentence-transformers 2 to 4 (``sentence_bert_config.json``
holds the window, pooling is a set of flags) and that of 5 and 6 (``tokenizer_config.json`` holds
the window, pooling is a name). What would change the vectors and is not supported is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from hybrid.errors import EncoderError

Pooling: TypeAlias = Literal["mean", "cls"]

WEIGHTS = "model.safetensors"
REQUIRED = ("config.json", "modules.json", "tokenizer.json", WEIGHTS)

_LEGACY_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True, slots=True)
class BertShape:
    """The numbers that define a BERT encoder."""

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    epsilon: float

    def __str__(self) -> str:
        """Name everything that decides vectors and is not in the weights themselves."""
        return f"bert, {self.layers} layers, {self.heads} heads, gelu, epsilon {self.epsilon!r}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that turns texts into the vectors of one model.

    ``name`` is what errors and fingerprints call it; ``max_tokens`` counts the special tokens too.
    """

    name: str
    folder: Path
    bert: BertShape
    pooling: Pooling
    normalize: bool
    max_tokens: int
    query_prefix: str
    document_prefix: str

    @property
    def weights(self) -> Path:
        """The safetensors file, through any link."""
        return (self.folder / WEIGHTS).resolve()

    @property
    def tokenizer(self) -> Path:
        """The ``tokenizer.json`` file."""
        return self.folder / "tokenizer.json"


def read_checkpoint(folder: Path, name: str | None = None) -> Checkpoint:
    """Read a sentence-transformers folder; ``name`` defaults to the folder's own.

    Cosine models without a Normalize module are normalised here, because similarity is the inner
    product everywhere in this package.

    Raises:
        EncoderError: a file is missing or malformed, or asks for something not supported.
    """
    missing = [file for file in REQUIRED if not (folder / file).is_file()]
    if missing:
        raise EncoderError(
            f"the model folder {folder} lacks {', '.join(missing)}; give a folder saved by "
            "sentence-transformers with safetensors weights (SentenceTransformer(...).save(folder))"
        )
    pooling_path, normalize = _modules(folder)
    settings = _json(folder / "config_sentence_transformers.json", optional=True)
    similarity = settings.get("similarity_fn_name")
    if similarity not in (None, "cosine", "dot"):
        raise _unsupported(folder, "similarity_fn_name", similarity, "cosine or dot")
    query, document = _prefixes(folder, settings)
    bert = _bert_shape(folder)
    return Checkpoint(
        name=name or folder.resolve().name,
        folder=folder,
        bert=bert,
        pooling=_pooling(folder / pooling_path, bert.hidden, prefixed=bool(query or document)),
        normalize=normalize or similarity == "cosine",
        max_tokens=_max_tokens(folder, bert.positions),
        query_prefix=query,
        document_prefix=document,
    )


def _bert_shape(folder: Path) -> BertShape:
    path = folder / "config.json"
    config = _json(path)
    for key, accepted in (
        ("model_type", ("bert",)),
        ("hidden_act", ("gelu",)),
        ("position_embedding_type", (None, "absolute")),
        ("is_decoder", (None, False)),
    ):
        if config.get(key) not in accepted:
            raise _unsupported(path, key, config.get(key), str(accepted[-1]))
    try:
        shape = BertShape(
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            intermediate=int(config["intermediate_size"]),
            vocabulary=int(config["vocab_size"]),
            positions=int(config["max_position_embeddings"]),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EncoderError(f"{path} does not describe a BERT model: {error!r}") from error
    if shape.heads < 1 or shape.hidden % shape.heads:
        raise _unsupported(path, "num_attention_heads", shape.heads, f"a divisor of {shape.hidden}")
    return shape


def _modules(folder: Path) -> tuple[str, bool]:
    """Return the pooling module's path and whether a Normalize module follows."""
    path = folder / "modules.json"
    modules = _load(path)
    try:
        kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
        paths = [str(module["path"]) for module in modules]
    except (TypeError, KeyError) as error:
        raise EncoderError(f"{path} is not a list of modules: {error!r}") from error
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]) or paths[0]:
        raise _unsupported(path, "its modules", kinds, "Transformer, Pooling and optionally Normalize")
    return paths[1], len(kinds) == 3


def _pooling(folder: Path, hidden: int, *, prefixed: bool) -> Pooling:
    path = folder / "config.json"
    config = _json(path)
    mode = config.get("pooling_mode")
    if mode is None:
        chosen = [name for flag, name in _LEGACY_POOLING.items() if config.get(flag)]
        mode = chosen[0] if len(chosen) == 1 else chosen
    if mode not in ("mean", "cls"):
        raise _unsupported(path, "the pooling mode", mode, "mean or cls")
    if prefixed and not config.get("include_prompt", True):
        raise _unsupported(path, "include_prompt", False, "true for a model with prompts")
    width = config.get("embedding_dimension", config.get("word_embedding_dimension", hidden))
    if width != hidden:
        raise _unsupported(path, "the embedding dimension", width, f"the model's hidden size {hidden}")
    return "mean" if mode == "mean" else "cls"


def _max_tokens(folder: Path, positions: int) -> int:
    path = folder / "sentence_bert_config.json"
    config = _json(path, optional=True)
    if config.get("do_lower_case"):
        raise _unsupported(path, "do_lower_case", True, "false (let the tokenizer change case)")
    limit = config.get("max_seq_length")
    if limit is None:
        path = folder / "tokenizer_config.json"
        limit = _json(path, optional=True).get("model_max_length")
    if limit is None:
        return positions
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 2:
        raise _unsupported(path, "the longest sequence", limit, "a number of at least 2")
    return int(min(limit, positions))


def _prefixes(folder: Path, settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return the query prompt and the document prompt, "" where the model has none.

    As in sentence-transformers' ``encode_query`` and ``encode_document``, the default prompt plays
    no part, and a document's prompt may be called document, passage or corpus.
    """
    prompts = settings.get("prompts") or {}
    query = prompts.get("query") or ""
    named = [prompts[key] for key in ("document", "passage", "corpus") if prompts.get(key) is not None]
    document = named[0] if named else ""
    for prompt in (query, document):
        if not isinstance(prompt, str):
            raise _unsupported(folder / "config_sentence_transformers.json", "a prompt", prompt, "a string")
    return query, document


def _json(path: Path, *, optional: bool = False) -> Mapping[str, Any]:
    """Return the JSON object in a file; an empty one if the file is optional and absent."""
    if optional and not path.is_file():
        return {}
    value = _load(path)
    if not isinstance(value, dict):
        raise EncoderError(f"{path} holds a JSON {type(value).__name__}; an object is expected")
    return value


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"cannot read {path}: {error}") from error


def _unsupported(path: Path, key: str, value: object, accepted: str) -> EncoderError:
    return EncoderError(f"{path}: {key} is {value!r}, which is not supported; accepted: {accepted}")
