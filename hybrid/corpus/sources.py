"""What a corpus can be, and which reader reads it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hybrid.corpus.datasets import is_dataset, open_dataset
from hybrid.corpus.datasets.source import ACCEPTED as DATASETS
from hybrid.errors import CorpusError
from hybrid.types import Document

FILE_READERS = MappingProxyType(
    {
        ".jsonl": "hybrid.corpus.jsonl:read_jsonl",
        ".ndjson": "hybrid.corpus.jsonl:read_jsonl",
        ".csv": "hybrid.corpus.delimited:read_csv",
        ".tsv": "hybrid.corpus.delimited:read_tsv",
        ".txt": "hybrid.corpus.textfiles:read_text_file",
        ".md": "hybrid.corpus.textfiles:read_text_file",
    }
)
"""File suffix -> where its reader is; imported when first used."""

GZIPPED = frozenset({".jsonl", ".ndjson", ".csv", ".tsv"})
"""The suffixes that may be followed by ``.gz``."""

SCHEMES = MappingProxyType({"python": "hybrid.corpus.python:read_python"})
"""Prefix before a colon -> where its reader is."""

FOLDER_READER = "hybrid.corpus.textfiles:read_folder"
BEIR_NAMES = ("corpus.jsonl", "corpus.jsonl.gz")

ACCEPTED = (
    "a .jsonl or .ndjson file (.gz too), a .csv or .tsv file with a header (.gz too), a .txt or .md file, "
    "a folder in BEIR layout (corpus.jsonl), a folder of .txt and .md files, "
    f"'python:stdlib', or 'python:PACKAGE' for an installed package; or a published collection: {DATASETS}"
)


def read(source: str | os.PathLike[str]) -> Iterator[Document]:
    """Read the documents of a corpus, one at a time.

    Args:
        source: the path to a file or folder, or ``"python:stdlib"``, or ``"python:PACKAGE"``, or the
            name of a published collection (`hybrid.corpus.datasets`); the module that reads each kind
            says what it takes.

    Returns:
        An iterator that reads as it goes: what is wrong on line 1,000 is raised once the 999
        documents before it have been handed out.

    Raises:
        CorpusError: at once if there is no such source or no reader for it; while iterating, if
            its content is malformed. The message names the file, the line and the remedy.

    """
    given = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    if not isinstance(given, str) or not given:
        raise CorpusError(f"cannot read {type(source).__name__} {source!r:.60}; give {ACCEPTED}")
    if is_dataset(source):
        return open_dataset(given).documents()
    scheme, colon, rest = given.partition(":")
    if colon and isinstance(source, str) and scheme in SCHEMES:
        return _load(SCHEMES[scheme])(rest)
    path = Path(given)
    if os.path.isdir(path):
        return _read_directory(path)
    if not os.path.exists(path):
        raise CorpusError(f"there is no file or folder {given!r}; give {ACCEPTED}")
    suffix = path.suffix.lower()
    if suffix == ".gz" and Path(path.stem).suffix.lower() in GZIPPED:
        suffix = Path(path.stem).suffix.lower()
    if suffix not in FILE_READERS:
        raise CorpusError(f"{given}: no reader for files named {path.name!r}; give {ACCEPTED}")
    return _load(FILE_READERS[suffix])(path)


def _read_directory(folder: Path) -> Iterator[Document]:
    """Read a folder in BEIR layout, or else a folder of text files."""
    found = [name for name in BEIR_NAMES if (folder / name).exists()]
    if len(found) > 1:
        raise CorpusError(f"{folder}: holds both {found[0]} and {found[1]}; give the one that you mean")
    if found:
        return _load(FILE_READERS[".jsonl"])(folder / found[0])
    return _load(FOLDER_READER)(folder)


def _load(target: str) -> Callable[[Any], Iterator[Document]]:
    """Import the function that ``"module:name"`` stands for."""
    module, _, name = target.partition(":")
    reader: Callable[[Any], Iterator[Document]] = getattr(import_module(module), name)
    return reader
