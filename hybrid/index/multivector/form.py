"""How token vectors are kept: what a pipeline asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from hybrid.errors import PipelineError

TokenStorage: TypeAlias = Literal["float32", "float16", "int8", "residual4", "residual2"]
TOKEN_STORAGES: tuple[str, ...] = get_args(TokenStorage)

MOST_CLUSTERS = 1 << 16
"""A token's cluster is a number of 16 bits."""


@dataclass(frozen=True, slots=True)
class TokenForm:
    """What is kept of token vectors; the fields are those of `hybrid.Multivector`."""

    storage: TokenStorage = "float16"
    project: int | None = None
    pool: int | None = None
    clusters: int | None = None
    clustered: bool = False

    def __post_init__(self) -> None:
        if self.storage not in TOKEN_STORAGES:
            raise PipelineError(f"storage is {self.storage!r}; it is one of {', '.join(TOKEN_STORAGES)}")
        for name, least, most in (
            ("project", 1, 1 << 16),
            ("pool", 2, 1 << 10),
            ("clusters", 1, MOST_CLUSTERS),
        ):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (whole and least <= value <= most):
                raise PipelineError(
                    f"{name} is {value!r}; give a whole number from {least} to {most:,}, or None"
                )

    @property
    def bits(self) -> int:
        """How many bits a number of a residual has; 0 if none are kept."""
        return {"residual4": 4, "residual2": 2}.get(self.storage, 0)

    @property
    def fitted(self) -> bool:
        """Whether something must be learned from vectors before any can be kept."""
        return bool(self.project is not None or self.bits or self.clustered)
