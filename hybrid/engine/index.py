"""A hybrid index: one folder of documents, searched by every branch of its pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from hybrid.engine.building import MEMORY, add_documents, row_types
from hybrid.engine.checks import checked_id, checked_list
from hybrid.engine.reader import Reader
from hybrid.engine.result import Result
from hybrid.errors import FingerprintError, InputError, NotFoundError
from hybrid.fusion import Fusion
from hybrid.types import Document, Progress, Query

if TYPE_CHECKING:  # asyncio is loaded when it is used
    from hybrid.engine.asynchronous import Source


class HybridIndex(Reader):
    """One index, open for reading or for writing; made by `hybrid.create` and `hybrid.open`."""

    def add(
        self,
        documents: Iterable[Document | Mapping[str, Any]],
        progress: Progress | None = None,
        *,
        memory: int = MEMORY,
    ) -> int:
        """Add documents in one atomic commit; return how many.

        ``memory``: how many bytes of documents and rows may be held meanwhile (512 MiB).

        Raises:
            DuplicateIdError: an id appears twice or is already in the index.
            DocumentError: a document is malformed.
            StorageError: writing failed. Whatever the error, the index is as it was.
        """
        return self._add(documents, progress, memory, replace=False)

    def update(
        self,
        documents: Iterable[Document | Mapping[str, Any]],
        progress: Progress | None = None,
        *,
        memory: int = MEMORY,
    ) -> int:
        """Add documents, replacing those of the same ids, in one atomic commit; return how many."""
        return self._add(documents, progress, memory, replace=True)

    async def asearch(
        self,
        query: str | Query,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branches: Sequence[str] | None = None,
        fusion: Fusion | None = None,
        strict: bool = False,
        deadline: float | None = None,
    ) -> Result:
        """Do what `search` does, without holding up the event loop."""
        search = partial(self.search, branches=branches, fusion=fusion, strict=strict, deadline=deadline)
        import asyncio

        return await asyncio.to_thread(search, query, k, where)

    async def asearch_many(
        self,
        queries: Sequence[str | Query],
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branches: Sequence[str] | None = None,
        fusion: Fusion | None = None,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> list[Result]:
        """Do what `search_many` does, without holding up the event loop, which calls ``progress``."""
        search = partial(self.search_many, branches=branches, fusion=fusion, strict=strict)
        import asyncio

        from hybrid.engine.asynchronous import on_loop

        return await asyncio.to_thread(search, queries, k, where, progress=on_loop(progress))

    async def aadd(self, documents: Source, progress: Progress | None = None, *, memory: int = MEMORY) -> int:
        """Do what `add` does, without holding up the event loop, which calls ``progress``.

        ``documents`` may be an asynchronous iterable too; it is asked for documents as they are needed.
        Cancelling leaves the index as it was, unless the commit had begun.
        """
        from hybrid.engine.asynchronous import changed

        return await changed(partial(self.add, memory=memory), documents, progress)

    async def aupdate(
        self, documents: Source, progress: Progress | None = None, *, memory: int = MEMORY
    ) -> int:
        """Do what `update` does, as `aadd` does it."""
        from hybrid.engine.asynchronous import changed

        return await changed(partial(self.update, memory=memory), documents, progress)

    def delete(self, ids: Iterable[str], *, missing: Literal["error", "ignore"] = "error") -> int:
        """Delete documents by id in one atomic commit; return how many were there.

        Raises:
            NotFoundError: an id is not in the index, unless ``missing`` is "ignore".
        """
        if missing not in ("error", "ignore"):
            raise InputError(f"missing is {missing!r}; it is 'error' or 'ignore'")
        wanted = list(dict.fromkeys(map(checked_id, checked_list("ids", ids))))
        with self._writing, self._store.transaction() as transaction:
            found = self._store.snapshot.find(wanted)
            if missing == "error" and (found < 0).any():
                absent = wanted[int((found < 0).argmax())]
                raise NotFoundError(
                    f"document {absent!r} is not in the index; nothing was deleted "
                    "(missing='ignore' skips ids that are not there)"
                )
            transaction.delete(found[found >= 0])
        return int((found >= 0).sum())

    def optimize(self, progress: Progress | None = None) -> bool:
        """Merge all segments into one and win back the space of deleted documents.

        Results do not change. Return whether there was anything to do.
        """
        with self._writing:
            return self._store.optimize(row_types(self._pipeline), progress)

    def refresh(self) -> bool:
        """Move to the newest generation; return whether there was a newer one.

        Raises:
            FingerprintError: the index was replaced by one that was built with other settings; the
                generation that this reader has stays, and opening anew sees the other one.
        """
        with self._writing:
            return self._store.refresh(self._check_replaced)

    def _add(
        self,
        documents: Iterable[Document | Mapping[str, Any]],
        progress: Progress | None,
        memory: int,
        *,
        replace: bool,
    ) -> int:
        with self._writing, self._store.transaction() as transaction:
            return add_documents(
                transaction,
                self._store.snapshot,
                documents,
                self._pipeline,
                self._encoders,
                replace=replace,
                progress=progress,
                memory=memory,
            )

    def _check_replaced(self, settings: Mapping[str, Any]) -> None:
        """Refuse a generation whose data this pipeline and these encoders cannot search."""
        mine = self._store.settings
        differing = [name for name in ("branches", "encoders") if settings[name] != mine[name]]
        if differing:
            raise FingerprintError(
                f"the index {self.path} was replaced by one with other {' and '.join(differing)} since it "
                "was opened; this reader keeps what it has: open the index again to see the new one"
            )
