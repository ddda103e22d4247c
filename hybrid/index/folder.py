"""What may lie in an index folder, and what is removed from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from hybrid.errors import IndexExistsError, NotAnIndexError, StorageError
from hybrid.index.catalog import CATALOG, remove_catalog
from hybrid.index.files import sync_folder
from hybrid.index.lock import HOLDER, LOCK

NEW_CATALOG = "catalog.new"
UNFINISHED = "unfinished"
UNCHECKED = ".new"
"""The suffix of a copy of a segment until it was checked."""

DAMAGED = "damaged"
"""Where a repair keeps the files that it could not use."""

LOOKS = "files.sqlite"
"""What a sync remembers of the files of folders; see `hybrid.engine.syncing`."""

HELD = {"segments", LOCK, HOLDER, LOOKS, *(CATALOG + s for s in ("", "-wal", "-shm", "-journal"))}
"""What may lie in the folder of an index."""

_OURS = {"segments", LOCK, HOLDER, UNFINISHED, *(NEW_CATALOG + s for s in ("", "-wal", "-shm", "-journal"))}


def segment_path(folder: Path, uuid: str) -> Path:
    """Return where a segment lies in an index folder."""
    return folder / "segments" / f"{uuid}.seg"


def check_free(folder: Path, overwrite: bool) -> bool:
    """Return whether an index is in the folder; raise if none may be created there."""
    try:
        names = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
        segments = (folder / "segments").is_dir() and any((folder / "segments").iterdir())
    except NotADirectoryError as error:
        raise NotAnIndexError(f"{folder} is a file; an index is a folder: choose another path") from error
    except OSError as error:
        raise StorageError(f"cannot read {folder}: {error.strerror or error}") from error
    if CATALOG in names:
        if not overwrite:
            raise IndexExistsError(
                f"{folder} holds an index already; open it with hybrid.open, or pass overwrite=True "
                "to replace it"
            )
        return True
    if names - _OURS or (segments and UNFINISHED not in names):
        found = ", ".join(sorted(names)[:3])
        raise NotAnIndexError(
            f"{folder} is not empty and holds no index (it holds {found}); choose an empty or new folder"
        )
    return False


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and its missing parents, durably; return those made, outermost first."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    made = missing[::-1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place in made:
            sync_folder(place.parent)
    except OSError as error:
        remove_folders(made)
        raise StorageError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    return made


def remove_folders(made: Sequence[Path]) -> None:
    """Remove folders that were made, if they are empty."""
    for folder in reversed(made):
        with suppress(OSError):
            folder.rmdir()


def begin(folder: Path) -> None:
    """Lay out the folder of an index that has no commit yet; what a crashed creation left goes."""
    try:
        (folder / UNFINISHED).touch()
        (folder / "segments").mkdir(exist_ok=True)
        sweep(folder)
        sync_folder(folder)
    except OSError as error:
        raise StorageError(f"cannot write in {folder}: {error.strerror or error}") from error


def undo(folder: Path) -> None:
    """Remove everything of an index that has no commit."""
    with suppress(OSError):
        sweep(folder)
        (folder / "segments").rmdir()
    with suppress(OSError):
        (folder / UNFINISHED).unlink(missing_ok=True)


def sweep(folder: Path, named: Collection[str] = ()) -> None:
    """Remove, as far as the system lets us, the files that the catalogue does not name.

    ``named`` holds the uuids of the segments that it names.
    """
    with suppress(OSError):  # leftovers cost only space
        remove_catalog(folder / NEW_CATALOG)
        for path in sorted((folder / "segments").glob("*")):
            if path.suffix == UNCHECKED or (path.suffix == ".seg" and path.stem not in named):
                path.unlink(missing_ok=True)
        if (folder / CATALOG).exists():
            (folder / UNFINISHED).unlink(missing_ok=True)
