"""Reading one file, where damage is an error, or a folder, where it is reported."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Self

from hybrid.corpus.files.columns import Columns, checked_columns
from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.kinds import kind_of, reader_of
from hybrid.corpus.files.report import Note, PartNotes, ReadReport, UnreadableError
from hybrid.corpus.files.selection import Selection
from hybrid.corpus.files.walk import walk
from hybrid.corpus.lines import cannot_read
from hybrid.errors import CorpusError, HybridError
from hybrid.types import Document

_TABLES = frozenset(("csv", "jsonl", "parquet", "sqlite"))
_LOGGER = logging.getLogger("hybrid.corpus")


class Reading(Iterator[Document]):
    """Documents as they are read, one at a time; ``report`` says what was read so far, and what was not."""

    def __init__(self, documents: Iterator[Document], report: ReadReport | None = None) -> None:
        self._documents = documents
        self.report = ReadReport() if report is None else report

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Document:
        document = next(self._documents)
        self.report.documents += 1
        return document


def read_folder(folder: Path, select: Selection) -> Reading:
    """Return a reading of every file of a folder that has a reader (`hybrid.corpus.files.kinds`).

    The id is the path relative to the folder, with ``/``; where a file has several documents, ``#`` and a
    number or key follow. What cannot be read is noted in the report, with the reason, and one warning is
    logged at the end; nothing of it is an error.

    Raises:
        CorpusError: the folder cannot be listed, or no file of it has a reader.
    """
    report = ReadReport()
    found = walk(folder, select, report)
    first = next(found, None)
    if first is None:
        why = f"; for example, {report.skipped[0].path}: {report.skipped[0].reason}" if report.skipped else ""
        raise CorpusError(f"{folder}: holds no file that can be read{why}")
    return Reading(_documents(folder, chain([first], found), report), report)


def read_file(
    path: Path, columns: Columns | None = None, table: str | None = None, query: str | None = None
) -> Reading:
    """Return a reading of one file.

    Ids begin with the file's name, save those of tables' rows: they are the rows' own.

    Raises:
        CorpusError: at once if the file has no reader or the options do not fit it; while iterating, if it
            cannot be read. Single parts that cannot be read are noted in the report.
        MissingDependencyError: the library for its format is not installed.
    """
    known = kind_of(path.name)
    if known is None:
        raise CorpusError(f"{path}: no reader for files named {path.name!r}")
    kind, language = known
    options = _options(path, kind, columns, table, query)
    try:
        stat = path.stat()
    except OSError as error:
        raise cannot_read(path, error) from error
    report = ReadReport()
    file = FoundFile(path.name, path, kind, stat.st_size, stat.st_mtime_ns, language)
    return Reading(_strict(file, report, options), report)


def file_documents(
    file: FoundFile, note: Note, prefix: str = "", about: Mapping[str, Any] | None = None
) -> Iterator[Document]:
    """Yield a file's documents; see `FoundFile.document`.

    Raises:
        UnreadableError: it cannot be read, or two of its parts have one key.
        OSError, MissingDependencyError: as the readers do; on damage that they do not expect, others.
    """
    return (file.document(part, prefix, about) for part in _parts(file, note, {}))


def reason(error: Exception) -> str:
    """Say in a few words why a file cannot be read."""
    if isinstance(error, HybridError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "it vanished before it was read"
    if isinstance(error, OSError):
        return f"it cannot be read ({error.strerror or error})"
    return f"it cannot be read ({type(error).__name__}: {error})"


def _documents(folder: Path, files: Iterator[FoundFile], report: ReadReport) -> Iterator[Document]:
    for file in files:
        notes, made = PartNotes(report, file.name), 0
        try:
            for document in file_documents(file, notes):
                made += 1
                yield document
        except Exception as error:  # a stranger's file may break a stranger's library in any way
            after = f" after {made:,} documents, which were read" if made else ""
            report.skip(file.name, f"{reason(error)}{after}")
        report.files += bool(made)
        if not made and not notes.count and not (report.skipped and report.skipped[-1].path == file.name):
            report.skip(file.name, "it is empty")
        notes.close()
    if report.skipped:
        _LOGGER.warning(
            "of %s, %d files were read, and %d items were not, such as %s: %s (all are in Reading.report)",
            folder, report.files, len(report.skipped), report.skipped[0].path, report.skipped[0].reason,
        )  # fmt: skip


def _strict(file: FoundFile, report: ReadReport, options: Mapping[str, Any]) -> Iterator[Document]:
    notes = PartNotes(report, file.name)
    try:
        for part in _parts(file, notes, options):
            document = file.document(part)
            yield replace(document, id=part.key) if file.kind in _TABLES and part.key else document
    except OSError as error:
        raise cannot_read(file.path, error) from error
    except UnreadableError as error:
        raise CorpusError(f"{file.path}: {error}") from error
    except (HybridError, MemoryError):
        raise
    except Exception as error:  # as above
        raise CorpusError(f"{file.path}: {reason(error)}") from error
    report.files += 1
    notes.close()


def _parts(file: FoundFile, note: Note, options: Mapping[str, Any]) -> Iterator[Part]:
    """Yield what the reader makes of a file, each key once."""
    seen: set[str] = set()
    for part in reader_of(file.kind)(file, note, **options):
        if part.key is not None:
            if part.key in seen:
                note(part.key, "its key was already used in this file")
                continue
            seen.add(part.key)
        yield part


def _options(
    path: Path, kind: str, columns: Columns | None, table: str | None, query: str | None
) -> dict[str, Any]:
    given: dict[str, Any] = {} if columns is None else {"columns": checked_columns(columns)}
    given |= {name: value for name, value in (("table", table), ("query", query)) if value is not None}
    if columns is not None and kind not in _TABLES:
        raise CorpusError(f"{path}: columns were given, and a {kind} file has none; leave them out")
    if kind != "sqlite" and (table is not None or query is not None):
        raise CorpusError(f"{path}: a table or query was given, and this is no SQLite file; leave it out")
    if table is not None and query is not None:
        raise CorpusError(f"{path}: both a table and a query were given; give one")
    return given
