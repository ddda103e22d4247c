"""Repairing an index: what is whole is kept, what can be is built again, and the rest is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hybrid.branches import Branch
from hybrid.branches.over_passages import OverPassages
from hybrid.encoders.caching import CacheSetting, choose_cache
from hybrid.engine.building import MEMORY, add_documents
from hybrid.engine.encoders import EncoderSet
from hybrid.index import SegmentView, Snapshot
from hybrid.index.checking import Finding
from hybrid.index.folder import DAMAGED, sweep
from hybrid.index.salvage import Wreck, open_wrecks
from hybrid.pipeline import Pipeline, from_stored
from hybrid.types import Document, Encoder, Progress


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair found and did.

    ``generation``: the one that the index is at now. ``findings``: what was damaged. ``rebuilt``: how many
    documents of damaged segments were kept, every branch built again from their texts. ``lost``: the ids
    of documents that are gone, as far as ids could be read; ``unnamed``: how many more are. ``aside``: the
    folder that keeps the damaged files, None if there are none.
    """

    path: Path
    generation: int
    findings: tuple[Finding, ...]
    rebuilt: int
    lost: tuple[str, ...]
    unnamed: int
    aside: Path | None


def repair(
    path: str | Path,
    *,
    encoders: Mapping[str, Encoder] | None = None,
    progress: Progress | None = None,
    memory: int = MEMORY,
    cache: CacheSetting = None,
) -> Repair:
    """Take what is damaged out of an index, in one commit, and say what became of it.

    Segments that are whole stay as they are. Of the others, every document whose stored fields match
    their checksum is added again, all branches built from its text; ready-made vectors come back where
    their branch is whole, else documents of a branch without a model are lost. Until the commit the index
    is as it was, and the damaged files stay in the folder ``damaged`` inside the index.

    ``encoders``, ``memory``, ``cache``: as for `hybrid.create`. Models are loaded if documents are added.

    Raises:
        NotAnIndexError: the folder holds no index.
        CorruptIndexError: the catalogue itself is damaged; it cannot be made again from segments, because
            only it knows which documents were deleted: restore the index from a copy.
        IndexLockedError: a writer has it open.
        EncoderError: a model cannot be loaded, or is not the one that the index was built with.
        StorageError: the disk refused. Whatever the error, the index is as it was.
    """
    store, wrecks = open_wrecks(Path(path))
    with store:
        lost = [id for wreck in wrecks for id in wreck.lost]
        rebuilt = 0
        if wrecks:
            pipeline = from_stored(store.settings["pipeline"])
            known = EncoderSet(
                encoders, store.settings["encoders"], choose_cache(cache), cleaning=pipeline.cleaning
            )
            with store.transaction() as change:
                documents = (d for wreck in wrecks for d in _documents(wreck, pipeline, lost.append))
                rebuilt = add_documents(
                    change, store.snapshot, documents, pipeline, known,
                    replace=False, progress=progress, memory=memory,
                )  # fmt: skip
            sweep(store.path, {view.uuid for view in store.snapshot.segments})
        findings = tuple(finding for wreck in wrecks for finding in wreck.findings)
        aside = store.path / DAMAGED
        total = sum(wreck.documents for wreck in wrecks)
        return Repair(
            store.path, store.snapshot.generation, findings, rebuilt, tuple(sorted(lost)),
            total - rebuilt - len(lost), aside if wrecks and aside.exists() else None,
        )  # fmt: skip


def _names(branch: Branch) -> tuple[str, ...]:
    """Return under which names a segment holds what a branch reads."""
    return (branch.name, branch.prefix) if isinstance(branch, OverPassages) else (branch.name,)


def _documents(wreck: Wreck, pipeline: Pipeline, lose: Callable[[str], None]) -> Iterator[Document]:
    """Yield the documents of a wreck that can be added again; name the others."""
    if wreck.view is None:
        return
    snapshot = Snapshot(0, [SegmentView(wreck.view.segment, wreck.view.uuid, 0, wreck.view.size, None)])
    sources = [branch for branch in pipeline.stores if all(map(wreck.whole, _names(branch)))]
    needy = {branch.name for branch in pipeline.stores if branch.takes_vectors and branch.model is None}
    hopeless = needy - {branch.name for branch in sources}
    for ordinal in wreck.kept.tolist():
        document = snapshot.documents([ordinal])[0]
        if hopeless:
            lose(document.id)
            continue
        vectors = {k: v for branch in sources for k, v in branch.brought(snapshot, ordinal).items()}
        yield replace(document, vectors=vectors) if vectors else document
