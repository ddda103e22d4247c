"""Files of queries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hybrid.corpus.datasets import is_dataset, open_dataset
from hybrid.corpus.documents import to_id, to_text
from hybrid.corpus.jsonl import read_objects
from hybrid.corpus.lines import read_lines
from hybrid.errors import CorpusError

ACCEPTED = "a .jsonl or .ndjson file, a .tsv file (id, tab, text), a .txt file (one query a line); .gz too"


def read_queries(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Read queries, in file order.

    ``.jsonl`` and ``.ndjson``: objects with ``_id`` or ``id``, and ``text``; other keys are ignored.
    ``.tsv``: id, tab, text; no header, no quoting. ``.txt``: one query a line, whose id is its line
    number. Each may be gzipped (``.gz``); a BEIR folder stands for its ``queries.jsonl``. Blank
    lines are skipped. The text of a query may be empty. The name of a published collection
    (`hybrid.corpus.datasets`) stands for its queries.

    Returns:
        ``(query id, text)`` for each query.

    Raises:
        CorpusError: there is no such file, it is of another kind, a line is malformed, or an id
            is used twice; or the collection cannot be had.
        MissingDependencyError: the library that knows the collection is not installed.

    """
    if is_dataset(path):
        found = enumerate(open_dataset(str(path)).queries(), 1)
        return _unique(((number, id, text) for number, (id, text) in found), str(path), "query")
    file = _file(Path(path))
    suffix = Path(file.stem).suffix.lower() if file.suffix.lower() == ".gz" else file.suffix.lower()
    if suffix in {".jsonl", ".ndjson"}:
        numbered = _from_jsonl(file)
    elif suffix == ".tsv":
        numbered = _from_tsv(file)
    elif suffix == ".txt":
        numbered = ((number, str(number), line) for number, line in read_lines(file) if line.strip())
    else:
        raise CorpusError(f"{file}: not a file of queries; give {ACCEPTED}")
    return _unique(numbered, str(file), "line")


def _unique(numbered: Iterable[tuple[int, str, str]], where: str, unit: str) -> list[tuple[str, str]]:
    """Return id and text of each query; ``unit`` is what the numbers count."""
    seen: dict[str, int] = {}
    queries: list[tuple[str, str]] = []
    for number, identifier, text in numbered:
        first = seen.setdefault(identifier, number)
        if first != number:
            raise CorpusError(
                f"{where}, {unit} {number}: query id {identifier!r} was already used on {unit} {first}; "
                "ids must be unique"
            )
        queries.append((identifier, text))
    return queries


def _file(path: Path) -> Path:
    """Return the file that holds the queries: the path itself, or the one in a BEIR folder."""
    if not path.is_dir():
        return path
    found = [path / name for name in ("queries.jsonl", "queries.jsonl.gz") if (path / name).exists()]
    if len(found) != 1:
        problem = "both queries.jsonl and queries.jsonl.gz" if found else "no queries.jsonl(.gz)"
        raise CorpusError(f"{path}: this folder holds {problem}; give {ACCEPTED}")
    return found[0]


def _from_jsonl(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield ``(line number, id, text)`` from objects."""
    for number, record in read_objects(path):
        where = f"{path}, line {number}"
        identifier = to_id(record, where)
        if "text" not in record:
            raise CorpusError(
                f"{where}: query {identifier!r} has no 'text'; add it, if only as an empty string"
            )
        yield number, identifier, to_text(record["text"], "text", where)


def _from_tsv(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield ``(line number, id, text)`` from tab-separated lines."""
    for number, line in read_lines(path):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != 2 or not cells[0].strip():
            raise CorpusError(
                f"{path}, line {number}: expected a query id, one tab and the text, got {len(cells)} "
                f"cells in {line[:60]!r}"
            )
        yield number, cells[0], cells[1]
