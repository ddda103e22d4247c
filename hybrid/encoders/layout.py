"""What the files in a model's folder say of it, whatever it is run with.

Understood are the layouts of sentence-transformers 2 to 4 (``sentence_bert_config.json`` holds the window,
pooling is a set of flags) and of 5 and 6 (``tokenizer_config.json`` holds the window, pooling is a name), of
FlagEmbedding's BGE-M3, of ColBERT, and a model of transformers alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.batches import Representation
from hybrid.errors import EncoderError

_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "last",
}
_SPARSE_MODULES = {"SpladePooling", "SparseStaticEmbedding", "IDF", "MLMTransformer"}
_KINDS: Mapping[str, tuple[Representation, ...]] = {
    "SparseEncoder": ("sparse",),
    "MultiVectorEncoder": ("tokens",),
    "ColBERT": ("tokens",),
}
"""What ``model_type`` in ``config_sentence_transformers.json`` says that a model gives."""

_SIMILARITIES = (None, "cosine", "dot", "maxsim", "meanmaxsim", "MaxSim")
_PLAIN = (("Transformer", "Pooling"), ("Transformer", "Pooling", "Normalize"))


@dataclass(frozen=True, slots=True)
class Layout:
    """What a model's folder says; None where it says nothing.

    ``modules``: the kinds of its sentence-transformers modules, in order. ``pooling``: "cls", "mean", "max",
    "last", or what sentence-transformers calls it otherwise. ``include_prompt``: whether a prompt's tokens
    are pooled. ``max_tokens`` counts special tokens. ``remote_code``: its ``config.json`` names Python code
    of its own.
    """

    folder: Path
    modules: tuple[str, ...] = ()
    gives: tuple[Representation, ...] | None = None
    pooling: str | None = None
    include_prompt: bool = True
    normalize: bool | None = None
    max_tokens: int | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None
    remote_code: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is a transformer, pooled, and perhaps scaled to length 1: nothing else."""
        return not self.modules or self.modules in _PLAIN


def read_layout(folder: Path) -> Layout:
    """Read the small files of a model's folder.

    Raises:
        EncoderError: there is no ``config.json`` nor ``modules.json``, or a file is malformed.
    """
    if not any((folder / name).is_file() for name in ("config.json", "modules.json")):
        raise EncoderError(
            f"the model folder {folder} lacks config.json and modules.json; give a folder saved by "
            "transformers (save_pretrained) or sentence-transformers (save)"
        )
    modules = _modules(folder)
    settings = _object(folder / "config_sentence_transformers.json")
    similarity = settings.get("similarity_fn_name")
    if similarity not in _SIMILARITIES:
        raise EncoderError(
            f"{folder / 'config_sentence_transformers.json'}: similarity_fn_name is {similarity!r}, which is "
            "not supported; accepted: cosine, dot or maxsim"
        )
    kinds = tuple(kind for kind, _ in modules)
    pooling = next(
        (_object(folder / path / "config.json") for kind, path in modules if kind == "Pooling"), {}
    )
    query, document = _prompts(folder, settings)
    return Layout(
        folder=folder,
        modules=kinds,
        gives=_gives(folder, kinds, settings),
        pooling=_pooling(pooling),
        include_prompt=bool(pooling.get("include_prompt", True)),
        normalize=("Normalize" in kinds or similarity == "cosine") if kinds else None,
        max_tokens=_window(folder, next((path for kind, path in modules if kind == "Transformer"), "")),
        query_prefix=query,
        document_prefix=document,
        remote_code="AutoModel" in (_object(folder / "config.json").get("auto_map") or {}),
    )


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Return the kind and the folder of each sentence-transformers module; none without ``modules.json``."""
    path = folder / "modules.json"
    if not path.is_file():
        return []
    try:
        return [(str(module["type"]).rsplit(".", 1)[-1], str(module["path"])) for module in _load(path)]
    except (TypeError, KeyError) as error:
        raise EncoderError(f"{path} is not a list of modules: {error!r}") from error


def _gives(
    folder: Path, kinds: tuple[str, ...], settings: Mapping[str, Any]
) -> tuple[Representation, ...] | None:
    """Return what the model gives, as far as its files show it."""
    if (folder / "sparse_linear.pt").is_file() and (folder / "colbert_linear.pt").is_file():
        return ("dense", "sparse", "tokens")
    stated = _KINDS.get(str(settings.get("model_type")))
    if stated is not None:
        return stated
    if _SPARSE_MODULES & set(kinds) or (not kinds and (folder / "idf.json").is_file()):
        return ("sparse",)
    stanford = "HF_ColBERT" in (_object(folder / "config.json").get("architectures") or ())
    if stanford or (folder / "artifact.metadata").is_file() or kinds == ("Transformer", "Dense"):
        return ("tokens",)
    return ("dense",) if kinds else None


def _pooling(config: Mapping[str, Any]) -> str | None:
    mode = config.get("pooling_mode")
    if mode is None:
        mode = [name for flag, name in _FLAGS.items() if config.get(flag)]
    if isinstance(mode, list):
        mode = mode[0] if len(mode) == 1 else " and ".join(mode)
    return "last" if mode == "lasttoken" else mode or None


def _window(folder: Path, transformer: str) -> int | None:
    """Return the longest text; ``tokenizer_config.json`` counts only where sentence-transformers wrote it."""
    base = folder / transformer
    path = base / "sentence_bert_config.json"
    limit = _object(path).get("max_seq_length")
    if limit is None and (folder / "modules.json").is_file():
        path = base / "tokenizer_config.json"
        limit = _object(path).get("model_max_length")
    if limit is None or (isinstance(limit, int | float) and limit > 10**9):
        return None
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit < 2:
        raise EncoderError(f"{path}: the longest sequence is {limit!r}; a number of at least 2 is expected")
    return int(limit)


def _prompts(folder: Path, settings: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the query's and the document's prompt, as sentence-transformers finds them.

    Its ``encode_query`` and ``encode_document`` take no default prompt, and a document's may be called
    document, passage or corpus. Empty prompts of a model that has none other say nothing.
    """
    prompts = settings.get("prompts") or {}
    query = prompts.get("query")
    document = next((prompts[key] for key in ("document", "passage", "corpus") if key in prompts), None)
    for prompt in (query, document):
        if prompt is not None and not isinstance(prompt, str):
            raise EncoderError(
                f"{folder / 'config_sentence_transformers.json'}: a prompt is {prompt!r}; "
                "a string is expected"
            )
    return (query, document) if query or document else (None, None)


def _object(path: Path) -> Mapping[str, Any]:
    """Return the JSON object in a file; an empty one if there is no file."""
    if not path.is_file():
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
