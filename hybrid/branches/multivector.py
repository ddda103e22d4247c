"""The multivector branch: token vectors, compared by late interaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np

from hybrid.batches import Representation, TokenBatch
from hybrid.branches.base import Encoders
from hybrid.branches.devices import check_device, on_device
from hybrid.branches.passages import Passages
from hybrid.errors import DocumentError, EncoderError, InputError, PipelineError
from hybrid.index import Mask, Rows, Snapshot
from hybrid.index.multivector import (
    Codec,
    Effort,
    MultivectorScorer,
    StoredTokens,
    TokenForm,
    TokenQuery,
    TokenRows,
    TokenStorage,
)
from hybrid.ranking import Ranking
from hybrid.threads import parallel
from hybrid.types import BranchKind, Document, Floats, Progress, Query
from hybrid.values import short_repr


@dataclass(frozen=True, slots=True, repr=False)
class Multivector:
    """Search by late interaction: for each token of the query the best token of the document, summed.

    ``model`` names an encoder of token vectors (ColBERT, BGE-M3). With a ``dimension`` instead there
    is no model: every document and query must bring its token vectors, shape (tokens, dimension), under
    the branch's name. With a model, ready-made ones are used where given.

    ``storage``: how token vectors are kept, "float32", "float16", "int8" (8 bits a number and a scale), or
    "residual4" and "residual2": each token's nearest of some centroids (k-means), and what it differs by in 4
    or 2 bits a number (ColBERTv2: Santhanam et al. 2022). A score is exactly that of what is kept.

    ``project``: how many principal components of the vectors are kept; documents' are then scaled to the
    length that they had. ``pool``: for about so many tokens of
    a document one vector is kept (`hybrid.index.multivector.pooling`). ``clusters``: how many centroids there
    are; None for about 16·√n. Projection and centroids are learned from the first 2^24 numbers of what is
    first added to an index, and stay: add a fair sample first. `stats` says what they keep.

    ``search``: "exact" compares all documents, and takes time in proportion. "plaid" compares those that
    centroids propose, for collections of more than some thousands: documents with a token in one of the best
    ``probes`` clusters of a query's token, and of these the ``candidates`` best as far as centroids tell
    (at least four times as many as are asked for). Where a filter leaves few documents, all are compared. To
    rescore the best of other branches use `hybrid.MaxSim`.

    ``device``: where token vectors are compared, as torch names it, "cuda" say; None for the processor. A
    segment's are copied there when they are first asked for. Scores are the same to the bit.
    """

    model: str | None = None
    dimension: int | None = None
    name: str = "multivector"
    storage: TokenStorage = "float16"
    project: int | None = None
    pool: int | None = None
    clusters: int | None = None
    search: Literal["exact", "plaid"] = field(default="exact", metadata={"neutral": True})
    probes: int = field(default=4, metadata={"neutral": True})
    candidates: int = field(default=256, metadata={"neutral": True})
    passages: Passages | None = None
    device: str | None = None

    kind: ClassVar[BranchKind] = "dense"
    takes_vectors: ClassVar[bool] = True
    rows: ClassVar[type[Rows]] = TokenRows
    representation: ClassVar[Representation | None] = "tokens"

    def __post_init__(self) -> None:
        if (self.model is None) == (self.dimension is None):
            raise PipelineError(
                f"Multivector has the model {self.model!r} and the dimension {self.dimension!r}; give one of "
                "them"
            )
        if self.model is not None and (not isinstance(self.model, str) or not self.model):
            raise PipelineError(f"model is {self.model!r}; give a model's name")
        number = isinstance(self.dimension, int) and not isinstance(self.dimension, bool)
        if self.dimension is not None and (not number or self.dimension < 1):
            raise PipelineError(f"dimension is {self.dimension!r}; give a whole number of at least 1")
        if self.search not in ("exact", "plaid"):
            raise PipelineError(f"search is {self.search!r}; it is 'exact' or 'plaid'")
        for name in ("probes", "candidates"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise PipelineError(f"{name} is {value!r}; give a whole number of at least 1")
        check_device(self.device)
        form = self.form
        if self.clusters is not None and not form.bits and not form.clustered:
            raise PipelineError(
                f"clusters is {self.clusters!r}, but nothing uses them; leave it out, or give search='plaid' "
                "or a storage of residuals"
            )

    def __repr__(self) -> str:
        """Show what differs from the defaults."""
        return short_repr(self)

    def stored(self) -> Mapping[str, Any]:
        """Return what the token vectors depend on besides the model's fingerprint."""
        learned = {"project": self.project, "pool": self.pool, "clusters": self.clusters}
        clustered = {"clustered": True} if self.form.clustered and not self.form.bits else {}
        given = {name: value for name, value in learned.items() if value is not None}
        return {
            "model": self.model,
            "dimension": self.dimension,
            "storage": self.storage,
            **given,
            **clustered,
        }

    @property
    def form(self) -> TokenForm:
        """How the token vectors are kept."""
        return TokenForm(self.storage, self.project, self.pool, self.clusters, self.search == "plaid")

    def encode_documents(
        self, documents: Sequence[Document], encoders: Encoders, progress: Progress | None = None
    ) -> TokenRows:
        """Encode the documents that bring no token vectors; check those that are brought."""
        dimension = self._dimension(encoders)
        given = [n for n, d in enumerate(documents) if self.name in d.vectors]
        rest = [n for n, d in enumerate(documents) if self.name not in d.vectors]
        if rest and self.model is None:
            raise DocumentError(self._lacks(f"document {documents[rest[0]].id!r}"))
        try:
            parts = [
                brought(documents[n].vectors[self.name], dimension, f"document {documents[n].id!r}")
                for n in given
            ]
        except InputError as error:
            raise DocumentError(str(error)) from error
        if rest and self.model is not None:
            texts = [documents[n].content for n in rest]
            parts.append(encoders.tokens(self.model).encode_documents(texts, progress))
            self._check(parts[-1], dimension)
        if not parts:
            parts = [
                TokenBatch(np.zeros(1, np.int64), np.empty((0, dimension), np.float32), np.empty(0, np.bool_))
            ]
        rows = TokenRows.of(TokenBatch.concat(parts), self.form)
        return rows if not given else rows.take(np.argsort([*given, *rest]))

    def encode_queries(self, queries: Sequence[Query], encoders: Encoders) -> list[TokenQuery]:
        """Encode the queries that bring no token vectors; check those that are brought."""
        dimension = self._dimension(encoders)
        found = {
            n: TokenQuery(brought(query.vectors[self.name], dimension, f"query {query.text!r}").vectors)
            for n, query in enumerate(queries)
            if self.name in query.vectors
        }
        rest = [n for n in range(len(queries)) if n not in found]
        if rest and self.model is None:
            raise InputError(self._lacks(f"the query {queries[rest[0]].text!r}"))
        if rest and self.model is not None:
            encoder = encoders.tokens(self.model)
            batch = encoder.encode_queries([queries[n].text for n in rest])
            self._check(batch, dimension)
            for n, (a, b) in zip(rest, pairwise(batch.indptr.tolist()), strict=True):
                found[n] = TokenQuery(
                    np.ascontiguousarray(batch.vectors[a:b]), queries[n].text, encoder.spell
                )
        return [found[n] for n in range(len(queries))]

    def scorer(self, snapshot: Snapshot, query: TokenQuery, mask: Mask) -> MultivectorScorer:
        """Return the scorer of one query's token vectors."""
        effort = Effort(self.probes, self.candidates) if self.search == "plaid" else None
        tokens = StoredTokens.of if self.device is None else on_device(self.device)
        return MultivectorScorer(
            snapshot, self.name, query, mask, effort=effort, spelt=self.pool is None, tokens=tokens
        )

    def rankings(
        self, snapshot: Snapshot, queries: Sequence[TokenQuery], mask: Mask, k: int
    ) -> list[Ranking]:
        """Return the best ``k`` documents of each query."""
        return parallel(lambda query: self.scorer(snapshot, query, mask).top(k), queries)

    def brought(self, snapshot: Snapshot, docnum: int) -> Mapping[str, Any]:
        """Return the document's token vectors, as they are kept, if there is no model to make them.

        They have the dimension in which they came; pooled ones are as many as are kept.
        """
        if self.model is not None:
            return {}
        number, ordinal = snapshot.locate(docnum)
        rows = TokenRows.read(snapshot.segments[number].segment, self.name)
        return {self.name: rows.take(np.array([ordinal])).decoded()}

    def stats(self, snapshot: Snapshot) -> Mapping[str, int | float]:
        """Return the dimension, and the tokens and truncated texts of the live documents.

        Where a codec was fitted: also how many clusters it has, how much of the vectors' squared lengths its
        projection kept of those that it was fitted on (from 0 to 1), and the bytes of a token.
        """
        tokens, truncated, dimension = 0, 0, self.dimension or 0
        learned: dict[str, int | float] = {}
        for view in snapshot.segments:
            rows = TokenRows.read(view.segment, self.name)
            live = slice(None) if view.live is None else view.live
            tokens += int(np.diff(rows.bounds)[live].sum())
            truncated += int(rows.truncated[live].sum())
            dimension = rows.dimension
            if rows.codec is not None:
                learned = _learned(rows.codec, rows.kept.bytes_per_token)
        return {"dimension": dimension, "tokens": tokens, "truncated": truncated, **learned}

    def _dimension(self, encoders: Encoders) -> int:
        return self.dimension or encoders.tokens(self.model or "").token_dimension

    def _lacks(self, whose: str) -> str:
        return (
            f"{whose} brings no token vectors for branch {self.name!r}, which has no model; give "
            f"vectors={{{self.name!r}: [[...], ...]}}, or give the branch a model"
        )

    def _check(self, batch: TokenBatch, dimension: int) -> None:
        """Refuse what a model must not give: no tokens, another dimension, numbers that are not finite."""
        wrong = (
            f"vectors of shape {batch.vectors.shape}"
            if batch.vectors.shape[1:] != (dimension,)
            else "a text without tokens"
            if (np.diff(batch.indptr) < 1).any()
            else None
            if np.isfinite(batch.vectors).all()
            else "numbers that are not finite"
        )
        if wrong is not None:
            raise EncoderError(
                f"model {self.model!r} gave {wrong}; it must give each text one vector of {dimension} finite "
                "numbers a token, and at least one"
            )


def _learned(codec: Codec, bytes_per_token: float) -> dict[str, int | float]:
    return {
        "clusters": len(codec.centroids),
        "projection_kept": float(codec.share[0]),
        "bytes_per_token": bytes_per_token,
    }


def brought(vectors: Any, dimension: int, whose: str) -> TokenBatch:
    """Return ready-made token vectors as a batch of one text.

    Raises:
        InputError: they have another shape than (tokens, dimension), no tokens, or are not finite.
    """
    try:
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused
            array: Floats = np.ascontiguousarray(vectors, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"the token vectors of {whose} are not lists of numbers ({error})") from error
    if array.ndim != 2 or array.shape[1] != dimension or not len(array):
        raise InputError(
            f"the token vectors of {whose} have shape {array.shape}; (tokens, {dimension}) is needed, with "
            "at least one token"
        )
    if not np.isfinite(array).all():
        raise InputError(f"the token vectors of {whose} have a NaN or infinite number; all must be finite")
    return TokenBatch(np.array([0, len(array)]), array, np.zeros(1, np.bool_))
