"""Indexes on the move: backups, and exports that any index can take in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from hybrid.branches import Branch
from hybrid.errors import InputError
from hybrid.index import Snapshot, Store, copy_index
from hybrid.pipeline import Pipeline
from hybrid.types import Document

Vectors: TypeAlias = Literal["needed", "all", "none"]
"""Which vectors go into an export: those that no model can make again, all that are kept, or none."""


def backup(store: Store, target: str | Path, *, link: bool = False) -> int:
    """Copy what a store sees into a folder without an index; return the generation."""
    while True:
        state, snapshot = store.state, store.snapshot
        if state.generation == snapshot.generation:
            return copy_index(state, snapshot, target, link=link, overwrite=False)


def restore(source: str | Path, target: str | Path, *, overwrite: bool = False) -> int:
    """Make an index of a backup, and return its generation; the backup stays as it is.

    Every byte of the backup is checked before anything is changed. With ``overwrite`` an index that is there
    is replaced in one commit: readers that have it open keep what they see until they refresh.

    Raises:
        NotAnIndexError: the source is no backup.
        CorruptIndexError: it is damaged.
        IndexExistsError: there is an index in the target, and ``overwrite`` is not set.
        IndexLockedError: another writer has it open.
    """
    with Store.open(source, verify=True) as store:
        return copy_index(store.state, store.snapshot, target, link=False, overwrite=overwrite)


def exported(
    snapshot: Snapshot, pipeline: Pipeline, described: Mapping[str, Any], vectors: Vectors
) -> Iterator[Document]:
    """Yield the live documents in order of their ids, with the vectors wanted.

    ``described``: what the index keeps of each model.
    """
    if vectors not in ("needed", "all", "none"):
        raise InputError(f"vectors is {vectors!r}; it is 'needed', 'all' or 'none'")
    branches = [] if vectors == "none" else [*pipeline.stores]
    if vectors == "all":
        cut = [branch.name for branch in branches if branch.takes_vectors and pipeline.passages_of(branch)]
        if cut:
            raise InputError(
                f"vectors is 'all', and {', '.join(cut)} keeps vectors of passages, which no document can "
                "bring; export without them, or from an index of a pipeline with passages=None"
            )
        branches = [_without_model(branch, described) for branch in branches]
    return (_document(snapshot, docnum, branches) for docnum in snapshot.by_id())


def _document(snapshot: Snapshot, docnum: int, branches: list[Branch]) -> Document:
    brought = {name: v for branch in branches for name, v in branch.brought(snapshot, docnum).items()}
    return replace(snapshot.documents([docnum])[0], vectors=brought)


def _without_model(branch: Branch, described: Mapping[str, Any]) -> Branch:
    """Return a branch as it would be if documents brought what its model made."""
    if branch.model is None:
        return branch
    changes: dict[str, Any] = {"model": None}
    if branch.representation in ("dense", "tokens"):
        shape = described[branch.model]["probes"][branch.representation]["shape"]
        changes["dimension"] = shape[-1]
    if getattr(branch, "image", None) is not None:
        changes["image"] = None
    return replace(branch, **changes)  # type: ignore[type-var]  # every branch is a dataclass
