"""Verifying an index: what storage says of it, and what its pipeline would make of the stored texts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from hybrid.branches import BM25, Branch
from hybrid.branches.over_passages import Cut, OverPassages
from hybrid.engine.checks import cleaned
from hybrid.engine.cutting import seen_by
from hybrid.engine.passes import OnePass
from hybrid.errors import CorruptIndexError, EncoderError, HybridError, NotAnIndexError
from hybrid.index import DocumentRows, RowType, Segment, SegmentView, SegmentWriter, Snapshot
from hybrid.index.catalog import CATALOG, read_catalog
from hybrid.index.checking import Finding, Inspect, Verification, check_folder
from hybrid.index.documents import PREFIX as DOCUMENTS
from hybrid.index.passages import passages_of
from hybrid.index.rowchecks import row_problems
from hybrid.pipeline import Pipeline, from_stored
from hybrid.types import Document

_BLOCK = 8192
"""How many documents are analysed at a time."""


def verify(path: str | Path, *, deep: bool = False) -> Verification:
    """Read every byte of an index, compare what its files say of each other, and return what was found.

    Checked are: the catalogue (its own digest, and SQLite's check), the checksum of every array of every
    segment, that each segment is the one that the catalogue names, each document's digest, the order and
    uniqueness of ids, deleted documents, the columns that filters read, and the number of rows of each
    branch. Files that nothing names are listed as leftovers.

    With ``deep``, every branch that needs no model is built again from the stored texts, and compared bit
    for bit. (Vectors of models are covered by their checksums.)

    Nothing is changed, and a writer may go on meanwhile.

    Raises:
        NotAnIndexError: the folder holds no index.
        FormatError: a later release wrote it.
        StorageError: the system refused to read.
    """
    folder = Path(path)
    try:
        settings = read_catalog(folder / CATALOG).settings
    except (CorruptIndexError, NotAnIndexError):  # what is left is looked at there
        return check_folder(folder, deep=deep)
    try:
        pipeline = from_stored(settings["pipeline"])
    except (HybridError, KeyError, TypeError) as error:
        found = check_folder(folder, deep=deep)
        finding = Finding("inconsistent", CATALOG, "settings", f"they hold no pipeline: {error!r}")
        return replace(found, findings=(*found.findings, finding))
    return check_folder(folder, _inspector(pipeline, deep), deep=deep)


def _inspector(pipeline: Pipeline, deep: bool) -> Inspect:
    expected = {DOCUMENTS, *_cut(pipeline), *(branch.name for branch in pipeline.stores)}

    def inspect(view: SegmentView) -> Iterator[tuple[str, str]]:
        held = {name.split("/", 1)[0] for name in view.segment.names()}
        for name in sorted(held ^ expected):
            yield name, "the pipeline and the segment do not agree whether it is there"
        if held != expected:
            return
        sound = True
        for branch in pipeline.stores:
            for message in _row_problems(view, branch):
                sound = False
                yield branch.name, message
        if deep and sound:
            yield from _differences(view, pipeline)

    return inspect


def _row_problems(view: SegmentView, branch: Branch) -> Iterator[str]:
    try:
        rows = view.size
        if isinstance(branch, OverPassages):
            rows = int(view.segment[f"{branch.prefix}/bounds"][-1])
        yield from row_problems(view.segment, branch.name, rows)
    except (CorruptIndexError, ValueError, IndexError, OverflowError) as error:
        yield f"its rows cannot be read: {error}"


def _cut(pipeline: Pipeline) -> set[str]:
    """Return under which names a pipeline's segments say which passages are whose."""
    return {branch.prefix for branch in pipeline.stores if isinstance(branch, OverPassages)}


def _differences(view: SegmentView, pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """Build what follows from the stored documents alone anew; yield the arrays that are not the same."""
    branches = [branch for branch in pipeline.stores if isinstance(getattr(branch, "branch", branch), BM25)]
    types: dict[str, RowType] = {DOCUMENTS: DocumentRows, **{branch.name: branch.rows for branch in branches}}
    cut = _cut(pipeline)
    with tempfile.TemporaryDirectory(prefix="hybrid-verify-") as folder:
        parts = []
        for first in range(0, view.size, _BLOCK):
            path = Path(folder) / f"{first}.seg"
            _write_block(view, np.arange(first, min(first + _BLOCK, view.size)), pipeline, branches, path)
            parts.append(Segment.open(path))
        whole = parts[0]
        if len(parts) > 1:
            with SegmentWriter(Path(folder) / "whole.seg", parts) as out:
                for name, rows in types.items():
                    rows.merge(parts, name, np.arange(view.size), out)
            whole = Segment.open(out.path)
        for name in whole.names():
            mine = name in view.segment and name.split("/", 1)[0] not in cut
            if mine and whole.checksum_of(name) != view.segment.checksum_of(name):
                yield name, "it is not what the stored texts give"


def _write_block(
    view: SegmentView, ordinals: np.ndarray, pipeline: Pipeline, branches: Sequence[Branch], path: Path
) -> None:
    """Write some of a segment's documents, and those branches' rows, as a segment of their own."""
    encoders = OnePass(_no_model, {})
    block = DocumentRows.read(view.segment, DOCUMENTS).take(ordinals)
    with SegmentWriter(path) as out:
        block.write(out, DOCUMENTS)
        if not branches:
            return
        documents = [block.document(n) for n in range(len(block))]
        seen: dict[str | None, Sequence[Document]] = {None: cleaned(documents, pipeline.cleaning)}
        for prefix in sorted({branch.prefix for branch in branches if isinstance(branch, OverPassages)}):
            passages = passages_of(Snapshot(0, [replace(view, base=0, live=None)]), prefix)
            bounds, numbers = passages.of(ordinals)
            seen[prefix] = Cut(cleaned(passages.documents(numbers), pipeline.cleaning), bounds)
            out.add(f"{prefix}/bounds", bounds)
        for branch in branches:
            branch.encode_documents(seen_by(branch, seen), encoders).write(out, branch.name)


def _no_model(name: str) -> NoReturn:
    raise EncoderError(f"the model {name!r} is not asked when an index is verified")
