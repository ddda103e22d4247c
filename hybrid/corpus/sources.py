"""What a corpus can be, and which reader reads it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hybrid.corpus.datasets import is_dataset, open_dataset
from hybrid.corpus.datasets.source import ACCEPTED as DATASETS
from hybrid.corpus.files import Columns, Reading, Selection, kind_of, read_file, read_folder
from hybrid.errors import CorpusError
from hybrid.types import Document

CORPUS_READERS = MappingProxyType(
    {
        ".jsonl": "hybrid.corpus.jsonl:read_jsonl",
        ".ndjson": "hybrid.corpus.jsonl:read_jsonl",
        ".csv": "hybrid.corpus.delimited:read_csv",
        ".tsv": "hybrid.corpus.delimited:read_tsv",
    }
)
"""Suffix of a file that is a corpus, with ids and texts -> where its strict reader is."""

SCHEMES = MappingProxyType({"python": "hybrid.corpus.python:read_python"})
"""Prefix before a colon -> where its reader is."""

BEIR_NAMES = ("corpus.jsonl", "corpus.jsonl.gz")

ACCEPTED = (
    "a .jsonl or .ndjson file (.gz too), a .csv or .tsv file with a header (.gz too), a .parquet or .sqlite "
    "file, a .txt, .md, .html, .pdf, .docx, .epub, .eml, .mbox, .ipynb or source file, Posts.xml of a Stack "
    "Exchange dump, a folder in BEIR layout (corpus.jsonl), a folder of any of these, "
    f"'python:stdlib', or 'python:PACKAGE' for an installed package; or a published collection: {DATASETS}"
)


def read(
    source: str | os.PathLike[str],
    *,
    columns: Columns | None = None,
    table: str | None = None,
    query: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hidden: bool = False,
    gitignore: bool = True,
) -> Reading:
    """Read the documents of a corpus, one at a time.

    ``source`` is the path to a file or folder, or ``"python:stdlib"``, or ``"python:PACKAGE"``, or the name
    of a published collection (`hybrid.corpus.datasets`). What is made of each format: docs/files.md.

    ``columns``: of a table, which columns are id, text and title. Without them a ``.jsonl``, ``.csv`` or
    ``.tsv`` file must have ``id`` and ``text``, and everything wrong with it is an error. ``table``,
    ``query``: what to read of a SQLite file; without them, every table. ``include``, ``exclude``, ``hidden``,
    ``gitignore``: which files of a folder are meant (`Selection`); without them a folder in BEIR layout is
    read as that.

    The `Reading` reads as it goes. Of one file, what is wrong on line 1,000 is raised once the 999 documents
    before have been handed out; of a folder, what cannot be read is in its ``report``.

    Raises:
        CorpusError: at once if there is no such source, no reader for it, or an option that it cannot have;
            while iterating, if its content is malformed. The message names the file, the line and the remedy.
        MissingDependencyError: the library for the file's format is not installed; of a folder, its files
            are reported.
    """
    given = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    if not isinstance(given, str) or not given:
        raise CorpusError(f"cannot read {type(source).__name__} {source!r:.60}; give {ACCEPTED}")
    select = Selection(include, exclude, hidden, gitignore)
    is_folder, of_rows = os.path.isdir(given), (columns, table, query) != (None, None, None)
    if not is_folder and select != Selection():
        raise CorpusError(f"{given}: include, exclude, hidden and gitignore are for folders; leave them out")
    if of_rows and (is_folder or not os.path.exists(given)):
        raise CorpusError(f"{given}: columns, table and query are for a single file; leave them out")
    if is_dataset(source):
        return Reading(open_dataset(given).documents())
    scheme, colon, rest = given.partition(":")
    if colon and isinstance(source, str) and scheme in SCHEMES:
        return Reading(_load(SCHEMES[scheme])(rest))
    if is_folder:
        return _read_directory(Path(given), select)
    if not os.path.exists(given):
        raise CorpusError(f"there is no file or folder {given!r}; give {ACCEPTED}")
    return _read_one(Path(given), columns, table, query)


def _read_one(path: Path, columns: Columns | None, table: str | None, query: str | None) -> Reading:
    suffix = path.suffix.lower() if path.suffix.lower() != ".gz" else Path(path.stem).suffix.lower()
    if suffix in CORPUS_READERS and (columns, table, query) == (None, None, None):
        return Reading(_load(CORPUS_READERS[suffix])(path))
    if kind_of(path.name) is None:
        raise CorpusError(f"{path}: no reader for files named {path.name!r}; give {ACCEPTED}")
    return read_file(path, columns, table, query)


def _read_directory(folder: Path, select: Selection) -> Reading:
    """Read a folder in BEIR layout, or else a folder of files."""
    found = [name for name in BEIR_NAMES if (folder / name).exists()]
    if len(found) > 1:
        raise CorpusError(f"{folder}: holds both {found[0]} and {found[1]}; give the one that you mean")
    if found and select == Selection():
        return Reading(_load(CORPUS_READERS[".jsonl"])(folder / found[0]))
    return read_folder(folder, select)


def _load(target: str) -> Callable[[Any], Iterator[Document]]:
    """Import the function that ``"module:name"`` stands for."""
    module, _, name = target.partition(":")
    reader: Callable[[Any], Iterator[Document]] = getattr(import_module(module), name)
    return reader
