"""What a change asks of the documents before it, and what follows it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from hybrid.engine.building import row_types
from hybrid.engine.checks import checked_id
from hybrid.engine.limits import Limits
from hybrid.errors import ConflictError, InputError, NotFoundError, StorageError
from hybrid.index import MergePolicy, Snapshot, Store, Transaction
from hybrid.pipeline import Pipeline
from hybrid.types import Docnums, Document, Progress

logger = logging.getLogger("hybrid.engine")


class Changeable(Protocol):
    """An open index (`hybrid.HybridIndex`) as streams and syncs know it."""

    limits: Limits
    _store: Store

    @property
    def path(self) -> Path:
        """The folder."""
        ...

    @property
    def pipeline(self) -> Pipeline:
        """What a search does, which says what is stored."""
        ...

    def _changing(self) -> AbstractContextManager[tuple[Transaction, Snapshot]]:
        """Give a transaction, committed at the end of the block, and the snapshot that it changes."""
        ...

    def _put(
        self,
        transaction: Transaction,
        snapshot: Snapshot,
        documents: Iterable[Document | Mapping[str, Any]],
        progress: Progress | None = None,
    ) -> int:
        """Put documents in the place of those of the same ids, if there are any; return how many."""
        ...


def check_versions(snapshot: Snapshot, expected: Mapping[str, int | None] | None) -> None:
    """Refuse a change if a document does not have the version that is expected of it.

    ``expected``: versions by id; None expects that there is no such document.

    Raises:
        ConflictError: a version differs.
        InputError: it is no mapping of ids to versions.
    """
    if expected is None:
        return
    if not isinstance(expected, Mapping):
        raise InputError(f"if_version is {expected!r}; give versions by id, such as {{'doc-1': 7}}")
    for id, version in expected.items():
        found = version_of(snapshot, checked_id(id))
        if found != checked_version(version):
            raise ConflictError(id, version, found)


def checked_version(version: int | None) -> int | None:
    """Return a version, or None for a document that is not there."""
    if version is not None and (not isinstance(version, int) or isinstance(version, bool) or version < 0):
        raise InputError(f"a version is {version!r}; give what index.version(id) returned, or None for none")
    return version


def version_of(snapshot: Snapshot, id: str) -> int | None:
    """Return the version of a document, None if it is not there."""
    docnum = int(snapshot.find([id])[0])
    return None if docnum < 0 else snapshot.versions([docnum])[0]


def to_delete(snapshot: Snapshot, ids: Sequence[str], *, ignore_missing: bool) -> Docnums:
    """Return the documents with these ids; raise ``NotFoundError`` if one is missing and that matters."""
    found = snapshot.find(ids)
    if not ignore_missing and (found < 0).any():
        absent = ids[int((found < 0).argmax())]
        raise NotFoundError(
            f"document {absent!r} is not in the index; nothing was deleted "
            "(missing='ignore' skips ids that are not there)"
        )
    return found[found >= 0]


def merge_tiers(store: Store, pipeline: Pipeline, policy: MergePolicy | None) -> None:
    """Merge segments as long as a policy finds some to merge.

    The change that was made before is committed. A merge that fails for whatever reason (a full disk, no
    memory) must not make it look as if it had failed: it is logged, and tried again after the next change.
    """
    while policy is not None and (views := policy.choose(store.snapshot.segments)):
        before = [view.live_count for view in views]
        try:
            store.merge(views, row_types(pipeline))
        except Exception as error:
            logger.warning(
                "segments could not be merged (%s: %s); the index is as it was",
                type(error).__name__,
                error,
                extra={"index": str(store.path)},
                exc_info=not isinstance(error, StorageError),
            )
            return
        logger.debug(
            "%d segments merged", len(before), extra={"index": str(store.path), "documents": sum(before)}
        )
