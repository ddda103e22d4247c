"""A hybrid index: one folder of documents, searched by every branch of its pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hybrid.corpus.files import Selection
from hybrid.engine.building import LIMITS, MEMORY, add_documents, row_types
from hybrid.engine.changing import check_versions, merge_tiers, to_delete
from hybrid.engine.checks import checked_id, checked_list
from hybrid.engine.encoders import EncoderSet
from hybrid.engine.limits import Limits
from hybrid.engine.reader import Reader
from hybrid.engine.result import Result
from hybrid.engine.syncing import PORTION, SyncReport, sync_folder
from hybrid.engine.telling import telling_of_change
from hybrid.errors import FingerprintError, InputError
from hybrid.fusion import Fusion
from hybrid.index import MergePolicy, Snapshot, Store, Transaction
from hybrid.pipeline import Pipeline
from hybrid.types import Document, Progress, Query, Reranker

if TYPE_CHECKING:  # asyncio is loaded when it is used
    from hybrid.engine.asynchronous import Source
    from hybrid.engine.stream import Stream


class HybridIndex(Reader):
    """One index, open for reading or for writing; made by `hybrid.create` and `hybrid.open`.

    Segments are merged after a change as the index's `MergePolicy` says.
    """

    def __init__(
        self,
        store: Store,
        pipeline: Pipeline,
        encoders: EncoderSet,
        rerankers: Mapping[str, Reranker],
        merging: MergePolicy | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        """Wrap an open store; use `hybrid.create` or `hybrid.open` instead."""
        super().__init__(store, pipeline, encoders, rerankers, limits)
        self._merging = merging

    def add(
        self,
        documents: Iterable[Document | Mapping[str, Any]],
        progress: Progress | None = None,
        *,
        memory: int = MEMORY,
    ) -> int:
        """Add documents in one atomic commit; return how many.

        ``memory``: how many bytes of documents and rows may be held meanwhile (512 MiB). When this
        returns, the documents are on the disk.

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
        if_version: Mapping[str, int | None] | None = None,
    ) -> int:
        """Add documents, replacing those of the same ids, in one atomic commit; return how many.

        ``if_version``: versions by id (see `version`) that documents of the index must have, or nothing is
        changed; None stands for a document that must not be there.

        Raises:
            ConflictError: a document has another version; the error says which.
        """
        return self._add(documents, progress, memory, replace=True, if_version=if_version)

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
        cursor: str | None = None,
    ) -> Result:
        """Do what `search` does, without holding up the event loop."""
        search = partial(
            self.search, branches=branches, fusion=fusion, strict=strict, deadline=deadline, cursor=cursor
        )
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
        self,
        documents: Source,
        progress: Progress | None = None,
        *,
        memory: int = MEMORY,
        if_version: Mapping[str, int | None] | None = None,
    ) -> int:
        """Do what `update` does, as `aadd` does it."""
        from hybrid.engine.asynchronous import changed

        update = partial(self.update, memory=memory, if_version=if_version)
        return await changed(update, documents, progress)

    def delete(
        self,
        ids: Iterable[str] | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        missing: Literal["error", "ignore"] = "error",
        if_version: Mapping[str, int | None] | None = None,
    ) -> int:
        """Delete documents in one atomic commit: by id, or those that a filter finds; return how many.

        ``where``: as for `search`; ``{}`` finds every document. ``if_version``: as for `update`.

        Raises:
            NotFoundError: an id is not in the index, unless ``missing`` is "ignore".
            FilterError: the filter is malformed.
            ConflictError: a document has another version.
        """
        if missing not in ("error", "ignore"):
            raise InputError(f"missing is {missing!r}; it is 'error' or 'ignore'")
        if (ids is None) == (where is None):
            raise InputError(
                f"ids is {ids!r} and where is {where!r}; give one of the two, the ids to delete or a filter"
            )
        self.limits.check_filter(where)
        wanted = [] if ids is None else list(dict.fromkeys(map(checked_id, checked_list("ids", ids))))
        with self._changing() as (transaction, snapshot):
            check_versions(snapshot, if_version)
            if where is not None:
                doomed = snapshot.mask(where).docnums(snapshot)
            else:
                doomed = to_delete(snapshot, wanted, ignore_missing=missing == "ignore")
            transaction.delete(doomed)
        return len(doomed)

    def expire(self) -> int:
        """Delete for good, in one commit, the documents whose time is over; return how many.

        They are not found anyway, and every other change deletes them as well.
        """
        with self._changing() as (transaction, _):
            return transaction.delete_expired()

    def stream(self, every: int = 1000, seconds: float = 1.0) -> Stream:
        """Return a `Stream`: changes one by one, from any threads, that are committed in groups.

        A group is committed when it holds ``every`` changes, and at the latest ``seconds`` after its first
        one came; with 0, as soon as the commit before has ended. Each change gives a future, which is done
        when the change is on the disk. Use it in a ``with`` block, at whose end everything is committed.
        """
        from hybrid.engine.stream import Stream

        return Stream(self, every, seconds)

    def sync(
        self,
        folder: str | Path,
        name: str | None = None,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        hidden: bool = False,
        gitignore: bool = True,
        verify: bool = False,
        dry_run: bool = False,
        allow_empty: bool = False,
        portion: int = PORTION,
        progress: Progress | None = None,
    ) -> SyncReport:
        """Make the index hold a folder's files as they are now, and return what was done.

        Ids are ``NAME/path``, where ``name`` is the folder's own unless given; documents of other names are
        not touched. Only files whose content changed are read: a file of the same size and time as at the
        last look is not even opened, unless ``verify`` is set. ``include``, ``exclude``, ``hidden``,
        ``gitignore``: which files are meant, as for `hybrid.read`. ``dry_run``: only say what would be done.

        About every ``portion`` bytes of documents are one atomic commit, of whole files. A file that cannot
        be read is reported, and keeps what was indexed of it before.

        Raises:
            CorpusError: there is no such folder; the name stands for another one; or the folder is empty
                where the index has files of it, and ``allow_empty`` is not set.
            ReadOnlyError: the index is open for reading, and this is no dry run.
        """
        return sync_folder(
            self,
            folder,
            name,
            Selection(include, exclude, hidden, gitignore),
            verify=verify,
            dry_run=dry_run,
            allow_empty=allow_empty,
            portion=portion,
            progress=progress,
        )

    def optimize(self, progress: Progress | None = None) -> bool:
        """Merge all segments into one and win back the space of deleted documents.

        Results do not change. Return whether there was anything to do.
        """
        with self._writing, telling_of_change(self._store):
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
        if_version: Mapping[str, int | None] | None = None,
    ) -> int:
        with self._changing() as (transaction, snapshot):
            check_versions(snapshot, if_version)
            return self._put(transaction, snapshot, documents, progress, memory, replace=replace)

    def _put(
        self,
        transaction: Transaction,
        snapshot: Snapshot,
        documents: Iterable[Document | Mapping[str, Any]],
        progress: Progress | None = None,
        memory: int = MEMORY,
        *,
        replace: bool = True,
    ) -> int:
        return add_documents(
            transaction,
            snapshot,
            documents,
            self._pipeline,
            self._encoders,
            replace=replace,
            progress=progress,
            memory=memory,
            limits=self.limits,
        )

    @contextmanager
    def _changing(self) -> Iterator[tuple[Transaction, Snapshot]]:
        """Give a transaction and the snapshot that it changes; merge segments after its commit."""
        with self._writing, telling_of_change(self._store):
            with self._store.transaction() as transaction:
                yield transaction, self._store.snapshot
            merge_tiers(self._store, self._pipeline, self._merging)

    def _check_replaced(self, settings: Mapping[str, Any]) -> None:
        """Refuse a generation whose data this pipeline and these encoders cannot search."""
        mine = self._store.settings
        differing = [name for name in ("branches", "encoders") if settings[name] != mine[name]]
        if differing:
            raise FingerprintError(
                f"the index {self.path} was replaced by one with other {' and '.join(differing)} since it "
                "was opened; this reader keeps what it has: open the index again to see the new one"
            )
