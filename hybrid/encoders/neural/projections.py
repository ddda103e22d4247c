"""Linear layers over token vectors, as late-interaction models store them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.encoders.neural.layout import read_object
from hybrid.encoders.neural.loading import torch_library
from hybrid.errors import EncoderError

_NAMES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """A linear layer of torch in float32, how many numbers it gives, and a digest of its weights."""

    layer: Any
    width: int
    digest: str


def read_projection(folder: Path, width: int) -> Projection:
    """Read the tensors ``linear.weight`` and, if there is one, ``linear.bias``.

    They stand in a folder of their own (sentence-transformers, PyLate) or among a transformer's weights
    (Stanford).

    Raises:
        EncoderError: there are none, they do not take ``width`` numbers, or what follows is not supported.
    """
    config = read_object(folder / "config.json", optional=True)
    after = str(config.get("activation_function", "Identity")).rsplit(".", 1)[-1]
    if after != "Identity" or config.get("use_residual"):
        more = " and a residual" if config.get("use_residual") else ""
        raise EncoderError(
            f"{folder / 'config.json'} asks for {after}{more} behind the linear layer, which is not "
            "supported; accepted: Identity, without a residual"
        )
    found = _tensors(folder)
    weight, bias = found.get("linear.weight"), found.get("linear.bias")
    if weight is None or weight.ndim != 2 or weight.shape[1] != width:
        shape = "nothing" if weight is None else f"shape {tuple(weight.shape)}"
        raise EncoderError(
            f"the weights in {folder} have {shape} for 'linear.weight'; a matrix with {width} columns is "
            "expected"
        )
    torch = torch_library()
    layer = torch.nn.Linear(width, weight.shape[0], bias=bias is not None)
    layer.load_state_dict({key.removeprefix("linear."): tensor.float() for key, tensor in found.items()})
    digest = hashlib.blake2b(digest_size=16)
    for key in sorted(found):
        digest.update(found[key].float().numpy().tobytes())
    return Projection(layer.requires_grad_(False), int(weight.shape[0]), digest.hexdigest())


def _tensors(folder: Path) -> dict[str, Any]:
    """Return the tensors of a layer by name, without reading those of a transformer beside them."""
    path = next((folder / name for name in _NAMES if (folder / name).is_file()), folder / _NAMES[0])
    torch = torch_library()
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                names = set(file.keys())
                return {key: file.get_tensor(key) for key in ("linear.weight", "linear.bias") if key in names}
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # missing, damaged or foreign files: many unrelated types
        raise EncoderError(f"cannot read the linear layer in {path}: {error}") from error
    return {key: state[key] for key in ("linear.weight", "linear.bias") if key in state}
