"""Relevance judgements: TREC qrels and BEIR's tab-separated form."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hybrid.corpus.datasets import is_dataset, open_dataset
from hybrid.corpus.lines import read_lines
from hybrid.errors import CorpusError

BEIR_HEADER = ["query-id", "corpus-id", "score"]
_GRADE = re.compile(r"[+-]?[0-9]{1,9}")


def read_qrels(path: str | os.PathLike[str]) -> dict[str, dict[str, int]]:
    """Read relevance judgements.

    Two forms are told apart by the first line: BEIR's starts with the header ``query-id``,
    ``corpus-id``, ``score`` (tabs between); TREC's has no header and four columns, query id,
    iteration (ignored), document id and grade (white space between). Blank lines are skipped;
    ``.gz`` is read too. The name of a published collection (`hybrid.corpus.datasets`) stands for its
    judgements.

    Returns:
        Query id -> document id -> grade, both in file order.

    Raises:
        CorpusError: a line has another number of columns, a grade that is not an integer, or judges
            a pair a second time; or the collection cannot be had.
        MissingDependencyError: the library that knows the collection is not installed.

    """
    if is_dataset(path):
        return _gathered(enumerate(open_dataset(str(path)).qrels(), 1), str(path), "judgement")
    file = Path(path)
    return _gathered(_read(file), str(file), "line")


def _read(file: Path) -> Iterator[tuple[int, tuple[str, str, int]]]:
    """Yield the line number, and query, document and grade."""
    beir: bool | None = None
    for number, line in read_lines(file):
        if not line.strip():
            continue
        if beir is None:
            beir = line.split("\t") == BEIR_HEADER
            if beir:
                continue
        where = f"{file}, line {number}"
        query, document, grade = _beir(line, where) if beir else _trec(line, where)
        yield number, (query, document, grade)


def _gathered(
    numbered: Iterable[tuple[int, tuple[str, str, int]]], where: str, unit: str
) -> dict[str, dict[str, int]]:
    """Put judgements together by query; ``unit`` is what the numbers count."""
    judgements: dict[str, dict[str, int]] = {}
    seen: dict[tuple[str, str], int] = {}
    for number, (query, document, grade) in numbered:
        first = seen.setdefault((query, document), number)
        if first != number:
            raise CorpusError(
                f"{where}, {unit} {number}: document {document!r} was already judged for query {query!r} on "
                f"{unit} {first}; keep one of the two {unit}s"
            )
        judgements.setdefault(query, {})[document] = grade
    return judgements


def _beir(line: str, where: str) -> tuple[str, str, int]:
    """Split one line of BEIR's form."""
    cells = line.split("\t")
    if len(cells) != 3 or not all(cells):
        raise CorpusError(
            f"{where}: expected 3 cells ({', '.join(BEIR_HEADER)}) with tabs between, got {line[:60]!r}"
        )
    return cells[0], cells[1], _grade(cells[2], where)


def _trec(line: str, where: str) -> tuple[str, str, int]:
    """Split one line of TREC's form."""
    cells = line.split()
    if len(cells) != 4:
        raise CorpusError(
            f"{where}: expected 4 columns (query, iteration, document, grade), got {len(cells)} in "
            f"{line[:60]!r}; the 3-column form must start with the header "
            f"{' '.join(BEIR_HEADER)!r} (tabs between)"
        )
    return cells[0], cells[2], _grade(cells[3], where)


def _grade(cell: str, where: str) -> int:
    """Return the grade as an integer."""
    if not _GRADE.fullmatch(cell.strip()):
        raise CorpusError(f"{where}: the grade must be an integer, got {cell!r}")
    return int(cell)
