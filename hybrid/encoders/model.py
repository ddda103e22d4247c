"""One view of every kind of encoder: what it gives, and one call that gives it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybrid.batches import Encoded, Representation, Side
from hybrid.errors import EncoderError
from hybrid.types import DenseEncoder, Encoder, JointEncoder, Progress, SparseEncoder, TokenEncoder

KINDS: Mapping[Representation, type] = {
    "dense": DenseEncoder,
    "sparse": SparseEncoder,
    "tokens": TokenEncoder,
}
"""The protocol of an encoder that gives one representation only."""

_MARKS: Mapping[Representation, tuple[str, ...]] = {
    "dense": ("dimension", "normalized"),
    "sparse": ("vocabulary",),
    "tokens": ("token_dimension",),
}
"""What an encoder must say of each representation that it gives."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """An encoder under the name that pipelines call it by."""

    name: str
    encoder: Encoder
    representations: tuple[Representation, ...]

    @classmethod
    def of(cls, name: str, encoder: Any) -> Model:
        """Look at what an encoder gives.

        Raises:
            EncoderError: it follows none of the protocols.
        """
        if isinstance(encoder, JointEncoder):
            representations = tuple(encoder.representations)
        else:
            representations = tuple(kind for kind, protocol in KINDS.items() if isinstance(encoder, protocol))
        lacking = [mark for kind in representations for mark in _MARKS[kind] if not hasattr(encoder, mark)]
        if lacking or not representations:
            raise EncoderError(
                f"the encoder of {name!r} is a {type(encoder).__name__}, which "
                + (f"lacks {', '.join(lacking)}" if lacking else "follows none of the protocols")
                + "; see hybrid.DenseEncoder, SparseEncoder, TokenEncoder and JointEncoder"
            )
        return cls(name, encoder, representations)

    def need(self, representations: Collection[Representation]) -> None:
        """Check that the model gives what is wanted of it.

        Raises:
            EncoderError: it does not.
        """
        missing = [kind for kind in representations if kind not in self.representations]
        if missing:
            raise EncoderError(
                f"model {self.name!r} gives no {' and no '.join(missing)} representation; it gives "
                f"{', '.join(self.representations)}. Choose another model for that branch"
            )

    def says(self, what: str) -> Any:
        """Return a property of the encoder, such as its dimension."""
        return getattr(self.encoder, what)

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides what the encoder gives."""
        return self.encoder.fingerprint()

    def encode(
        self,
        texts: Sequence[str],
        side: Side,
        representations: Collection[Representation],
        progress: Progress | None = None,
    ) -> Encoded:
        """Encode texts, in order, in one pass; the model must give the representations.

        Raises:
            EncoderError: what comes back is not what was wanted, or not for each text.
        """
        if isinstance(self.encoder, JointEncoder):
            found = self.encoder.encode(texts, side, representations, progress)
        else:
            (kind,) = representations
            found = Encoded(**{kind: self._single(texts, side, progress)})
        for kind in representations:
            batch = getattr(found, kind, None)
            if batch is None or len(batch) != len(texts):
                got = "nothing" if batch is None else f"{len(batch)} of them"
                raise EncoderError(f"model {self.name!r} gave {got} for {len(texts)} texts ({kind})")
        return found

    def _single(self, texts: Sequence[str], side: Side, progress: Progress | None) -> Any:
        encoder: Any = self.encoder
        call: Callable[..., Any] = encoder.encode_documents
        return call(texts, progress) if side == "document" else encoder.encode_queries(texts)
