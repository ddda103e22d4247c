"""A retriever of LangChain over an index."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_config_list

from hybrid.engine import HybridIndex, Result
from hybrid.errors import HybridError
from hybrid.integrations.asking import Asking
from hybrid.integrations.details import KEY, Content
from hybrid.integrations.langchain.documents import documents_of

_FOUND = "_found"
"""The argument under which a batch hands each call its result."""


class HybridRetriever(BaseRetriever):
    """An open index as a retriever: ``HybridRetriever(index=hybrid.open("my-index"), k=5)``.

    ``k``, ``where``, ``branches``, ``fusion``, ``strict`` and ``deadline`` are those of `HybridIndex.search`;
    each may also be given to one call: ``retriever.invoke(query, k=3)``. ``batch`` and ``abatch`` search for
    all queries at once (`HybridIndex.search_many`).

    Documents keep their ids and metadata. Under the key ``details`` of the metadata ("hybrid"; None for
    nothing) they have their rank, their score, those of every branch and stage, and the result's exact,
    gap, degraded, notes and generation; a document with metadata of its own there is an `InputError`.
    ``content``: what ``page_content`` is: "text", "content" (the title before it) or "passage" (the best
    one, of an index that cuts documents). The index is the caller's to refresh and close.
    """

    index: HybridIndex
    k: int = 10
    where: Mapping[str, Any] | None = None
    branches: Sequence[str] | None = None
    fusion: Any = None
    strict: bool = False
    deadline: float | None = None
    details: str | None = KEY
    content: Content = "text"

    def batch(
        self,
        inputs: list[str],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[list[Document]]:
        """Return the documents of each query, searched for at once over one state of the index.

        With a deadline, which is one query's, or if something is wrong with one of the queries, each is
        searched for by itself.
        """
        asking = self._asking(kwargs)
        results = None
        if asking.deadline is None:
            with suppress(HybridError):  # each query then meets its own
                results = asking.search_many(self.index, inputs)
        if results is None:
            return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)
        kept: list[Any] = []
        for query, each, found in zip(inputs, get_config_list(config, len(inputs)), results, strict=True):
            try:
                kept.append(self.invoke(query, each, **kwargs, **{_FOUND: found}))
            except Exception as error:
                if not return_exceptions:
                    raise
                kept.append(error)
        return kept

    async def abatch(
        self,
        inputs: list[str],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[list[Document]]:
        """Do what `batch` does, without holding up the event loop."""
        asking = self._asking(kwargs)
        results = None
        if asking.deadline is None:
            with suppress(HybridError):
                results = await asking.asearch_many(self.index, inputs)
        if results is None:
            return await super().abatch(inputs, config, return_exceptions=return_exceptions, **kwargs)
        calls = zip(inputs, get_config_list(config, len(inputs)), results, strict=True)
        work = (self.ainvoke(query, each, **kwargs, **{_FOUND: found}) for query, each, found in calls)
        return await asyncio.gather(*work, return_exceptions=return_exceptions)  # type: ignore[return-value]

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        found = kwargs.pop(_FOUND, None)
        result = self._asking(kwargs).search(self.index, query) if found is None else cast("Result", found)
        return documents_of(result, self.details, self.content)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        found = kwargs.pop(_FOUND, None)
        result = (
            await self._asking(kwargs).asearch(self.index, query) if found is None else cast("Result", found)
        )
        return documents_of(result, self.details, self.content)

    def _asking(self, changes: Mapping[str, Any]) -> Asking:
        asking = Asking(self.k, self.where, self.branches, self.fusion, self.strict, self.deadline)
        return asking.but(changes)
