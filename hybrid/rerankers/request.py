"""What may be asked of a reranker that runs on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from hybrid.encoders.request import Dtype
from hybrid.errors import InputError

Backend: TypeAlias = Literal["auto", "onnx", "transformers", "sentence-transformers"]
"""What runs a reranker; "auto" takes the lightest that can."""

_BACKENDS = ("auto", "onnx", "transformers", "sentence-transformers")
_DTYPES = ("float32", "float16", "bfloat16", "int8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to load a reranker; what is None comes from its files.

    ``backend``: "onnx" (ONNX Runtime: an ONNX file of the folder, float32 or int8, on the processor),
    "transformers", or "sentence-transformers" (its ``CrossEncoder``: for models of code of their own).
    ``device``: as torch names it; None for cuda where there is one, else cpu. ``dtype``: what the model
    computes in; "int8" is for "onnx" alone. ``max_tokens``: the window, of query and passage together.
    ``passages``: how many passages of a long document are read, 4 unless told (sentence-transformers reads
    one). ``layer``: after which layer a layerwise model stops. ``revision``: a commit, tag or branch of the
    hub repository. ``trust_remote_code``: run the Python files of the model's repository.
    """

    backend: Backend = "auto"
    device: str | None = None
    dtype: Dtype = "float32"
    max_tokens: int | None = None
    passages: int | None = None
    layer: int | None = None
    revision: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        for name, accepted in (("backend", _BACKENDS), ("dtype", _DTYPES)):
            if getattr(self, name) not in accepted:
                raise InputError(f"{name} is {getattr(self, name)!r}; accepted: {', '.join(accepted)}")
        for name in ("max_tokens", "passages"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (whole and value >= 1):
                raise InputError(f"{name} is {value!r}; give a whole number of at least 1, or None")
        if self.dtype == "int8" and self.backend not in ("auto", "onnx"):
            raise InputError(
                f"dtype is 'int8', which only ONNX Runtime gives; give backend=\"onnx\", not {self.backend!r}"
            )
