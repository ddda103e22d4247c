"""Plain text and Markdown: one file, or a folder of them."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path

from hybrid.corpus.lines import cannot_read, read_bytes
from hybrid.errors import CorpusError
from hybrid.types import Document

TEXT_SUFFIXES = (".txt", ".md")

_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(?P<title>.*?)(?:[ \t]+#+)?[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def read_text_file(path: Path) -> Iterator[Document]:
    """Yield the one document of a ``.txt`` or ``.md`` file; its id is the file's name.

    Raises:
        CorpusError: the file cannot be read, is not UTF-8, or is larger than 64 MiB.

    """
    yield _document(path, path.name)


def read_folder(folder: Path) -> Iterator[Document]:
    """Return every ``.txt`` and ``.md`` file under ``folder``, in the order of their ids.

    The id is the path relative to the folder, with ``/``; the title is the first Markdown heading
    (``# …``), or else the file's name without its suffix; the text is the whole file as it stands.
    Files and folders whose name starts with a dot are left out. A link to a file is followed only
    if it leads to a file in this folder, a link to a folder never.

    Raises:
        CorpusError: at once if there is no such file; while iterating, if one cannot be read, is
            not UTF-8, or is too large.

    """
    found = sorted(_names(folder))
    if not found:
        raise CorpusError(
            f"{folder}: holds neither corpus.jsonl(.gz) nor any {' or '.join(TEXT_SUFFIXES)} file; "
            "give a file or a folder that does"
        )
    return (_document(folder / name, name) for name in found)


def _names(folder: Path) -> Iterator[str]:
    """Yield the relative path, with ``/``, of each text file."""
    root = folder.resolve()
    for parent, folders, files in os.walk(root, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(parent, name)
            if name.startswith(".") or path.suffix.lower() not in TEXT_SUFFIXES:
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                continue
            if path.is_file():
                yield _checked_name(path.relative_to(root).as_posix(), folder)


def _refuse(error: OSError) -> None:
    """Report a folder that cannot be listed (``os.walk`` would pass over it)."""
    raise cannot_read(Path(error.filename), error) from error


def _checked_name(name: str, folder: Path) -> str:
    """Return the name if it can be an id, that is, if it is text."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CorpusError(f"{folder}: the file name {name!r} is not valid UTF-8; rename the file") from error
    return name


def _document(path: Path, identifier: str) -> Document:
    """Read one file."""
    content = read_bytes(path)
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path}, line {line}: invalid UTF-8 ({error.reason}); save the file as UTF-8"
        ) from error
    heading = _first_heading(text) if path.suffix.lower() == ".md" else ""
    return Document(identifier, text, heading or path.stem)


def _first_heading(text: str) -> str:
    r"""Return the first ``#`` heading outside fenced code, or nothing.

    >>> _first_heading("intro\n## Set up ##\n# Later")
    'Set up'
    """
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark:
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence):
                fence = ""
            continue
        heading = None if fence else _HEADING.match(line)
        if heading and heading["title"]:
            return heading["title"]
    return ""
