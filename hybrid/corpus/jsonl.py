"""JSONL: one JSON object a line; plain or gzipped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hybrid.corpus.documents import to_document
from hybrid.corpus.lines import read_lines
from hybrid.errors import CorpusError
from hybrid.types import Document


def read_jsonl(path: Path) -> Iterator[Document]:
    """Yield the documents of a ``.jsonl`` or ``.jsonl.gz`` file, in file order.

    The keys are those of :mod:`hybrid.corpus.documents`. Blank lines are skipped. The ids seen are
    kept in memory, to find duplicates.

    Raises:
        CorpusError: a line is malformed or repeats an id; the message names file and line.

    """
    seen: dict[str, int] = {}
    for number, record in read_objects(path):
        where = f"{path}, line {number}"
        document = to_document(record, where)
        first = seen.setdefault(document.id, number)
        if first != number:
            raise CorpusError(
                f"{where}: id {document.id!r} was already used on line {first}; ids must be unique"
            )
        yield document


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(line number, object)`` for each line that is not blank.

    Raises:
        CorpusError: a line is not one strict JSON object (no NaN, no key twice).

    """
    for number, line in read_lines(path):
        if not line or line.isspace():
            continue
        try:
            record = parse_object(line)
        except json.JSONDecodeError as error:
            raise CorpusError(
                f"{path}, line {number}: malformed JSON at character {error.colno} ({error.msg}); "
                "each line must be one whole JSON object"
            ) from error
        except TypeError as error:
            raise CorpusError(f"{path}, line {number}: {error}") from error
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{path}, line {number}: malformed JSON ({error}); correct the line") from error
        yield number, record


def parse_object(line: str) -> dict[str, Any]:
    """Return the JSON object on a line.

    Raises:
        ValueError: it is not strict JSON (no NaN, no key twice).
        RecursionError: it is nested too deeply.
        TypeError: it is something else than an object.
    """
    record = _DECODER.decode(line)
    if not isinstance(record, dict):
        raise TypeError(
            'expected a JSON object such as {"_id": "1", "text": "..."}, '
            f"got {type(record).__name__} {line.strip()[:60]!r}"
        )
    return record


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, refusing a key given twice (``json`` would keep the last in silence)."""
    built = dict(pairs)
    if len(built) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return built


def _no_constant(name: str) -> Any:
    """Refuse NaN and the infinities, which are not JSON."""
    raise ValueError(f"{name} is not JSON; use null")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant)
