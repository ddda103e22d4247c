"""CSV and TSV with a header line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from hybrid.corpus.documents import ID_KEYS, TEXT_KEYS, to_document
from hybrid.corpus.lines import MAX_LINE_BYTES, read_lines
from hybrid.errors import CorpusError
from hybrid.types import Document

RESERVED = frozenset({"metadata", "vectors"})
"""Column names that would need an object, which a cell cannot hold."""


def read_csv(path: Path) -> Iterator[Document]:
    """Yield the rows of a comma-separated file as documents; see :func:`read_delimited`."""
    return read_delimited(path, ",")


def read_tsv(path: Path) -> Iterator[Document]:
    """Yield the rows of a tab-separated file as documents; see :func:`read_delimited`."""
    return read_delimited(path, "\t")


def read_delimited(path: Path, delimiter: str) -> Iterator[Document]:
    """Yield the rows of a delimited file as documents, in file order.

    The first line names the columns: ``id`` or ``_id``, ``text`` or ``contents``, optionally
    ``title``; every other column becomes metadata, as strings. Quoting is that of RFC 4180, for
    tabs too: a cell that starts with ``"`` ends at the next single ``"``, and may span lines. Blank
    lines are skipped. The ids seen are kept in memory, to find duplicates.

    Raises:
        CorpusError: the header lacks a column or names one twice; a row has another number of
            cells, a broken quote, or a repeated id. The message names the line where the row starts.

    """
    rows = _rows(path, delimiter)
    first = next(rows, None)
    if first is None:
        raise CorpusError(f"{path}: empty; the first line must name the columns, such as id{delimiter}text")
    columns = _checked_header(first[1], f"{path}, line {first[0]}")
    seen: dict[str, int] = {}
    for number, row in rows:
        where = f"{path}, line {number}"
        if len(row) != len(columns):
            raise CorpusError(
                f"{where}: {len(row)} cells for {len(columns)} columns ({', '.join(columns)}); "
                "quote a cell that holds the delimiter"
            )
        document = to_document(dict(zip(columns, row, strict=True)), where)
        earlier = seen.setdefault(document.id, number)
        if earlier != number:
            raise CorpusError(
                f"{where}: id {document.id!r} was already used on line {earlier}; ids must be unique"
            )
        yield document


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield ``(number of its first line, cells)`` for each row that is not blank."""
    lines = (f"{line}\n" for _, line in read_lines(path))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        # The limit is one number for the whole process, 128 KiB by default: raise it only meanwhile.
        previous = csv.field_size_limit(MAX_LINE_BYTES)
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise CorpusError(f"{path}, line {start}: malformed row ({error}); check the quotes") from error
        finally:
            csv.field_size_limit(previous)
        if row is None:
            return
        if row:
            yield start, row


def _checked_header(columns: list[str], where: str) -> list[str]:
    """Return the column names, after checking that they describe documents."""
    for position, name in enumerate(columns, 1):
        if not name.strip():
            raise CorpusError(f"{where}: column {position} has no name; name it or remove it")
        if columns.index(name) + 1 != position:
            raise CorpusError(f"{where}: two columns are named {name!r}; rename one")
        if name in RESERVED:
            raise CorpusError(f"{where}: a column cannot be named {name!r}; rename it, or use JSONL")
    for what, accepted in (("id", ID_KEYS), ("text", TEXT_KEYS)):
        if not set(accepted) & set(columns):
            names = " or ".join(repr(key) for key in accepted)
            raise CorpusError(
                f"{where}: no {what} column (columns: {', '.join(columns)}); "
                f"the first line must name one {names}"
            )
    return columns
