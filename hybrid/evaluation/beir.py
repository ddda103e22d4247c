"""BEIR's own evaluator, searching with this engine.

BEIR asks a retriever for ``search(corpus, queries, top_k, score_function)``; nothing is inherited from it,
so this module needs no installed ``beir``::

    from beir.retrieval.evaluation import EvaluateRetrieval
    from hybrid.evaluation.beir import BEIRSearch

    evaluator = EvaluateRetrieval(BEIRSearch(pipeline), k_values=[10, 100])
    results = evaluator.retrieve(corpus, queries)
    ndcg, ap, recall, precision = evaluator.evaluate(qrels, results, evaluator.k_values)
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybrid.engine import create
from hybrid.pipeline import Pipeline
from hybrid.types import DenseEncoder, Document


class BEIRSearch:
    """A retriever for BEIR: indexes the corpus it is given in a temporary folder, and searches it."""

    def __init__(
        self, pipeline: Pipeline | None = None, *, encoders: Mapping[str, DenseEncoder] | None = None
    ) -> None:
        """Take the pipeline (the default one) and, where it needs them, encoders by model."""
        self.pipeline, self.encoders = pipeline or Pipeline(), encoders

    def search(
        self,
        corpus: Mapping[str, Mapping[str, str]],
        queries: Mapping[str, str],
        top_k: int,
        score_function: str | None = None,
        **options: Any,
    ) -> dict[str, dict[str, float]]:
        """Return each query's best ``top_k`` documents: query id -> document id -> score.

        ``corpus``: document id -> its ``title`` and ``text``. ``score_function`` and other options are
        BEIR's own and decide nothing here: the pipeline does.

        Raises:
            BranchError: a branch failed. Results without it would pass for the whole.
        """
        documents = (
            Document(id, found.get("text", ""), found.get("title") or "") for id, found in corpus.items()
        )
        with (
            tempfile.TemporaryDirectory() as folder,
            create(Path(folder) / "index", documents, self.pipeline, encoders=self.encoders) as index,
        ):
            results = index.search_many(list(queries.values()), top_k, strict=True)
        return {
            query: {hit.id: hit.score for hit in result}
            for query, result in zip(queries, results, strict=True)
        }
