"""The files of a folder: which are meant, which can be read, and why others cannot."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hybrid.corpus.files.found import FoundFile
from hybrid.corpus.files.kinds import kind_of
from hybrid.corpus.files.report import ReadReport
from hybrid.corpus.files.selection import Ignored, Selection, ignored_above, ignored_here, ignores
from hybrid.errors import CorpusError

_NEVER = frozenset((".git", ".hg", ".svn", "__pycache__"))
_MAILDIR = frozenset(("cur", "new", "tmp"))
_INDEX = frozenset(("catalog.sqlite", "segments"))
"""What an index of ours holds: such a folder is never read."""


class _Folder(NamedTuple):
    """A folder to look into: its path relative to the root (with ``/``), and what is ignored in it."""

    name: str
    ignored: tuple[Ignored, ...]
    maildir: bool = False


def walk(root: Path, select: Selection, report: ReadReport) -> Iterator[FoundFile]:
    """Yield the files of a folder that have a reader, in the order of their paths; note others in ``report``.

    A link to a file is followed only if it leads to a file in the folder, a link to a folder never. What
    is hidden, ignored or excluded is not noted; devices, names that are not text, and suffixes without a
    reader are.

    Raises:
        CorpusError: the folder itself cannot be listed.
    """
    root = root.resolve()
    try:
        os.scandir(root).close()
    except OSError as error:
        raise CorpusError(f"{root}: cannot be read ({error.strerror or error}); check the path") from error
    open_folders = [
        _entries(root, _Folder("", ignored_above(root) if select.gitignore else ()), select, report)
    ]
    while open_folders:
        entry = next(open_folders[-1], None)
        if entry is None:
            open_folders.pop()
        elif isinstance(entry, _Folder):
            open_folders.append(_entries(root, entry, select, report))
        else:
            yield entry


def _entries(
    root: Path, folder: _Folder, select: Selection, report: ReadReport
) -> Iterator[FoundFile | _Folder]:
    """Yield what is meant in one folder: files, and folders to look into, in the order of their paths."""
    try:
        with os.scandir(root / folder.name) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name + "/" * _is_folder(entry))
    except OSError as error:
        report.skip(folder.name, f"the folder cannot be listed ({error.strerror or error})")
        return
    names = {entry.name for entry in entries}
    if names >= _INDEX:
        return
    here = ignored_here(root, folder.name) if select.gitignore and ".gitignore" in names else ()
    ignored = folder.ignored + here
    for entry in entries:
        if (entry.name.startswith(".") and not (select.hidden or folder.maildir)) or entry.name in _NEVER:
            continue
        name = folder.name + entry.name
        if _is_folder(entry):
            mail = entry.name in ("cur", "new") and names >= _MAILDIR
            if (
                not ignores(ignored, f"{name}/")
                and select.enters(f"{name}/")
                and not (entry.name == "tmp" and names >= _MAILDIR)
            ):
                yield _Folder(f"{name}/", ignored, mail)
        elif not ignores(ignored, name) and select.means(name):
            found = _file(root, Path(entry.path), name, folder, select, report)
            if found is not None:
                yield found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _file(
    root: Path, path: Path, name: str, folder: _Folder, select: Selection, report: ReadReport
) -> FoundFile | None:
    """Return a file if it can be read; note why, if not."""
    kind = ("mail", "") if folder.maildir else kind_of(name)
    if kind is None and select.include:
        kind = ("text", "")
    reason = _unnamable(name) or ("" if kind else f"no reader for {path.suffix or 'files without a suffix'}")
    if not reason:
        try:
            linked = path.is_symlink()
            target = path.resolve(strict=True) if linked else path
            known = target.stat()
            if linked and not target.is_relative_to(root):
                reason = "it is a link that leads out of the folder"
            elif linked and target.is_dir():
                reason = "it is a link to a folder, which is not followed"
            elif not stat.S_ISREG(known.st_mode):
                reason = "it is no regular file"
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, in Python 3.12 and before
            reason = f"it cannot be read ({getattr(error, 'strerror', None) or error})"
    if reason or kind is None:
        report.skip(_shown(name), reason)
        return None
    if folder.maildir:  # the name's end says what was done with the message, and changes
        name = f"{Path(folder.name).parent.as_posix()}/{path.name.partition(':2,')[0]}".removeprefix("./")
    return FoundFile(name, path, kind[0], known.st_size, known.st_mtime_ns, kind[1])


def _unnamable(name: str) -> str:
    """Say why a name cannot be part of an id, if so."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not valid UTF-8; rename it"
    return "" if name.isprintable() else "its name has control characters; rename it"


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
