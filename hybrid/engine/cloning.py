"""A copy of an index that may be changed without changing the index."""

from __future__ import annotations

from pathlib import Path

from hybrid.engine.index import HybridIndex
from hybrid.index import Store, clone_folder
from hybrid.pipeline import from_dict


def clone(index: HybridIndex, folder: Path) -> HybridIndex:
    """Return a writable copy of an index in a new folder, with the stored pipeline and the same encoders.

    It costs no space worth mentioning: files that never change are shared.

    Raises:
        StorageError: the folder exists, or the system refused.
    """
    clone_folder(index.path, folder)
    store = Store.open(folder, mode="w")
    return HybridIndex(store, from_dict(store.settings["pipeline"]), index._encoders, {})
