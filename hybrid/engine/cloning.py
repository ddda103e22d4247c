"""A copy of an index that may be changed without changing the index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hybrid.engine.index import HybridIndex
from hybrid.index import Store, clone_folder
from hybrid.pipeline import from_stored


def clone(index: HybridIndex, folder: Path) -> HybridIndex:
    """Return a writable copy of an index in a new folder, with the stored pipeline and the same encoders.

    Passages' scores are combined as they are in the index. It costs no space worth mentioning: files that
    never change are shared.

    Raises:
        StorageError: the folder exists, or the system refused.
    """
    clone_folder(index.path, folder)
    store = Store.open(folder, mode="w")
    pipeline = replace(from_stored(store.settings["pipeline"]), passages=index.pipeline.passages)
    return HybridIndex(store, pipeline, index._encoders, {})
