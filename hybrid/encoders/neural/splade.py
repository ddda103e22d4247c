"""SPLADE: a masked language model says which terms a text is about, and how much.

With z the logits of the masked-language-model head, the weight of term j is the highest, over the tokens i of
the text, of log(1 + relu(z_ij)) (Formal et al. 2021, https://arxiv.org/abs/2109.10086); the first SPLADE
(https://arxiv.org/abs/2107.05720) summed them instead. The models of OpenSearch's third generation take the
logarithm twice (Shen et al. 2025, https://arxiv.org/abs/2504.14839).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from hybrid.batches import SparseBatch
from hybrid.encoders.neural import gathering, layout
from hybrid.encoders.neural.backbone import Backbone, Ran
from hybrid.encoders.neural.loading import Dtype, torch_library
from hybrid.encoders.neural.static_queries import IDF, StaticQueries
from hybrid.encoders.texts import Distinct
from hybrid.encoders.units import ModelUnits
from hybrid.errors import EncoderError, InputError
from hybrid.types import Progress

Activation: TypeAlias = Literal["relu", "log1p_relu"]
Pooling: TypeAlias = Literal["max", "sum"]


@dataclass(frozen=True, slots=True)
class SpladeLayout:
    """Where the parts of a model are, and how logits become weights.

    ``activation``: "relu" for one logarithm, "log1p_relu" for two. ``most``: how many terms a text keeps,
    None for all. ``queries``: the folder of a table of query weights, None where queries pass the model.
    ``special``: whether special tokens may be terms.
    """

    transformer: Path
    pooling: Pooling = "max"
    activation: Activation = "relu"
    most: int | None = None
    queries: Path | None = None
    special: bool = True
    query_prefix: str = ""
    document_prefix: str = ""


class Splade:
    """A SPLADE model; queries pass it too, or are looked up in a table. May be used from several threads."""

    def __init__(
        self, backbone: Backbone, layout: SpladeLayout, queries: StaticQueries | None = None
    ) -> None:
        """Put a loaded model together; see `from_folder`."""
        self._backbone, self._layout, self._queries = backbone, layout, queries
        self._dropped = [] if layout.special else list(backbone.tokenizer.all_special_ids)

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        *,
        name: str | None = None,
        activation: Activation | None = None,
        max_tokens: int | None = None,
        device: str | None = None,
        dtype: Dtype = "float32",
        trust_remote_code: bool = False,
    ) -> Splade:
        """Load a model in one of three layouts.

        - sentence-transformers' SparseEncoder: ``modules.json`` names a transformer and SpladePooling, or a
          Router with SparseStaticEmbedding for queries.
        - A masked language model alone (``naver/splade-*``).
        - The same with ``idf.json`` (``opensearch-project/opensearch-neural-sparse-encoding-doc-*``):
          queries are looked up in it, and special tokens are no terms.

        ``activation``: for what the files do not say: "relu", or "log1p_relu" for OpenSearch's ``doc-v3``.
        Other parameters are those of `Backbone.load`.

        Raises:
            EncoderError: the folder does not hold such a model.
            InputError: a parameter is not accepted.
            MissingDependencyError: torch or transformers is not installed.
        """
        if activation is not None and activation not in get_args(Activation):
            raise InputError(f"activation is {activation!r}; accepted: {', '.join(get_args(Activation))}")
        plan = read_layout(folder)
        if activation is not None:
            plan = replace(plan, activation=activation)
        backbone = Backbone.load(
            plan.transformer,
            name=name or folder.resolve().name,
            head="mlm",
            max_tokens=max_tokens if max_tokens is not None else layout.stated_window(plan.transformer),
            device=device,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
        )
        if plan.queries is None:
            return cls(backbone, plan)
        if (plan.queries / IDF).is_file():
            return cls(backbone, plan, StaticQueries.from_table(plan.queries))
        return cls(backbone, plan, StaticQueries.from_module(plan.queries))

    @property
    def vocabulary(self) -> Sequence[str]:
        """The tokens, by id."""
        return self._backbone.vocabulary

    @property
    def units(self) -> ModelUnits:
        """How documents are counted in the model's tokens."""
        return self._backbone.units(self._layout.document_prefix)

    def fingerprint(self) -> Mapping[str, str | int | bool]:
        """Return everything that decides the weights."""
        plan = self._layout
        return {
            **self._backbone.fingerprint(),
            "pooling": plan.pooling,
            "activation": plan.activation,
            "terms": plan.most or 0,
            "special_terms": plan.special,
            "queries": "model" if self._queries is None else self._queries.digest(),
            "query_prefix": plan.query_prefix,
            "document_prefix": plan.document_prefix,
        }

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> SparseBatch:
        """Encode passages, in order; equal texts are encoded once.

        Raises:
            InputError: a text is not a string, or not valid Unicode.
            EncoderError: the model failed, or gave numbers that are not finite.
        """
        return self._encode(texts, self._layout.document_prefix, progress)

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Encode queries, in order; raises what `encode_documents` raises."""
        if self._queries is not None:
            return self._queries.encode(texts, self._layout.query_prefix)
        return self._encode(texts, self._layout.query_prefix, None)

    def _encode(self, texts: Sequence[str], prefix: str, progress: Progress | None) -> SparseBatch:
        distinct = Distinct.of(texts)
        tokens = self._backbone.tokenize(distinct.texts, prefix)
        rows: list[gathering.SparseRow] = [(np.empty(0, np.int32), np.empty(0, np.float32))] * len(tokens.ids)
        for ran in self._backbone.run(tokens.ids, progress):
            weights = gathering.check_finite(self._weights(ran).cpu().numpy(), self._backbone.name)
            weights[:, self._dropped] = 0
            for n, row in zip(ran.positions.tolist(), weights, strict=True):
                terms = np.flatnonzero(row).astype(np.int32)
                rows[n] = (terms, row[terms])
        batch = gathering.sparse_batch(rows, tokens.truncated)
        if self._layout.most is not None:
            batch = batch.heaviest(self._layout.most)
        return batch if len(batch) == len(texts) else batch.take(distinct.source)

    def _weights(self, ran: Ran) -> Any:
        """Return a torch tensor of float32, shape (batch, vocabulary)."""
        torch = torch_library()
        logits = ran.outputs.masked_fill_(~ran.mask.unsqueeze(-1), 0)  # adds nothing: relu(0) is 0
        if self._layout.pooling == "max":  # the logarithm keeps the order, so the highest may come first
            return self._saturated(torch.amax(logits, dim=1).float())
        return self._saturated(logits.float()).sum(dim=1)

    def _saturated(self, logits: Any) -> Any:
        once = logits.relu().log1p()
        return once.log1p() if self._layout.activation == "log1p_relu" else once


def read_layout(folder: Path) -> SpladeLayout:
    """Find the parts of a SPLADE model in a folder.

    Raises:
        EncoderError: it has modules that are not supported.
    """
    query_prefix, document_prefix = layout.prompts(folder)
    most = layout.settings(folder).get("max_active_dims")
    parts = layout.parts(folder)
    if not parts:
        if (folder / IDF).is_file():
            return SpladeLayout(folder, queries=folder, special=False)
        return SpladeLayout(folder)
    queries = None
    if [part.kind for part in parts] == ["Router"]:
        routes = layout.routes(parts[0].folder)
        parts, asked = routes.get("document", []), routes.get("query", [])
        if [part.kind for part in asked] == ["SparseStaticEmbedding"]:
            queries = asked[0].folder
        elif [(part.kind, part.folder) for part in asked] != [(part.kind, part.folder) for part in parts]:
            raise _unsupported(folder, [part.kind for part in asked])
    kinds = [part.kind for part in parts]
    if len(kinds) != 2 or kinds[0] not in ("Transformer", "MLMTransformer") or kinds[1] != "SpladePooling":
        raise _unsupported(folder, kinds)
    config = layout.read_object(parts[1].folder / "config.json")
    pooling, activation = config.get("pooling_strategy", "max"), config.get("activation_function", "relu")
    if pooling not in get_args(Pooling) or activation not in get_args(Activation):
        raise EncoderError(
            f"{parts[1].folder / 'config.json'} asks for {pooling!r} pooling of {activation!r}; accepted: "
            f"{', '.join(get_args(Pooling))} of {', '.join(get_args(Activation))}"
        )
    return SpladeLayout(
        transformer=parts[0].folder,
        pooling=pooling,
        activation=activation,
        most=most,
        queries=queries,
        query_prefix=query_prefix,
        document_prefix=document_prefix,
    )


def _unsupported(folder: Path, kinds: list[str]) -> EncoderError:
    return EncoderError(
        f"the modules of {folder} are {kinds}; accepted: a transformer and SpladePooling, and for queries "
        "SparseStaticEmbedding behind a Router"
    )
