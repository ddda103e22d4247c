"""MiniCPM with a head of its own on each layer (bge-reranker-v2-minicpm-layerwise), by FlagEmbedding's class.

That class was written for transformers 4; four things stand in its way since 5, and are set right here:
the configuration's plain rotary embedding is no longer spelled None, tied weights are no longer listed,
loading leaves what is computed from the configuration (the rotary embedding's frequencies) as it finds it in
memory, and the cache of keys and values has another interface (scoring needs none).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hybrid.encoders.neural import loading
from hybrid.encoders.neural.loading import Dtype
from hybrid.errors import EncoderError, InputError, MissingDependencyError

_SPELLED_ANEW = ("rope_parameters", "rope_scaling", "model_type", "transformers_version", "auto_map")
_ARCHITECTURE = "LayerWiseMiniCPMForCausalLM"


def is_layerwise(config: Mapping[str, Any]) -> bool:
    """Return whether a ``config.json`` is that of such a model."""
    return _ARCHITECTURE in (config.get("architectures") or ())


def load(folder: Path, device: str, dtype: Dtype, layer: int | None) -> Callable[[Any, Any, Any], Any]:
    """Return what scores token ids, mask and last positions after one layer, None for the last.

    Raises:
        EncoderError: the weights do not belong to the model, or it has heads of another kind.
        InputError: the layer has no head, or the dtype is unknown.
        MissingDependencyError: torch, transformers or FlagEmbedding is not installed.
    """
    if dtype not in loading.DTYPES:
        raise InputError(f"dtype is {dtype!r}; accepted: {', '.join(loading.DTYPES)}")
    config = loading.read_config(folder)
    if config.get("head_type", "simple") != "simple" or not config.get("head_multi", True):
        raise EncoderError(
            f"{folder} has heads of the type {config.get('head_type')!r}; a head of one number on each layer "
            "is expected, as bge-reranker-v2-minicpm-layerwise has them"
        )
    first, final = int(config.get("start_layer", 8)), int(config["num_hidden_layers"])
    chosen = final if layer is None else layer
    if isinstance(chosen, bool) or not isinstance(chosen, int) or not first <= chosen <= final:
        raise InputError(f"layer is {layer!r}; give a whole number from {first} to {final}, or None")
    model = _model(folder, config, device, dtype)

    def last(ids: Any, mask: Any, ends: Any) -> Any:
        torch = loading.torch_library()
        given = model(input_ids=ids, attention_mask=mask, cutoff_layers=[chosen], use_cache=False)
        return given.logits[0][torch.arange(len(ids), device=ids.device), ends]

    return last


def _model(folder: Path, config: Mapping[str, Any], device: str, dtype: Dtype) -> Any:
    torch = loading.torch_library()
    kind, settings = _classes()
    scaling = config.get("rope_scaling")
    if scaling is not None:
        raise EncoderError(f"{folder} scales its rotary embedding ({scaling!r}), which is not supported here")
    known = {key: value for key, value in config.items() if key not in _SPELLED_ANEW}
    try:
        with loading.quiet():
            model = kind(settings(**known)).to(getattr(torch, dtype))
            left = model.load_state_dict(_tensors(folder), strict=False)
    except Exception as error:  # missing files, damaged weights: many unrelated types
        raise EncoderError(f"cannot load the model in {folder}: {error}") from error
    wrong = [*left.missing_keys, *left.unexpected_keys]
    if wrong:
        raise EncoderError(
            f"the weights in {folder} do not belong to its config.json: {len(wrong)} tensors are missing or "
            f"unknown, such as {min(wrong)!r}"
        )
    return model.eval().requires_grad_(False).to(device)


def _classes() -> tuple[Any, Any]:
    """Return FlagEmbedding's model and configuration, fit for the transformers that is installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's, about its own dependencies
            from FlagEmbedding.inference.reranker.decoder_only.models import (
                configuration_minicpm_reranker,
                modeling_minicpm_reranker,
            )
    except ModuleNotFoundError as error:
        raise MissingDependencyError("FlagEmbedding", "flagembedding") from error
    known = configuration_minicpm_reranker.LayerWiseMiniCPMConfig
    plain = property(lambda config: None, lambda config, value: None)
    # without an initialiser of its own, transformers would make a subclass a dataclass of no fields
    settings = type("Config", (known,), {"rope_scaling": plain, "__init__": known.__init__})
    kind = type(
        "Model",
        (modeling_minicpm_reranker.LayerWiseMiniCPMForCausalLM,),
        {"_tied_weights_keys": None, "config_class": settings},
    )
    return kind, settings


def _tensors(folder: Path) -> dict[str, Any]:
    """Return all weights of a folder."""
    from safetensors.torch import load_file

    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise EncoderError(f"{folder} has no model.safetensors")
    return {name: tensor for file in files for name, tensor in load_file(file).items()}
