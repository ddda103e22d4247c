"""Parquet files: each row is one document, in bounded memory.

A column may hold each value once and say which row has which, so a few kilobytes can stand for any number of
gigabytes. Strings are therefore read as such a dictionary, and measured before they are written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hybrid.corpus.files.columns import Columns
from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.report import Note, UnreadableError
from hybrid.corpus.files.tables import noted, unnamed
from hybrid.corpus.lines import check_growth
from hybrid.errors import CorpusError, MissingDependencyError

_BATCH = 1024
_HELD = 64 << 20
"""So many bytes of rows are written out at a time; larger rows one by one."""


def read_parquet_rows(file: FoundFile, note: Note, columns: Columns | None = None) -> Iterator[Part]:
    """Yield the rows of a file.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        UnreadableError: the file is damaged, or a decompression bomb.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "parquet") from error
    chosen = columns or Columns()
    try:
        for number, row in enumerate(_rows(file, chosen), 1):
            yield from noted(note, chosen, row, number)
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise UnreadableError(f"it is not a whole Parquet file ({error})") from error
    except CorpusError as error:
        raise unnamed(error, file) from error


def _rows(file: FoundFile, columns: Columns) -> Iterator[dict[str, Any]]:
    from pyarrow import types
    from pyarrow.parquet import ParquetFile

    with ParquetFile(file.path) as table:
        columns.check(table.schema_arrow.names)
        leaves = (table.schema.column(n) for n in range(len(table.schema)))
        strings = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    grown = 0
    with ParquetFile(file.path, read_dictionary=strings) as table:
        for batch in table.iter_batches(batch_size=_BATCH, use_threads=False):
            size = sum(map(_written_out, batch.columns))
            grown += size
            check_growth(file.path, grown)
            step = batch.num_rows if size <= _HELD else 1
            for start in range(0, batch.num_rows, step or 1):
                rows = batch.slice(start, step)
                for number, column in enumerate(rows.columns):
                    if types.is_dictionary(column.type):
                        name = rows.schema.names[number]
                        rows = rows.set_column(number, name, column.dictionary_decode())
                yield from rows.to_pylist()


def _written_out(array: Any) -> int:
    """Return how many bytes an array's values have where each of them is written out."""
    from pyarrow import compute, types

    kind = array.type
    if types.is_dictionary(kind):
        lengths = compute.binary_length(array.dictionary)
        return int(compute.sum(lengths.take(array.indices)).as_py() or 0)
    if types.is_struct(kind):
        return sum(map(_written_out, array.flatten()))
    if types.is_map(kind):
        return _written_out(array.keys) + _written_out(array.items)
    if types.is_nested(kind):
        return _written_out(array.flatten())
    return int(array.nbytes)
