"""Runs: what a system returned for each query, of ours or of any other system."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.corpus.lines import read_bytes, read_lines
from hybrid.errors import CorpusError, InputError

COLUMNS = "query, Q0, document, rank, score, tag"
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Run:
    """A system's results.

    ``name`` stands for it in tables. ``results``: query id -> document id -> score; ids are strings.
    They are put into order when a run is made: documents by (score descending, id ascending).

    Raises:
        InputError: an id is not a string, or a score not a finite number.
    """

    name: str
    results: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        ordered = {_id("query", qid): _ordered(qid, found) for qid, found in self.results.items()}
        object.__setattr__(self, "results", ordered)

    def ranking(self, query: str) -> list[str]:
        """Return a query's documents, best first; none if the run has no such query."""
        return list(self.results.get(query, ()))


def read_run(path: str | os.PathLike[str], name: str | None = None) -> Run:
    """Read a run file.

    A ``.json`` file holds an object of objects, query id -> document id -> score, as BEIR saves it. Any
    other file (also ``.gz``) is in TREC's form: six columns with white space between, query id, Q0,
    document id, rank, score, tag. The ranks are ignored, as trec_eval ignores them: scores decide, and
    ids where they tie. Blank lines are skipped.

    ``name``: the run's name; by default the tag, or the name of the file where it has none, or several.

    Raises:
        CorpusError: a line is malformed, a score is not a finite number, or a document stands twice
            under one query.
    """
    file = Path(path)
    if file.suffix.lower() == ".json":
        return Run(name or file.stem, _from_json(file))
    results: dict[str, dict[str, float]] = {}
    tags: set[str] = set()
    for number, line in read_lines(file):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        cells = line.split()
        if len(cells) != 6:
            raise CorpusError(
                f"{where}: expected 6 columns ({COLUMNS}), got {len(cells)} in {line[:60]!r}; ids and tags "
                "hold no white space"
            )
        query, _, document, _, score, tag = cells
        found = results.setdefault(query, {})
        if document in found:
            raise CorpusError(f"{where}: document {document!r} stands twice under query {query!r}; keep one")
        found[document] = _score(score, where)
        tags.add(tag)
    if not results:
        raise CorpusError(f"{file}: the file holds no results; a run has lines of {COLUMNS}")
    return Run(name or (tags.pop() if len(tags) == 1 else file.name.partition(".")[0]), results)


def write_run(run: Run, path: str | os.PathLike[str]) -> None:
    """Write a run in TREC's form; scores keep every bit.

    Raises:
        InputError: an id or the name holds white space, which the form cannot express.
    """
    text = "".join(_lines(run))
    Path(path).write_text(text, encoding="utf-8")


def _lines(run: Run) -> Iterator[str]:
    for query, found in run.results.items():
        for rank, (document, score) in enumerate(found.items(), 1):
            for what, value in (("query id", query), ("document id", document), ("name", run.name)):
                if value.split() != [value]:
                    raise InputError(
                        f"the {what} {value!r} holds white space, which a run file cannot express"
                    )
            yield f"{query} Q0 {document} {rank} {score!r} {run.name}\n"


def _from_json(file: Path) -> dict[str, dict[str, float]]:
    """Read BEIR's form, in which a key that stands twice is an error too."""
    try:
        found = json.loads(
            read_bytes(file, limit=2**32), object_pairs_hook=lambda pairs: _unique(pairs, file)
        )
    except (ValueError, RecursionError) as error:
        if isinstance(error, CorpusError):
            raise
        raise CorpusError(f"{file}: not JSON: {error}; write the run again") from error
    if not isinstance(found, dict) or not all(isinstance(results, dict) for results in found.values()):
        raise CorpusError(f"{file}: expected an object, query id -> document id -> score")
    for query, results in found.items():
        for document, score in results.items():
            number = isinstance(score, int | float) and not isinstance(score, bool)
            if not number or not math.isfinite(score):
                raise CorpusError(
                    f"{file}: document {document!r} of query {query!r} has the score {score!r}; give a "
                    "finite number"
                )
    return found


def _unique(pairs: list[tuple[str, Any]], file: Path) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise CorpusError(f"{file}: the id {key!r} stands twice in one object; keep one")
        seen[key] = value
    return seen


def _score(cell: str, where: str) -> float:
    if not _NUMBER.fullmatch(cell) or not math.isfinite(float(cell)):
        raise CorpusError(f"{where}: the score must be a finite number, got {cell!r}")
    return float(cell)


def _ordered(query: str, found: Mapping[str, float]) -> dict[str, float]:
    """Return a query's results in order, checked."""
    for document, score in found.items():
        _id("document", document)
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise InputError(
                f"document {document!r} of query {query!r} has the score {score!r}; give a finite number "
                "(a Python one: float(score))"
            )
    return dict(sorted(((d, float(s)) for d, s in found.items()), key=lambda pair: (-pair[1], pair[0])))


def _id(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(
            f"the {what} id {value!r} is of type {type(value).__name__}; ids are strings: str(...)"
        )
    return value
