"""The dense branch: an encoder in front of a vector index."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from hybrid.batches import Representation
from hybrid.branches.base import Encoders
from hybrid.branches.images import image_of
from hybrid.branches.late import late_vectors
from hybrid.branches.passages import Passages
from hybrid.errors import DocumentError, EncoderError, InputError, PipelineError
from hybrid.index import Mask, Rows, Snapshot
from hybrid.index.dense import EXACT, DenseRows, DenseScorer, Form, Index, Storage, Stored, as_index, spelt
from hybrid.ranking import Ranking
from hybrid.threads import parallel
from hybrid.types import BranchKind, Document, Floats, Progress, Query, Scorer
from hybrid.values import short_repr

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_NEUTRAL = {"neutral": True}
"""A field whose default changes nothing; recipes leave it out, as they leave out None."""

_UNIT_TOLERANCE = 1e-3
_ROUNDED = 2.0**-22
"""More than the length of a vector of length 1 changes by rounding its numbers to float32."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseQuery:
    """An encoded query: a float32 vector, and whether this branch's vectors have length 1."""

    vector: Floats
    unit: bool


@dataclass(frozen=True, slots=True, repr=False)
class Dense:
    """Search by meaning: the inner product of the query's and the document's vectors.

    ``model`` names an encoder; the bundled all-MiniLM-L6-v2 if nothing is given. With a
    ``dimension`` instead there is no model: every document and query must bring a ready-made
    vector of so many numbers under the branch's name, and the inner product of those is the score.
    With a model, a ready-made vector is used where given and the text is encoded elsewhere.

    ``index``: how vectors are searched (`hybrid.index.dense.kinds`). "auto", ``Flat()``, ``Scan()``
    and ``Tiered()`` are exact and may be exchanged on a built index; "auto" compares the vectors of
    small segments themselves, and scans codes of those with at least
    `hybrid.index.dense.writing.SCAN_FROM` numbers. The others are approximate.

    ``storage``: what is kept of each vector, "float32", "float16" or "int8" (8 bits a number and a
    scale). A score is exactly that of what is kept.

    ``truncate``: how many of the first numbers of each vector, of documents and queries, are kept
    and scaled to length 1 (Matryoshka representations, Kusupati et al. 2022). None: all, as they are.

    ``image``: for a model of texts and images (CLIP and its like), the metadata key under which a document
    has the path of its image file; a document may bring the file's content instead (``Document(image=…)``).
    Then its image is what is encoded; the text is, where there is none.

    ``late``: the vector of a passage is pooled from what the model sees of the whole document (late chunking:
    Günther et al. 2024, `hybrid.encoders.neural.late_chunking`), so it knows what "it" refers to. For models
    with long windows that pool all tokens, run by torch; such vectors are not cached.
    """

    model: str | None = None
    dimension: int | None = None
    name: str = "dense"
    index: Index | str = field(default="auto", metadata=_NEUTRAL)
    storage: Storage = field(default="float32", metadata=_NEUTRAL)
    truncate: int | None = None
    image: str | None = None
    passages: Passages | None = None
    late: bool = field(default=False, metadata=_NEUTRAL)

    kind: ClassVar[BranchKind] = "dense"
    takes_vectors: ClassVar[bool] = True
    rows: ClassVar[type[Rows]] = DenseRows
    representation: ClassVar[Representation | None] = "dense"

    def __post_init__(self) -> None:
        if self.model is None and self.dimension is None:
            object.__setattr__(self, "model", DEFAULT_MODEL)
        if self.model is not None and self.dimension is not None:
            raise PipelineError(
                f"Dense has the model {self.model!r} and the dimension {self.dimension!r}; the model "
                "decides the dimension, so leave it out"
            )
        if self.model is not None and (not isinstance(self.model, str) or not self.model):
            raise PipelineError(f"model is {self.model!r}; give a model's name")
        if self.dimension is not None and (
            not isinstance(self.dimension, int) or isinstance(self.dimension, bool) or self.dimension < 1
        ):
            raise PipelineError(f"dimension is {self.dimension!r}; give a whole number of at least 1")
        if self.image is not None and (
            self.model is None or not isinstance(self.image, str) or not self.image
        ):
            raise PipelineError(
                f"image is {self.image!r}; give the metadata key of the images' paths, and a model that sees"
            )
        object.__setattr__(self, "index", as_index(self.index))
        Form(as_index(self.index), self.storage)
        if self.truncate is not None:
            self._check_truncate()

    def _check_truncate(self) -> None:
        """Raise unless so many numbers can be kept, as far as is known without the model."""
        kept, most = self.truncate, self.dimension
        if not isinstance(kept, int) or isinstance(kept, bool) or kept < 1 or (most and kept > most):
            limit = f"from 1 to the dimension, {most}" if most else "of at least 1"
            raise PipelineError(f"truncate is {kept!r}; give a whole number {limit}, or None for all")

    def __repr__(self) -> str:
        """Show what differs from the defaults."""
        return short_repr(self)

    def stored(self) -> Mapping[str, Any]:
        """Return what the vectors depend on besides the model's fingerprint.

        What is neutral is left out, as it is of indexes made before it could be set.
        """
        index = as_index(self.index)
        return {
            "model": self.model,
            "dimension": self.dimension,
            **({"index": spelt(index)} if index != "auto" and not isinstance(index, EXACT) else {}),
            **({"storage": self.storage} if self.storage != "float32" else {}),
            **({"truncate": self.truncate} if self.truncate is not None else {}),
            **({"image": self.image} if self.image is not None else {}),
            **({"late": True} if self.late else {}),
        }

    def encode_documents(
        self, documents: Sequence[Document], encoders: Encoders, progress: Progress | None = None
    ) -> DenseRows:
        """Encode the documents that bring no vector; check the vectors that are brought."""
        given = {n: d.vectors[self.name] for n, d in enumerate(documents) if self.name in d.vectors}
        images = self._images(documents, given)
        rest = [n for n in range(len(documents)) if n not in given and n not in images]
        texts = [documents[n].content for n in rest]
        if texts and self.model is None:
            lacking = next(d.id for n, d in enumerate(documents) if n not in given)
            raise DocumentError(
                f"document {lacking!r} brings no vector for branch {self.name!r}, which has no model; "
                f"give Document(..., vectors={{{self.name!r}: [...]}}), or give the branch a model"
            )
        dimension, unit = self._space(encoders)
        vectors = np.empty((len(documents), dimension), np.float32)
        truncated = np.zeros(len(documents), np.bool_)
        for n, vector in given.items():
            try:
                vectors[n] = checked(vector, dimension, unit, f"document {documents[n].id!r}")
            except InputError as error:
                raise DocumentError(str(error)) from error
        if texts and self.model is not None:
            spans = getattr(documents, "spans", None)
            if self.late and spans is not None:
                batch = late_vectors(encoders.dense(self.model), documents, rest)
            else:
                batch = encoders.dense(self.model).encode_documents(texts, progress)
            whose = [f"document {documents[n].id!r}" for n in rest]
            vectors[rest] = self._usable(batch.vectors, dimension, unit, whose)
            truncated[rest] = batch.truncated
        if images and self.model is not None:
            batch = encoders.images(self.model).encode_images([*images.values()], progress)
            whose = [f"the image of document {documents[n].id!r}" for n in images]
            vectors[[*images]] = self._usable(batch.vectors, dimension, unit, whose)
        return DenseRows.of(self._cut(vectors), truncated, Form(as_index(self.index), self.storage))

    def _images(self, documents: Sequence[Document], given: Collection[int]) -> dict[int, bytes]:
        """Return the images of the documents that bring no vector, by position."""
        if self.image is None:
            return {}
        found = {n: image_of(d, self.image) for n, d in enumerate(documents) if n not in given}
        return {n: image for n, image in found.items() if image is not None}

    def encode_queries(self, queries: Sequence[Query], encoders: Encoders) -> list[DenseQuery]:
        """Encode the queries that bring no vector; check the vectors that are brought."""
        dimension, unit = self._space(encoders)
        given = {
            n: checked(q.vectors[self.name], dimension, unit, f"query {q.text!r}")
            for n, q in enumerate(queries)
            if self.name in q.vectors
        }
        texts = [q.text for n, q in enumerate(queries) if n not in given]
        if texts and self.model is None:
            raise InputError(
                f"the query brings no vector for branch {self.name!r}, which has no model; "
                f"search for Query(text, vectors={{{self.name!r}: [...]}})"
            )
        if texts and self.model is not None:
            batch = encoders.dense(self.model).encode_queries(texts)
            whose = [f"query {text!r}" for text in texts]
            encoded = iter(self._usable(batch.vectors, dimension, unit, whose))
        vectors = [given[n] if n in given else next(encoded) for n in range(len(queries))]
        return [DenseQuery(self._cut(vector), unit and self.truncate is None) for vector in vectors]

    def mixed(self, queries: Sequence[tuple[DenseQuery, float]]) -> DenseQuery:
        """Return one query for several with their shares: its scores are the weighted means of theirs."""
        total = sum(share * query.vector.astype(np.float64) for query, share in queries)
        return DenseQuery(np.asarray(total, np.float32), False)

    def encode_written(self, texts: Sequence[str], encoders: Encoders) -> list[DenseQuery]:
        """Turn written passages into queries: they are encoded as documents are."""
        if self.model is None:
            raise InputError(
                f"the branch {self.name!r} has no model, so it cannot search for a written passage; give it "
                "one, or leave rewrite out"
            )
        dimension, _ = self._space(encoders)
        batch = encoders.dense(self.model).encode_documents(texts)
        whose = [f"the written passage {text[:40]!r}" for text in texts]
        vectors = self._usable(batch.vectors, dimension, False, whose)
        return [DenseQuery(self._cut(vector), False) for vector in vectors]

    def scorer(self, snapshot: Snapshot, query: DenseQuery, mask: Mask) -> Scorer:
        """Return the exact scorer of one query vector."""
        return DenseScorer(snapshot, self.name, query.vector, query.unit, mask, as_index(self.index))

    def rankings(
        self, snapshot: Snapshot, queries: Sequence[DenseQuery], mask: Mask, k: int
    ) -> list[Ranking]:
        """Return the best ``k`` documents of each query."""
        return parallel(lambda query: self.scorer(snapshot, query, mask).top(k), queries)

    def brought(self, snapshot: Snapshot, docnum: int) -> Mapping[str, Any]:
        """Return the document's vector under the branch's name, if what is kept cannot make it again."""
        if self.model is not None and (self.image is None or self.truncate is not None):
            return {}
        number, ordinal = snapshot.locate(docnum)
        vectors = Stored.of(snapshot.segments[number].segment, self.name).vectors
        vector = vectors.take(slice(ordinal, ordinal + 1)).decoded()[0]
        return {
            self.name: np.pad(vector, (0, (self.dimension or len(vector)) - len(vector)))
        }  # if it was truncated

    def stats(self, snapshot: Snapshot) -> Mapping[str, int | float]:
        """Return the dimension, and how many live documents were longer than the window."""
        truncated, dimension = 0, self.dimension or 0
        for view in snapshot.segments:
            flags = view.segment[f"{self.name}/truncated"]
            truncated += int(flags.sum() if view.live is None else flags[view.live].sum())
            dimension = view.segment[f"{self.name}/vectors"].shape[1]
        return {"dimension": dimension, "truncated": truncated}

    def _space(self, encoders: Encoders) -> tuple[int, bool]:
        """Return the dimension, and whether vectors have length 1."""
        if self.model is None:
            return self.dimension or 0, False
        encoder = encoders.dense(self.model)
        if self.truncate is not None and self.truncate > encoder.dimension:
            raise InputError(
                f"truncate is {self.truncate}, and the vectors of model {self.model!r} have "
                f"{encoder.dimension} numbers; give at most so many, or None for all"
            )
        trained = getattr(encoder, "matryoshka", ())
        if self.truncate is not None and trained and self.truncate not in (*trained, encoder.dimension):
            raise InputError(
                f"truncate is {self.truncate}, and model {self.model!r} was trained to be cut to "
                f"{', '.join(map(str, trained))}; give one of these, or None for all"
            )
        return encoder.dimension, encoder.normalized

    def _cut(self, vectors: Floats) -> Floats:
        """Return the first numbers of vectors, shape (..., d), as far as they are kept."""
        return vectors if self.truncate is None else shortened(vectors, self.truncate)

    def _usable(self, vectors: Any, dimension: int, unit: bool, whose: Sequence[str]) -> Floats:
        """Return a model's vectors as float32, shape (texts, dimension).

        Raises:
            EncoderError: there is not one for each text, or one is not finite, or one should have
                length 1 and has not.
        """
        array = np.asarray(vectors, np.float32)
        if array.shape != (len(whose), dimension):
            raise EncoderError(
                f"model {self.model!r} gave vectors of shape {array.shape} for {len(whose)} texts; "
                f"({len(whose)}, {dimension}) is needed"
            )
        lengths = np.linalg.norm(array.astype(np.float64), axis=1)  # in float32 a large one overflows
        for length, owner in zip(lengths.tolist(), whose, strict=True):
            if not math.isfinite(length):
                raise EncoderError(f"model {self.model!r} gave a vector that is not finite for {owner}")
            if unit and abs(length - 1) > _UNIT_TOLERANCE:
                raise EncoderError(
                    f"model {self.model!r} says that its vectors have length 1, and gave one of length "
                    f"{length:.4f} for {owner}"
                )
        return array


def shortened(vectors: Floats, length: int) -> Floats:
    """Return the first numbers of vectors, shape (..., d), scaled to length 1; zeros stay zeros.

    >>> shortened(np.float32([3, 4, 12]), 2).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    kept = vectors[..., :length].astype(np.float64)
    lengths = np.linalg.norm(kept, axis=-1, keepdims=True)
    # What has length 1 already is left as it is, so that shortening again changes nothing.
    lengths = np.where((lengths == 0) | (abs(lengths - 1) <= _ROUNDED), 1, lengths)
    return np.ascontiguousarray(kept / lengths, np.float32)


def checked(vector: Any, dimension: int, unit: bool, whose: str) -> Floats:
    """Return a ready-made vector as float32, shape (dimension,).

    Raises:
        InputError: it has another shape, is not finite, or should have length 1 and has not.
    """
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused
            array = np.asarray(vector, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"the vector of {whose} is not a list of numbers ({error})") from error
    if array.shape != (dimension,):
        raise InputError(f"the vector of {whose} has shape {array.shape}; ({dimension},) is needed")
    if not np.isfinite(array).all():
        raise InputError(f"the vector of {whose} has a NaN or infinite number; every number must be finite")
    if unit and abs(float(np.linalg.norm(array)) - 1) > _UNIT_TOLERANCE:
        raise InputError(
            f"the vector of {whose} has length {float(np.linalg.norm(array)):.4f}; this branch's vectors "
            "have length 1: divide it by its length"
        )
    return array
