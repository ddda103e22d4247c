"""Documents in files that another index takes in as they are: JSONL and Parquet, with vectors and expiries.

JSONL: one object a line with ``_id``, ``title``, ``text`` and, where there are any, ``metadata``, ``vectors``
(by branch: a list of numbers, an object of weights, or a list of lists), ``_expires`` (seconds since 1970).

Parquet: the columns ``id``, ``title``, ``text``, ``metadata`` (JSON), ``expires`` (seconds since 1970), and
one column ``vectors.NAME`` a branch: lists of float32, maps from terms to float32, or lists of lists of them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import numpy as np

from hybrid.corpus.documents import to_document
from hybrid.corpus.jsonl import read_jsonl
from hybrid.errors import CorpusError, InputError, MissingDependencyError
from hybrid.types import Document

ROWS = 1024
"""How many documents are written and read at a time."""

_TEXTS = ("id", "title", "text")
_VECTORS = "vectors."


def write_export(documents: Iterable[Document], path: str | Path) -> int:
    """Write documents to a new ``.jsonl``, ``.jsonl.gz`` or ``.parquet`` file; return how many.

    Raises:
        InputError: the file's name ends otherwise.
        MissingDependencyError: Parquet was asked for, and pyarrow is not installed.
    """
    name = str(path)
    if name.endswith(".parquet"):
        return _write_parquet(documents, Path(path))
    if not name.endswith((".jsonl", ".jsonl.gz")):
        raise InputError(f"cannot export to {name}; the name must end in .jsonl, .jsonl.gz or .parquet")
    with (
        gzip.open(name, "wt", encoding="utf-8")
        if name.endswith(".gz")
        else open(name, "w", encoding="utf-8") as file
    ):
        return write_lines(documents, file)


def write_lines(documents: Iterable[Document], file: TextIO) -> int:
    """Write documents as lines of JSON; return how many."""
    count = 0
    for document in documents:
        file.write(json.dumps(record(document), ensure_ascii=False) + "\n")
        count += 1
    return count


def record(document: Document) -> dict[str, Any]:
    """Return a document as a JSON object that `to_document` makes the document of again."""
    found: dict[str, Any] = {"_id": document.id, "title": document.title, "text": document.text}
    if document.metadata:
        found["metadata"] = document.metadata
    if document.vectors:
        found["vectors"] = {name: _plain(vector) for name, vector in document.vectors.items()}
    if document.expires is not None:
        found["_expires"] = _seconds(document)
    return found


def read_export(path: str | Path) -> Iterator[Document]:
    """Yield the documents of a file that `write_export` wrote.

    Raises:
        CorpusError: the file is not one, or is damaged.
    """
    if str(path).endswith(".parquet"):
        return _read_parquet(Path(path))
    return read_jsonl(Path(path))


def _plain(vector: Any) -> Any:
    return dict(vector) if isinstance(vector, Mapping) else np.asarray(vector).tolist()


def _seconds(document: Document) -> int | None:
    time = document.expires
    if time is None:
        return None
    return int(time if isinstance(time, int | float) else time.timestamp())


def _write_parquet(documents: Iterable[Document], path: Path) -> int:
    arrow, parquet = _pyarrow()
    stream = iter(documents)
    first = [*islice(stream, ROWS)]
    schema = _schema(arrow, first)
    count = 0
    with parquet.ParquetWriter(path, schema) as file:
        block = first
        while block:
            file.write_table(arrow.table(_columns(block, schema), schema=schema))
            count += len(block)
            block = [*islice(stream, ROWS)]
    return count


def _schema(arrow: ModuleType, documents: Sequence[Document]) -> Any:
    """Return the columns; every document of an index brings vectors for the same branches."""
    fields = [arrow.field(name, arrow.string(), nullable=False) for name in (*_TEXTS, "metadata")]
    fields.append(arrow.field("expires", arrow.int64()))
    vectors = documents[0].vectors if documents else {}
    numbers = arrow.list_(arrow.float32())
    for name, vector in vectors.items():
        if isinstance(vector, Mapping):
            kind = arrow.map_(arrow.string(), arrow.float32())
        else:
            kind = numbers if np.asarray(vector).ndim == 1 else arrow.list_(numbers)
        fields.append(arrow.field(f"{_VECTORS}{name}", kind))
    return arrow.schema(fields)


def _columns(documents: Sequence[Document], schema: Any) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [getattr(d, name) for d in documents] for name in _TEXTS}
    columns["metadata"] = [json.dumps(d.metadata, ensure_ascii=False) for d in documents]
    columns["expires"] = [_seconds(document) for document in documents]
    for name in schema.names[len(columns) :]:
        vectors = [document.vectors[name.removeprefix(_VECTORS)] for document in documents]
        columns[name] = [[*v.items()] if isinstance(v, Mapping) else np.asarray(v).tolist() for v in vectors]
    return columns


def _read_parquet(path: Path) -> Iterator[Document]:
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            missing = {*_TEXTS, "metadata", "expires"} - {*file.schema_arrow.names}
            if missing:
                raise CorpusError(
                    f"{path} has no column {', '.join(sorted(missing))}; it is no export "
                    "(hybrid.read reads other tables)"
                )
            row = 0
            for batch in file.iter_batches(ROWS):
                for found in batch.to_pylist(maps_as_pydicts="strict"):
                    yield _restored(found, f"{path}, row {row}")
                    row += 1
    except FileNotFoundError as error:
        raise CorpusError(f"there is no file {path}") from error
    except (arrow.ArrowException, OSError) as error:
        raise CorpusError(f"{path} cannot be read as Parquet: {error}") from error


def _restored(row: Mapping[str, Any], where: str) -> Document:
    try:
        metadata = json.loads(row["metadata"])
    except (ValueError, TypeError, RecursionError) as error:
        raise CorpusError(f"{where}: the metadata is not JSON ({error})") from error
    vectors = {name.removeprefix(_VECTORS): value for name, value in row.items() if name.startswith(_VECTORS)}
    whole: dict[str, Any] = {
        "_id": row["id"],
        "title": row["title"],
        "text": row["text"],
        "metadata": metadata,
    }
    given = {name: value for name, value in vectors.items() if value is not None}
    expires = {} if row["expires"] is None else {"_expires": row["expires"]}
    return to_document({**whole, **expires, **({"vectors": given} if given else {})}, where)


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "parquet") from error
    return pyarrow, pyarrow.parquet
