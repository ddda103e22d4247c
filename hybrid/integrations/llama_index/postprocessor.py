"""A node postprocessor of LlamaIndex: our rerankers over any list of its nodes."""

from __future__ import annotations

from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle

import hybrid
from hybrid.integrations.details import KEY
from hybrid.integrations.llama_index.nodes import told
from hybrid.integrations.reranking import chosen, judged, rejudged, seen


class HybridRerank(BaseNodePostprocessor):
    """Reorder nodes by a reranker and keep the best: ``HybridRerank("cohere:rerank-v3.5", top_n=5)``.

    ``model`` is what `hybrid.load_reranker` accepts; ``reranker``, if given, is used in its place, and is
    what ``model`` names. ``top_n``: how many nodes stay (None: all). Nodes of the same score keep their
    order. The score goes under ``details`` of the metadata too (None: only on the node), beside what
    `HybridRetriever` wrote there. Texts are judged without their metadata.
    """

    model: str
    top_n: int | None = None
    details: str | None = KEY
    _reranker: hybrid.Reranker | None = PrivateAttr()

    def __init__(
        self,
        model: str,
        reranker: hybrid.Reranker | None = None,
        top_n: int | None = None,
        details: str | None = KEY,
        **options: Any,
    ) -> None:
        """Name the reranker; it is loaded when it is first used. ``options`` are those of LlamaIndex."""
        own: dict[str, Any] = {"model": model, "top_n": top_n, "details": details}
        super().__init__(**own, **options)
        self._reranker = reranker

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex serialises it under."""
        return "HybridRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise hybrid.InputError("a reranker needs the query; give query_str='…' or a query_bundle")
        asked = [self._asked(each.node) for each in nodes]
        reranker = chosen(self.model, self._reranker)
        found = judged(reranker, query_bundle.query_str, asked, self.top_n)
        return [
            NodeWithScore(node=self._told(nodes[each.position].node, each, rank), score=each.score)
            for rank, each in enumerate(found, 1)
        ]

    def _asked(self, node: BaseNode) -> hybrid.Document:
        """Return a node as rerankers read it: under the title that details may have."""
        title = seen(node.metadata, self.details, node.node_id).get("title", "")
        return hybrid.Document(node.node_id, node.get_content(), title, node.metadata)

    def _told(self, node: BaseNode, each: Any, rank: int) -> BaseNode:
        if self.details is None:
            return node
        node = node.model_copy()
        told(node, rejudged(node.metadata, self.details, self.model, each, rank), self.details)
        return node
