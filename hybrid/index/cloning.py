"""A second folder with the same index, for almost nothing: segments never change, so they are linked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hybrid.errors import StorageError
from hybrid.index.catalog import CATALOG, State, read_catalog, write_catalog
from hybrid.index.folder import segment_path

_ATTEMPTS = 20
"""How often to start again because a writer merged segments away in between."""


def clone_folder(source: Path, target: Path) -> None:
    """Put the committed state of one index folder into another, which does not exist yet.

    Segments are hard links where the file system has them, copies elsewhere. The two indexes are
    independent: what one of them changes or deletes, the other does not notice.

    Raises:
        NotAnIndexError: the source holds no index.
        StorageError: the target exists, or the system refused.
    """
    try:
        target.mkdir(parents=True)
        state = _linked(source, target)
    except OSError as error:
        raise StorageError(f"cannot clone {source} to {target}: {error.strerror or error}") from error
    write_catalog(target / CATALOG, None, state)


def _linked(source: Path, target: Path) -> State:
    for _ in range(_ATTEMPTS):
        state = read_catalog(source / CATALOG)
        (target / "segments").mkdir()
        try:
            for uuid in state.uuids():
                _link(segment_path(source, uuid), segment_path(target, uuid))
        except FileNotFoundError:
            shutil.rmtree(target / "segments")
        else:
            return state
    raise StorageError(f"the index {source} changes faster than it can be cloned; try again later")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
