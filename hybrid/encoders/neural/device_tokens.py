"""Late interaction on a device: stored token vectors in the memory of a GPU, compared there by torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybrid.encoders.neural.loading import chosen_device, torch_library
from hybrid.errors import EncoderError
from hybrid.types import Doubles, Floats

_BLOCK = 1 << 27
"""How many numbers are decoded at a time (1 GiB of float64)."""


class KeptTokens(NamedTuple):
    """Token vectors as an index keeps them; see `hybrid.index.multivector.codec.Kept`.

    ``bounds``: int64, shape (n + 1,), the tokens of each document. ``tables``: of residuals, the centroids
    and the levels that each byte stands for, float32. ``dimension``: how many numbers a vector has.
    """

    bounds: NDArray[np.int64]
    values: NDArray[Any]
    scales: NDArray[Any]
    codes: NDArray[np.uint16]
    tables: tuple[Floats, Floats] | None
    dimension: int


class DeviceTokens:
    """The token vectors of a segment on a device, as they are kept: they are copied there once.

    Scores are those of the processor to the bit: products in float64, in whatever order the device adds, say
    nearly which token is best; what an error bound cannot exclude is added again over the tree of
    `hybrid.kernels.inner`, by element-wise operations, which IEEE 754 defines. Documents lie end to end;
    none is filled up to the length of another.
    """

    def __init__(self, kept: KeptTokens, device: str) -> None:
        """Copy the vectors to a device, as torch names it.

        Raises:
            EncoderError: torch has no such device here, or the device has not enough memory.
            MissingDependencyError: torch is not installed.
        """
        self._torch = torch_library()
        self._bounds, self._dimension, self._device = kept.bounds, kept.dimension, chosen_device(device)
        try:
            self._values = self._there(kept.values)
            self._scales = self._there(kept.scales.astype(np.float64))
            self._codes = self._there(kept.codes.astype(np.int32))
            self._tables = None if kept.tables is None else tuple(map(self._there, kept.tables))
        except RuntimeError as error:
            raise EncoderError(
                f"{kept.values.nbytes:,} bytes of token vectors cannot be copied to the device {device!r}: "
                f"{error}; keep them smaller (storage, project, pool), or leave device out to compare on the "
                "processor"
            ) from error

    def _there(self, array: NDArray[Any]) -> Any:
        return self._torch.tensor(np.ascontiguousarray(array), device=self._device)

    def best(self, documents: NDArray[np.int64], query: Floats, errors: Doubles) -> Doubles:
        """Return max_j q_i·d_j for each document and query token: float64, shape (documents, m).

        ``documents``: int64. ``query``: float32, shape (m, d). ``errors``: float64, shape (m,), how far a
        product may be from the true one, before the token's scale.
        """
        with self._torch.inference_mode():
            asked, allowed = self._there(query.astype(np.float64)), self._there(2.0 * errors)
            parts = [self._part(part, asked, allowed).cpu().numpy() for part in self._parts(documents)]
        return np.concatenate(parts) if parts else np.empty((0, len(query)))

    def _parts(self, documents: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Yield runs of documents of about `_BLOCK` numbers."""
        sizes = self._bounds[documents + 1] - self._bounds[documents]
        block = (np.cumsum(sizes) - 1) * self._dimension // _BLOCK
        for part in np.split(documents, np.flatnonzero(np.diff(block)) + 1):
            if len(part):
                yield part

    def _part(self, documents: NDArray[np.int64], asked: Any, allowed: Any) -> Any:
        torch = self._torch
        starts = self._bounds[documents]
        sizes = self._bounds[documents + 1] - starts
        first = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
        rows = self._there(first + np.arange(len(first)))
        owner = self._there(np.repeat(np.arange(len(sizes)), sizes))
        tokens = self._decoded(rows).to(torch.float64)
        scales = self._scales[rows] if len(self._scales) else torch.ones_like(tokens[:, 0])
        products = (tokens @ asked.T) * scales[:, None]
        low = self._highest(owner, products, len(sizes))
        low -= allowed * self._highest(owner, scales[:, None], len(sizes))
        row, place = (products >= low[owner]).nonzero(as_tuple=True)
        exact = _tree(tokens[row] * asked[place]) * scales[row]
        best = torch.full((low.numel(),), -torch.inf, dtype=torch.float64, device=self._device)
        best.scatter_reduce_(0, owner[row] * len(asked) + place, exact, "amax")
        return best.reshape(low.shape)

    def _highest(self, owner: Any, values: Any, count: int) -> Any:
        """Return the greatest of each document's rows: shape (count, columns)."""
        torch = self._torch
        found = torch.full((count, values.shape[1]), -torch.inf, dtype=torch.float64, device=self._device)
        return found.scatter_reduce_(0, owner[:, None].expand_as(values), values, "amax")

    def _decoded(self, rows: Any) -> Any:
        """Return tokens as float32, before their scales: shape (rows, d)."""
        torch, values = self._torch, self._values[rows]
        if self._tables is None:
            return values.to(torch.float32)
        centres, table = self._tables
        columns = torch.arange(values.shape[1], device=self._device)
        levels = table[columns, values.to(torch.int64)].flatten(1)
        return centres[self._codes[rows].to(torch.int64)] + levels[:, : self._dimension]


def _tree(values: Any) -> Any:
    """Return the sum of each row, as `hybrid.kernels.inner.row_sums` adds."""
    width = values.shape[1]
    while width > 1:
        half = width // 2
        values[:, :half] += values[:, width - half : width]
        width -= half
    return values[:, 0]
