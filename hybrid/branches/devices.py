"""Stored token vectors that are compared on a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import PipelineError
from hybrid.index.multivector import StoredTokens, TokenQuery
from hybrid.index.segment import Segment
from hybrid.types import Doubles

if TYPE_CHECKING:
    from hybrid.encoders.neural.device_tokens import DeviceTokens


@dataclass(frozen=True, eq=False)
class StoredOnDevice(StoredTokens):
    """The token vectors of one segment; they are copied to the device with the first query."""

    device: str = "cpu"

    @cached_property
    def resident(self) -> DeviceTokens:
        """The vectors on the device."""
        from hybrid.encoders.neural.device_tokens import DeviceTokens, KeptTokens

        packed = self.codec if self.codec is not None and self.codec.bits else None
        tables = (packed.centres, packed.table) if packed else None
        kept = self.kept
        described = KeptTokens(self.bounds, kept.values, kept.scales, kept.codes, tables, self.dimension)
        return DeviceTokens(described, self.device)

    def best(self, documents: NDArray[np.int64], query: TokenQuery) -> Doubles:
        """Return max_j q_i·d_j for each document and query token: float64, shape (documents, m)."""
        return self.resident.best(documents, query.vectors, self.errors(query))


def on_device(device: str) -> Callable[[Segment, str], StoredTokens]:
    """Return what gives the token vectors of a segment, compared on a device."""

    def of(segment: Segment, prefix: str) -> StoredTokens:
        def build() -> StoredOnDevice:
            plain = StoredTokens.of(segment, prefix)
            return StoredOnDevice(plain.bounds, plain.kept, plain.codec, device)

        return segment.cached(f"{prefix}#tokens on {device}", build)

    return of


def check_device(device: object) -> None:
    """Refuse what cannot name a device.

    Raises:
        PipelineError: it is neither None nor a name.
    """
    if device is not None and (not isinstance(device, str) or not device):
        raise PipelineError(f"device is {device!r}; give a device as torch names it, such as 'cuda', or None")
