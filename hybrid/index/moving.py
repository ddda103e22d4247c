"""Whole copies of an index: backups, and what is made of them again."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hybrid.errors import CorruptIndexError, StorageError
from hybrid.index.catalog import State
from hybrid.index.files import sync_folder
from hybrid.index.folder import UNCHECKED, segment_path
from hybrid.index.segment import Segment
from hybrid.index.snapshot import Snapshot
from hybrid.index.store import Store


def copy_index(
    state: State, snapshot: Snapshot, target: str | os.PathLike[str], *, link: bool, overwrite: bool
) -> int:
    """Put one generation of an index into another folder, and return its number there.

    Everything is read from the snapshot, so a writer of the index may go on. Every byte of the copy is
    checked and fsynced before its one commit; if anything fails, the target is as it was. ``link``: segments
    become hard links where the file system has them (on the same disk, at no cost: files never change).

    Raises:
        IndexExistsError: an index is there, and overwriting was not asked for.
        CorruptIndexError: a segment is damaged.
        StorageError: the system refused.
    """
    with Store.creating(target, state.settings, overwrite=overwrite) as store, store:
        try:
            segments = [
                _put(view.segment, segment_path(store.path, view.uuid), link) for view in snapshot.segments
            ]
            sync_folder(store.path / "segments")
        except OSError as error:
            raise StorageError(f"cannot write {store.path}: {error.strerror or error}") from error
        generation = max(state.generation, store.snapshot.generation + 1)
        store.publish(replace(state, generation=generation), segments)
    return generation


def _put(segment: Segment, path: Path, link: bool) -> Segment:
    """Put a copy of a segment into its place, where an equal one or a damaged one may be."""
    new = path.with_suffix(UNCHECKED)
    new.unlink(missing_ok=True)
    try:
        linked = link and _linked(segment.path, new)
        if not linked:
            with open(new, "xb") as file:
                file.write(segment.content)
                file.flush()
                os.fsync(file.fileno())
        os.replace(new, path)
        return _checked(path, segment)
    finally:
        new.unlink(missing_ok=True)


def _linked(source: Path, target: Path) -> bool:
    with suppress(OSError):  # another file system, or one without links; or it was merged away meanwhile
        os.link(source, target)
        return True
    return False


def _checked(path: Path, source: Segment) -> Segment:
    try:
        copy = Segment.open(path, verify=True)
    except CorruptIndexError:
        source.verify()  # the source is what should be named
        raise
    if copy.info != source.info:
        raise CorruptIndexError(f"{path} is not what {source.path} was when it was opened")
    return copy
