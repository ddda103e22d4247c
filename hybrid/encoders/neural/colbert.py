"""Late interaction: one vector for each token of a text (Khattab and Zaharia 2020).

The paper is https://arxiv.org/abs/2004.12832; the lengths, markers and skipped punctuation are those of
ColBERTv2 (Santhanam et al. 2022, https://arxiv.org/abs/2112.01488) or whatever the model's files say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.batches import Side, TokenBatch
from hybrid.encoders.neural import gathering, loading
from hybrid.encoders.neural.backbone import Backbone
from hybrid.encoders.neural.colbert_layout import ColbertLayout, read_layout
from hybrid.encoders.neural.loading import Dtype
from hybrid.encoders.neural.projections import Projection, read_projection
from hybrid.encoders.texts import Distinct
from hybrid.encoders.units import ModelUnits
from hybrid.errors import EncoderError
from hybrid.types import Bools, Floats, Progress


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Texts as token ids; ``attended``: how many of each are seen; ``truncated``: bool, shape (texts,)."""

    ids: list[list[int]]
    attended: list[int]
    truncated: Bools


class Colbert:
    """An encoder of token vectors, of length 1. May be used from several threads at once."""

    def __init__(self, backbone: Backbone, layout: ColbertLayout, projections: Sequence[Projection]) -> None:
        """Put a loaded model together; see `from_folder`."""
        self._backbone, self._layout = backbone, layout
        self._layers = [projection.layer.to(backbone.device) for projection in projections]
        self._digests = "".join(projection.digest for projection in projections)
        self.token_dimension = projections[-1].width if projections else backbone.hidden
        """The length of each token's vector."""
        tokenizer = backbone.tokenizer
        known = tokenizer.get_vocab()
        unknown = tokenizer.unk_token_id
        self._skipped = sorted(
            {known[word] for word in layout.skipped if known.get(word, unknown) != unknown}
        )
        self._markers = {
            "query": _marker(layout.query_marker, known),
            "document": _marker(layout.document_marker, known),
        }
        self._prefixes = {"query": layout.query_prefix, "document": layout.document_prefix}
        for side, marker in (("query", layout.query_marker), ("document", layout.document_marker)):
            if marker and self._markers[side] is None:  # no token of the tokenizer: PyLate treats it as text
                self._prefixes[side] = marker + self._prefixes[side]
        self._limits = {"query": _limit(layout, backbone.max_tokens), "document": backbone.max_tokens}
        if layout.document_length is not None:
            self._limits["document"] = min(layout.document_length, backbone.max_tokens)
        self._cutters = {
            side: loading.cutting(tokenizer, limit - (self._markers[side] is not None))
            for side, limit in self._limits.items()
        }

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        *,
        name: str | None = None,
        max_tokens: int | None = None,
        device: str | None = None,
        dtype: Dtype = "float32",
        trust_remote_code: bool = False,
    ) -> Colbert:
        """Load a model in one of four layouts; see `hybrid.encoders.neural.colbert_layout`.

        ``max_tokens``: where documents are cut; None for what the files say. Other parameters are those of
        `Backbone.load`.

        Raises:
            EncoderError: the folder does not hold such a model.
            InputError: a parameter is not accepted.
            MissingDependencyError: torch or transformers is not installed.
        """
        layout = read_layout(folder)
        backbone = Backbone.load(
            layout.transformer,
            name=name or folder.resolve().name,
            max_tokens=max_tokens,
            device=device,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
        )
        if max_tokens is not None:
            layout = replace(layout, document_length=max_tokens)
        projections: list[Projection] = []
        for path in layout.projections:
            width = projections[-1].width if projections else backbone.hidden
            projections.append(read_projection(path, width))
        return cls(backbone, layout, projections)

    @property
    def units(self) -> ModelUnits:
        """How documents are counted in the model's tokens, the marker included."""
        marked = int(self._markers["document"] is not None)
        return self._backbone.units(self._prefixes["document"], self._limits["document"], marked)

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides the vectors."""
        layout = self._layout
        return {
            **self._backbone.fingerprint(),
            "max_tokens": self._limits["document"],
            "query_tokens": self._limits["query"],
            "projection": self._digests,
            "token_dimension": self.token_dimension,
            "query_marker": layout.query_marker or "",
            "document_marker": layout.document_marker or "",
            "query_prefix": self._prefixes["query"],
            "document_prefix": self._prefixes["document"],
            "augmentation": repr(layout.augmentation),
            "skipped": f"{' '.join(layout.skipped)} in {', '.join(layout.skipping)}"
            if layout.skipped
            else "",
        }

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> TokenBatch:
        """Encode passages, in order; equal texts are encoded once. Skipped tokens have no vector.

        Raises:
            InputError: a text is not a string, or not valid Unicode.
            EncoderError: the model failed, or gave numbers that are not finite.
        """
        return self._encode(texts, "document", progress)

    def encode_queries(self, texts: Sequence[str]) -> TokenBatch:
        """Encode queries, in order, with the tokens that are added; raises what `encode_documents` raises."""
        return self._encode(texts, "query", None)

    def spell(self, text: str, side: Side) -> Sequence[str]:
        """Return the tokens that a text's vectors stand for, in order."""
        skipped = self._skipped if side in self._layout.skipping else []
        ids = self.prepare([text], side).ids[0]
        return [self._backbone.vocabulary[token] for token in ids if token not in skipped]

    def prepare(self, texts: Sequence[str], side: Side) -> Prepared:
        """Return texts as token ids: marked, cut and, if they are queries, filled up."""
        encodings = [self._cutters[side].encode(self._prefixes[side] + text) for text in texts]
        marker = self._markers[side]
        ids = [list(encoding.ids) for encoding in encodings]
        if marker is not None:
            ids = [[*row[:1], marker, *row[1:]] for row in ids]
        attended = [len(row) for row in ids]
        augmentation = self._layout.augmentation
        if side == "query" and augmentation is not None:
            filler = self._filler(augmentation.token)
            ids = [row + [filler] * (augmentation.length - len(row)) for row in ids]
            if augmentation.attend:
                attended = [len(row) for row in ids]
        cut = np.array([bool(encoding.overflowing) for encoding in encodings], np.bool_)
        return Prepared(ids, attended, cut)

    def _filler(self, token: str | None) -> int:
        tokenizer = self._backbone.tokenizer
        if token is not None:
            return int(tokenizer.get_vocab()[token])
        found = tokenizer.mask_token_id if tokenizer.mask_token_id is not None else tokenizer.eos_token_id
        if found is None:
            raise EncoderError(
                f"model {self._backbone.name!r} fills queries up, and its tokenizer has neither a mask token "
                "nor an end token; name one as the token of query_expansion in sentence_bert_config.json"
            )
        return int(found)

    def _encode(self, texts: Sequence[str], side: Side, progress: Progress | None) -> TokenBatch:
        distinct = Distinct.of(texts)
        prepared = self.prepare(distinct.texts, side)
        rows: list[Floats] = [np.empty((0, self.token_dimension), np.float32)] * len(prepared.ids)
        skipped = self._skipped if side in self._layout.skipping else []
        for ran in self._backbone.run(prepared.ids, progress, prepared.attended):
            for vectors, n in zip(self._vectors(ran.outputs), ran.positions.tolist(), strict=True):
                kept = ~np.isin(prepared.ids[n], skipped)
                rows[n] = vectors[: len(kept)][kept]
        batch = gathering.token_batch(rows, self.token_dimension, prepared.truncated)
        return batch if len(batch) == len(texts) else batch.take(distinct.source)

    def _vectors(self, outputs: Any) -> Floats:
        vectors = outputs.float()
        for layer in self._layers:
            vectors = layer(vectors)
        vectors = loading.torch_library().nn.functional.normalize(vectors, dim=-1)
        return gathering.check_finite(vectors.cpu().numpy(), self._backbone.name)


def _limit(layout: ColbertLayout, window: int) -> int:
    """Return where queries are cut."""
    augmentation = layout.augmentation
    if augmentation is not None and augmentation.fixed:
        return min(augmentation.length, window)
    shortest = augmentation.length if augmentation is not None else 0
    return min(max(layout.query_length or window, shortest), window)


def _marker(marker: str | None, known: Mapping[str, int]) -> int | None:
    """Return a marker's id: of the whole, or of its first word; None if the tokenizer has neither."""
    if not marker or not marker.split():
        return None
    return next((known[word] for word in (marker, marker.split()[0]) if word in known), None)
