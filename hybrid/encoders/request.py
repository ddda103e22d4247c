"""What was asked of a model, and what follows from that, its files and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from hybrid.batches import Representation
from hybrid.encoders.families import ACCEPTED_POOLINGS, Family, Pooling
from hybrid.encoders.layout import Layout
from hybrid.errors import EncoderError, InputError

Backend: TypeAlias = Literal[
    "auto", "onnx", "transformers", "sentence-transformers", "flagembedding", "pylate", "ragatouille"
]
"""What runs a model; "auto" takes the lightest that can."""

Dtype: TypeAlias = Literal["float32", "float16", "bfloat16", "int8"]
"""What a model computes in; its vectors are float32 always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to load a model. What is None comes from its files, or else from what is known of it.

    ``backend``: "onnx" (ONNX Runtime; float32 or int8 on the processor), "transformers",
    "sentence-transformers", "flagembedding", "pylate" or "ragatouille"; "auto" takes the lightest that
    can run the model. ``device``: as torch names it; None for cuda where there is one, else cpu. ``dtype``:
    what the model computes in; "int8" is for "onnx" alone. ``revision``: a commit, tag or branch of the hub
    repository.
    ``family``: a known model whose prefixes, pooling and so on hold for this one too (a copy of it, or a
    model fine-tuned from it). ``query_prefix``, ``document_prefix``: what stands before each text.
    ``pooling``: "cls", "mean", "max" or "last". ``max_tokens``: longer texts are cut. ``dimension``: how many
    of the first numbers of each vector are kept (Matryoshka).
    ``trust_remote_code``: run the Python files of the model's repository.
    ``base_url``: where the API of a model is (names such as ``openai:...``).
    """

    backend: Backend = "auto"
    device: str | None = None
    dtype: Dtype = "float32"
    revision: str | None = None
    family: str | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None
    pooling: Pooling | None = None
    max_tokens: int | None = None
    dimension: int | None = None
    trust_remote_code: bool = False
    base_url: str | None = None

    def __post_init__(self) -> None:
        for name, accepted in (
            ("backend", get_args(Backend)),
            ("dtype", ("float32", "float16", "bfloat16", "int8")),
            ("pooling", (None, *ACCEPTED_POOLINGS)),
        ):
            if getattr(self, name) not in accepted:
                known = ", ".join(str(value) for value in accepted)
                raise InputError(f"{name} is {getattr(self, name)!r}; accepted: {known}")
        for name in ("device", "revision", "family", "query_prefix", "document_prefix", "base_url"):
            if not isinstance(getattr(self, name), str | None):
                raise InputError(f"{name} is {getattr(self, name)!r}; give a string, or None")
        for name in ("max_tokens", "dimension"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InputError(f"{name} is {value!r}; give a whole number of at least 1, or None")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A model's folder, read, and how to load it.

    ``name``: what errors and fingerprints call it. ``family``: what is known of it, or None. ``revision``:
    the commit of its repository; empty if it came from elsewhere.
    """

    name: str
    folder: Path
    layout: Layout
    options: Options
    family: Family | None = None
    revision: str = ""

    @property
    def gives(self) -> tuple[Representation, ...]:
        """What the model gives: what its files show, or what is known of it."""
        return self.layout.gives or (self.family.gives if self.family else ("dense",))

    @property
    def query_prefix(self) -> str:
        """What stands before every query."""
        return self._prefix(self.options.query_prefix, "query_prefix")

    @property
    def document_prefix(self) -> str:
        """What stands before every document."""
        return self._prefix(self.options.document_prefix, "document_prefix")

    def _prefix(self, wanted: str | None, name: str) -> str:
        """Return the one asked for, or that of the files if they have any, or the known one."""
        if wanted is not None:
            return wanted
        if self.layout.query_prefix is not None or self.layout.document_prefix is not None:
            return getattr(self.layout, name) or ""
        return getattr(self.family, name) if self.family else ""

    @property
    def pooling(self) -> Pooling:
        """How token vectors become one.

        Raises:
            EncoderError: nothing says it, or it is one that is not supported here.
        """
        found = self.options.pooling or self.layout.pooling or (self.family.pooling if self.family else None)
        for pooling in ACCEPTED_POOLINGS:
            if found == pooling:
                return pooling
        accepted = ", ".join(repr(pooling) for pooling in ACCEPTED_POOLINGS)
        if found is None:
            raise EncoderError(
                f"nothing says how the token vectors of {self.name!r} become one: {self.folder} has no "
                f"sentence-transformers configuration and the model is not among the known ones; give "
                f"pooling= one of {accepted} (and query_prefix=, document_prefix= if it was trained with "
                "them), or family= a known model that it descends from"
            )
        raise EncoderError(
            f"{self.folder}: the pooling is {found!r}, which is not supported; accepted: {accepted}"
        )

    @property
    def normalize(self) -> bool:
        """Whether vectors are scaled to length 1: yes, unless the files of the model say otherwise."""
        if self.family is not None and self.family.normalize:
            return True
        return self.layout.normalize is not False

    @property
    def max_tokens(self) -> int | None:
        """The longest text asked for, or else stated."""
        return self.options.max_tokens or self.stated_tokens

    @property
    def stated_tokens(self) -> int | None:
        """The longest text by the model's files, or as known, in tokens; None leaves it to the tokenizer."""
        known = self.family.max_tokens if self.family and not self.layout.modules else None
        return self.layout.max_tokens or known

    def trusted(self) -> bool:
        """Return whether the model's own Python code is run.

        Raises:
            EncoderError: the model needs it and it was not allowed. Without it, another model of the same
                name would be built around the same weights, and give other vectors.
        """
        allowed = self.options.trust_remote_code
        needs = self.family.remote_code if self.family else self.layout.remote_code
        if needs and not allowed:
            raise EncoderError(
                f"the model {self.name!r} brings Python code of its own; read it, and if you trust it, "
                "give trust_remote_code=True (with revision= so that it cannot change)"
            )
        return allowed
