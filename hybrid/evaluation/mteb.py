"""MTEB's own evaluator, searching with this engine.

MTEB asks a model of its search protocol for ``index``, ``search`` and ``mteb_model_meta``::

    import mteb
    from hybrid.evaluation.mteb import MTEBSearch

    results = mteb.evaluate(MTEBSearch(pipeline), mteb.get_tasks(["SciFact"]))

The documents are indexed in a temporary folder, which the next ``index``, ``close``, or the end of the
object removes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hybrid.corpus.datasets.mteb import query_text
from hybrid.engine import HybridIndex, create
from hybrid.errors import InputError, MissingDependencyError
from hybrid.pipeline import Pipeline
from hybrid.types import DenseEncoder, Document, Reranker
from hybrid.version import __version__


class MTEBSearch:
    """A model for MTEB's evaluator: indexes the corpus that it is given, and searches it.

    ``name``: what MTEB files the results under, ``owner/name``.
    """

    def __init__(
        self,
        pipeline: Pipeline | None = None,
        *,
        name: str = "hybrid/hybrid",
        encoders: Mapping[str, DenseEncoder] | None = None,
        rerankers: Mapping[str, Reranker] | None = None,
    ) -> None:
        """Take the pipeline (the default one) and, where it needs them, encoders and rerankers by model."""
        self.pipeline, self.name = pipeline or Pipeline(), name
        self.encoders, self.rerankers = encoders, rerankers or {}
        self._index: HybridIndex | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def index(self, corpus: Iterable[Mapping[str, Any]], **options: Any) -> None:
        """Index documents: rows of ``id``, ``text`` and perhaps ``title``. The options decide nothing here.

        Raises:
            InputError: a document has no text.
        """
        self.close()
        self._folder = tempfile.TemporaryDirectory()
        self._index = create(
            Path(self._folder.name) / "index",
            (_document(row) for row in corpus),
            self.pipeline,
            encoders=self.encoders,
            rerankers=self.rerankers,
        )

    def search(
        self,
        queries: Iterable[Mapping[str, Any]],
        *,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **options: Any,
    ) -> dict[str, dict[str, float]]:
        """Return each query's best ``top_k`` documents: query id -> document id -> score.

        ``queries``: rows of ``id``, ``text`` and perhaps ``instruction``, which is put behind the text. The
        options decide nothing here.

        Raises:
            InputError: nothing was indexed, or only the documents of ``top_ranked`` may be ranked, which is
                a task of reranking.
            CorpusError: a query is no text.
            BranchError: a branch failed. Results without it would pass for the whole.
        """
        if self._index is None:
            raise InputError("nothing is indexed; call index(corpus) first")
        if top_ranked is not None:
            raise InputError("the task reranks documents that are given; give one of Retrieval")
        rows = list(queries)
        texts = [query_text(row, f"query {row['id']!r}") for row in rows]
        results = self._index.search_many(texts, top_k, strict=True)
        return {
            str(row["id"]): {hit.id: hit.score for hit in result}
            for row, result in zip(rows, results, strict=True)
        }

    def close(self) -> None:
        """Remove the temporary index."""
        if self._index is not None:
            self._index.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._index = self._folder = None

    @property
    def mteb_model_meta(self) -> Any:
        """What MTEB writes of the model beside its results.

        Raises:
            MissingDependencyError: mteb is not installed.
        """
        try:
            from mteb.models.model_meta import ModelMeta
        except ImportError as error:
            raise MissingDependencyError("mteb", "mteb") from error
        return ModelMeta.create_empty({"name": self.name, "revision": __version__})


def _document(row: Mapping[str, Any]) -> Document:
    if not isinstance(row.get("text"), str):
        raise InputError(
            f"document {row.get('id')!r} has no text (keys: {', '.join(row)}); only texts are read"
        )
    return Document(str(row["id"]), row["text"], row.get("title") or "")
