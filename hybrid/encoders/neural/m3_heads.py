"""The three heads of BGE-M3 over the last hidden states, for one batch at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import Representation
from hybrid.encoders.neural.backbone import Backbone
from hybrid.encoders.neural.loading import torch_library
from hybrid.errors import EncoderError
from hybrid.types import Progress

SPARSE_FILE = "sparse_linear.pt"
TOKENS_FILE = "colbert_linear.pt"


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """What the model and its heads gave for one batch; None where it was not wanted.

    ``positions`` and ``mask`` as in `Ran`. ``dense``: (batch, hidden), of length 1. ``weights``: (batch,
    length), at least 0. ``vectors``: (batch, length - 1, dimension), of length 1, without the first token.
    All are torch tensors.
    """

    positions: NDArray[np.int64]
    mask: Any
    dense: Any = None
    weights: Any = None
    vectors: Any = None


class Runner(Protocol):
    """Runs BGE-M3 and its heads."""

    def __call__(
        self, ids: Sequence[Sequence[int]], wanted: Collection[Representation], progress: Progress | None
    ) -> Iterator[Heads]:
        """Run each text once; yield batches."""
        ...


class TransformersRunner:
    """The model on transformers, with the heads written here; heads compute in float32."""

    def __init__(self, backbone: Backbone) -> None:
        """Load the heads from the backbone's folder."""
        self._backbone = backbone
        self._sparse, self._tokens = (
            linear(backbone.folder / file, backbone.hidden).to(backbone.device)
            for file in (SPARSE_FILE, TOKENS_FILE)
        )

    def __call__(
        self, ids: Sequence[Sequence[int]], wanted: Collection[Representation], progress: Progress | None
    ) -> Iterator[Heads]:
        """Run each text once; yield batches."""
        normalize = torch_library().nn.functional.normalize
        for ran in self._backbone.run(ids, progress):
            hidden = ran.outputs.float()
            yield Heads(
                ran.positions,
                ran.mask,
                normalize(hidden[:, 0], dim=-1) if "dense" in wanted else None,
                self._sparse(hidden).squeeze(-1).relu() if "sparse" in wanted else None,
                normalize(self._tokens(hidden[:, 1:]), dim=-1) if "tokens" in wanted else None,
            )


def linear(path: Path, width: int) -> Any:
    """Return the linear layer in a file of torch's, in float32; only tensors are read, nothing is unpickled.

    Raises:
        EncoderError: the file is damaged, or is not a layer over so many numbers.
    """
    torch = torch_library()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        weight, bias = state["weight"].float(), state["bias"].float()
    except Exception as error:  # damaged or foreign files: many unrelated types
        raise EncoderError(f"cannot read the linear layer in {path}: {error}") from error
    if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
        raise EncoderError(
            f"the linear layer in {path} has weights of shape {tuple(weight.shape)}, and the model's "
            f"hidden size is {width}; they do not belong together"
        )
    layer = torch.nn.Linear(width, weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer.requires_grad_(False)
