"""A transformer and its tokenizer, loaded from a folder in the layout of the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias

from hybrid.encoders import request
from hybrid.encoders.weights import file_digest
from hybrid.errors import EncoderError, InputError, MissingDependencyError

Dtype: TypeAlias = request.Dtype
Head: TypeAlias = Literal["base", "mlm", "classification", "causal"]

DTYPES = ("float32", "float16", "bfloat16")
_CLASSES: Mapping[Head, str] = {
    "base": "AutoModel",
    "mlm": "AutoModelForMaskedLM",
    "classification": "AutoModelForSequenceClassification",
    "causal": "AutoModelForCausalLM",
}
_NOT_DECIDING = (
    "_name_or_path",
    "architectures",
    "dtype",
    "torch_dtype",
    "transformers_version",
    "use_cache",
)
"""Keys of ``config.json`` that change nothing that a model gives."""

_TOKENIZER_FILES = (
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
_UNUSED_PARTS = ("pooler.", "position_ids", "lm_head.decoder.bias", "cls.predictions.decoder.bias")
"""Weights that a checkpoint may lack: nothing reads them here, or they are tied to others."""


def torch_library() -> ModuleType:
    """Return torch.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingDependencyError("torch", "models") from error
    return torch


def transformers_library() -> ModuleType:
    """Return transformers.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise MissingDependencyError("transformers", "models") from error
    return transformers


def chosen_device(device: str | None) -> str:
    """Return the device to use: the given one, else cuda where there is one, else cpu.

    Raises:
        InputError: torch does not know the device, or this machine has not got it.
    """
    torch = torch_library()
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"the device {device!r} cannot be used ({str(error).splitlines()[0]}); give 'cpu', 'cuda' or "
            "'cuda:1', or None to choose by itself"
        ) from error
    return device


def load_model(folder: Path, head: Head, device: str, dtype: Dtype, *, trust_remote_code: bool) -> Any:
    """Return the torch module, in evaluation mode, on the device.

    Weights come from safetensors files, or else from ``pytorch_model.bin``, read without unpickling anything
    but tensors.

    Raises:
        EncoderError: the folder holds no such model, or its weights are not complete.
        InputError: the dtype is unknown.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype is {dtype!r}; accepted: {', '.join(DTYPES)}")
    torch, transformers = torch_library(), transformers_library()
    kind = getattr(transformers, _CLASSES[head])
    try:
        with quiet():
            model, found = kind.from_pretrained(
                str(folder),
                dtype=getattr(torch, dtype),
                local_files_only=True,
                trust_remote_code=trust_remote_code,
                output_loading_info=True,
            )
    except Exception as error:  # missing files, unknown architectures, damaged weights: many unrelated types
        raise EncoderError(f"cannot load the model in {folder}: {error}") from error
    wrong = [
        *(key for key in found["missing_keys"] if not any(part in key for part in _UNUSED_PARTS)),
        *(entry[0] if isinstance(entry, tuple) else entry for entry in found["mismatched_keys"]),
    ]
    if wrong:
        raise EncoderError(
            f"the weights in {folder} lack {len(wrong)} tensors of a {type(model).__name__}, such as "
            f"{min(wrong)!r}; give a folder whose weights belong to its config.json"
            + (" and have a masked-language-model head" if head == "mlm" else "")
        )
    return model.eval().requires_grad_(False).to(device)


def load_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """Return the tokenizer of transformers, which has a `tokenizers.Tokenizer` behind it.

    Raises:
        EncoderError: there is none, or it runs in Python only.
    """
    transformers = transformers_library()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=trust_remote_code
        )
    except Exception as error:  # missing or damaged files: many unrelated types
        raise EncoderError(f"cannot load the tokenizer in {folder}: {error}") from error
    if not tokenizer.is_fast:
        raise EncoderError(
            f"the tokenizer in {folder} has no fast form (tokenizer.json); load it with transformers and "
            "save it with save_pretrained, or choose another model"
        )
    return tokenizer


def cutting(tokenizer: Any, max_tokens: int | None) -> Any:
    """Return a copy of the tokenizer's fast form that cuts texts at a window, if any, and never pads."""
    from tokenizers import Tokenizer

    fast = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    fast.no_padding()
    if max_tokens is None:
        fast.no_truncation()
    else:
        fast.enable_truncation(max_tokens)
    return fast


def window(tokenizer: Any, model: Any, folder: Path, wanted: int | None, stated: int | None = None) -> int:
    """Return how many tokens a text may have, special tokens included.

    It is what is wanted, else what is stated of the model, else what the tokenizer says, and never more than
    the model has positions for.

    Raises:
        InputError: more is wanted than the model can take, or less than 2.
    """
    places = positions(model)
    if wanted is None:
        stated = stated or tokenizer.model_max_length
        limits = [n for n in (stated if stated < 10**9 else None, places) if n is not None]
        if limits:
            return int(min(limits))
        raise InputError(
            f"neither the tokenizer nor the model in {folder} says its longest text; give max_tokens"
        )
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 2 <= wanted <= (places or wanted):
        most = f"from 2 to the model's {places}" if places else "of at least 2"
        raise InputError(f"max_tokens is {wanted!r}; give a whole number {most}")
    return wanted


def positions(model: Any) -> int | None:
    """Return how many tokens the model has places for; None if it says nothing.

    Models of RoBERTa's kind count their places from behind the padding token's.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings"):
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - first
    stated = getattr(model.config, "max_position_embeddings", None)
    return int(stated) if stated and stated > 0 else None


def read_config(folder: Path) -> Mapping[str, Any]:
    """Return the object in ``config.json``.

    Raises:
        EncoderError: there is none.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"cannot read {path} ({error}); give a folder with config.json, a tokenizer and weights"
        ) from error
    if not isinstance(config, dict):
        raise EncoderError(f"{path} holds a JSON {type(config).__name__}; an object is expected")
    return config


def architecture(folder: Path, model: Any) -> str:
    """Return the model's class and a digest of all in ``config.json`` that decides what it computes."""
    deciding = {key: value for key, value in read_config(folder).items() if key not in _NOT_DECIDING}
    spelled = json.dumps(deciding, sort_keys=True, ensure_ascii=False).encode()
    return f"{type(model).__name__} {hashlib.blake2b(spelled, digest_size=8).hexdigest()}"


def weights_digest(folder: Path) -> str:
    """Return the digest of the weights: of the one file, or of the digests of several.

    Raises:
        EncoderError: there are none, or they cannot be read.
    """
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        files = sorted(folder.glob(pattern))
        if files:
            return joint_digest(files)
    raise EncoderError(f"{folder} has no model.safetensors and no pytorch_model.bin")


def tokenizer_digest(folder: Path) -> str:
    """Return the digest of ``tokenizer.json``, or of the files that the tokenizer is made from.

    Raises:
        EncoderError: there are none, or they cannot be read.
    """
    whole = folder / "tokenizer.json"
    files = (
        [whole]
        if whole.is_file()
        else [folder / name for name in _TOKENIZER_FILES if (folder / name).is_file()]
    )
    if not files:
        raise EncoderError(f"{folder} has no tokenizer.json")
    return joint_digest(files)


def joint_digest(files: list[Path]) -> str:
    """Return the digest of one file, or one of several files' digests, in order."""
    digests = [file_digest(file) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.blake2b("\n".join(digests).encode(), digest_size=32).hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back the library's bars and reports while a model loads; what is wrong becomes an error here."""
    logging = transformers_library().utils.logging
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
