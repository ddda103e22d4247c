"""Tables: CSV, TSV, JSONL and SQLite; each row is one document."""

from __future__ import annotations

import csv
import gzip
import io
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from hybrid.corpus.files.columns import Columns
from hybrid.corpus.files.decoding import encoding_of
from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.report import Note, UnreadableError
from hybrid.corpus.jsonl import parse_object
from hybrid.corpus.lines import MAX_LINE_BYTES, check_growth, read_lines
from hybrid.errors import CorpusError

_SAMPLE = 64 * 1024
_ALL = Columns()
_OTHER_FILES = frozenset((sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH))


def read_csv_rows(file: FoundFile, note: Note, columns: Columns = _ALL) -> Iterator[Part]:
    """Yield the rows of a file; the first line names the columns.

    Cells are separated by commas, semicolons, tabs or bars, whichever is most in the first line.
    A row with another number of cells is noted and left out.

    Raises:
        UnreadableError: the file is not text, a line is too long, a quote is never closed, or the gzip stream
            is damaged or a decompression bomb.
    """
    try:
        with _binary(file) as raw:
            sample = raw.read(_SAMPLE)
            raw.seek(0)
            with io.TextIOWrapper(raw, encoding_of(sample), errors="replace", newline="") as stream:
                first = sample.decode(stream.encoding, errors="replace").partition("\n")[0]
                delimiter = max(",;\t|", key=first.count)
                lines = _bounded(stream, file.path)
                yield from _csv_rows(csv.reader(lines, delimiter=delimiter, strict=True), note, columns)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableError(f"the gzip stream is damaged or cut short ({error})") from error
    except CorpusError as error:
        raise unnamed(error, file) from error


def _bounded(stream: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """Yield lines; refuse one that is too long, and a gzip file that unpacks to far more than texts do."""
    number = grown = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise UnreadableError(f"line {number}: longer than {MAX_LINE_BYTES:,} characters")
        grown += len(line)
        if path.suffix.lower() == ".gz":
            check_growth(path, grown)
        yield line


def unnamed(error: CorpusError, file: FoundFile) -> UnreadableError:
    """Return an error that names the file as one that does not: who catches it knows."""
    return UnreadableError(str(error).removeprefix(f"{file.path}, ").removeprefix(f"{file.path}: "))


def _csv_rows(reader: Any, note: Note, columns: Columns) -> Iterator[Part]:
    names = [name.strip() for name in _next_row(reader) or ()]
    if not names:
        return
    names = [name or f"column {n}" for n, name in enumerate(names, 1)]
    if len(set(names)) < len(names):
        raise UnreadableError("two of its columns have the same name; rename one")
    columns.check(names)
    number = 0
    while (cells := _next_row(reader)) is not None:
        if not cells:
            continue
        number += 1
        if len(cells) != len(names):
            note(str(number), f"the row has {len(cells)} cells for {len(names)} columns")
            continue
        yield from noted(note, columns, {k: v for k, v in zip(names, cells, strict=True) if v}, number)


def _next_row(reader: Any) -> list[str] | None:
    """Return the next row; the process's limit of a cell is raised only meanwhile."""
    previous = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        row: list[str] | None = next(reader, None)
    except csv.Error as error:
        raise UnreadableError(f"line {reader.line_num}: malformed row ({error}); check the quotes") from error
    finally:
        csv.field_size_limit(previous)
    return row


def read_jsonl_rows(file: FoundFile, note: Note, columns: Columns = _ALL) -> Iterator[Part]:
    """Yield the objects of a JSONL file; a line that is none is noted and left out.

    Raises:
        UnreadableError: a line is too long or not UTF-8, or the gzip stream is damaged.
    """
    try:
        for number, line in read_lines(file.path):
            if not line or line.isspace():
                continue
            try:
                record = parse_object(line)
            except (ValueError, TypeError, RecursionError) as error:
                note(str(number), f"malformed JSON ({error})")
                continue
            yield from noted(note, columns, record, number)
    except CorpusError as error:
        raise unnamed(error, file) from error


def read_sqlite_rows(
    file: FoundFile, note: Note, columns: Columns = _ALL, table: str | None = None, query: str | None = None
) -> Iterator[Part]:
    """Yield the rows of a SQLite file: of one ``table``, of a ``query``, or of every table.

    The file is opened for reading only. Parts are called ``TABLE/KEY``, or ``KEY`` alone for a table or query
    that was asked for.

    Raises:
        UnreadableError: the file is damaged, has no such table, or the query fails.
    """
    try:
        with closing(_connected(file)) as database:
            if query is not None:
                yield from _select(database, query, note, columns, "")
                return
            found = _tables(database)
            if table is not None and table not in found:
                raise UnreadableError(f"it has no table {table!r} (tables: {', '.join(found) or 'none'})")
            for name in found if table is None else [table]:
                quoted = name.replace('"', '""')
                prefix = f"{name}/" if table is None else ""
                yield from _select(database, f'SELECT * FROM "{quoted}"', note, columns, prefix)
    except sqlite3.Error as error:
        raise UnreadableError(f"SQLite says: {error}") from error


def _connected(file: FoundFile) -> sqlite3.Connection:
    """Open for reading; without touching anything beside the file, if its folder cannot be written.

    An index takes documents in whatever thread is free, one at a time.
    """
    uri = f"file:{quote(str(file.path.absolute()))}?mode=ro"
    database = sqlite3.connect(uri, uri=True, timeout=5, check_same_thread=False)
    try:
        database.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        database.close()
        database = sqlite3.connect(f"{uri}&immutable=1", uri=True, check_same_thread=False)
    database.execute("PRAGMA query_only = ON")
    database.execute("PRAGMA trusted_schema = OFF")
    database.set_authorizer(_authorize)
    database.text_factory = lambda value: value.decode("utf-8", "replace")
    return database


def _authorize(action: int, *_: str | None) -> int:
    """Refuse what would open or make another file; this one is open for reading only."""
    return sqlite3.SQLITE_DENY if action in _OTHER_FILES else sqlite3.SQLITE_OK


def _tables(database: sqlite3.Connection) -> list[str]:
    """Return the names of the tables, without those in which SQLite keeps virtual ones."""
    rows = database.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
    ).fetchall()
    virtual = tuple(f"{name}_" for name, sql in rows if sql and sql.upper().startswith("CREATE VIRTUAL"))
    return [name for name, _ in rows if not name.startswith(("sqlite_", *virtual))]


def _select(
    database: sqlite3.Connection, query: str, note: Note, columns: Columns, prefix: str
) -> Iterator[Part]:
    cursor = database.execute(query)
    if cursor.description is None:
        raise UnreadableError("the query returns no rows; write a SELECT")
    names = [column[0] for column in cursor.description]
    if not prefix:
        columns.check(names)
    for number, row in enumerate(cursor, 1):
        yield from noted(note, columns, dict(zip(names, row, strict=True)), number, prefix)


def noted(note: Note, columns: Columns, row: dict[str, Any], number: int, prefix: str = "") -> Sequence[Part]:
    """Return a row as a part, or note why it is none."""
    try:
        return [columns.part(row, number, prefix)]
    except UnreadableError as error:
        note(f"{prefix}{number}", str(error))
        return []


def _binary(file: FoundFile) -> BinaryIO:
    opener = cast("Callable[..., BinaryIO]", gzip.open if file.path.suffix.lower() == ".gz" else open)
    return opener(file.path, "rb")
