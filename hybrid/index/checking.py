"""Whether an index folder is whole: the checksum of every array, and what files say of each other."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from hybrid.errors import CorruptIndexError, FormatError, NotAnIndexError, StorageError
from hybrid.index import metadata
from hybrid.index.catalog import CATALOG, SegmentRecord, State, check_database, read_catalog
from hybrid.index.documents import PREFIX, DocumentRows
from hybrid.index.folder import DAMAGED, HELD, segment_path
from hybrid.index.segment import MissingSegmentError, Segment
from hybrid.index.snapshot import SegmentView, check_view
from hybrid.index.strings import Strings

Kind: TypeAlias = Literal["damaged", "missing", "inconsistent", "leftover"]

_ATTEMPTS = 20
"""How often to start again because a writer merged segments away in between."""

_MOST_IDS = 5
"""How many ids a message names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    ``kind``: "damaged" (bytes that do not match their checksum), "missing" (a file that should be there),
    "inconsistent" (parts that are whole, and contradict each other) or "leftover" (a file that nothing
    names, which does no harm). ``file``: relative to the index. ``part``: an array or a branch, or "".
    """

    kind: Kind
    file: str
    part: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.file}{f' [{self.part}]' if self.part else ''}: {self.message}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in an index folder; ``ok`` if every answer can be trusted.

    ``generation``: the committed one, None if the catalogue cannot be read. ``documents``: live ones.
    ``bytes``: what was read of segment files. ``deep``: whether branches were built again and compared.
    """

    path: Path
    generation: int | None
    segments: int
    documents: int
    bytes: int
    deep: bool
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged, missing or inconsistent; leftovers do no harm."""
        return all(finding.kind == "leftover" for finding in self.findings)

    def __str__(self) -> str:
        return "\n".join([f"{self.path}: {'whole' if self.ok else 'DAMAGED'}", *map(str, self.findings)])


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A segment that was checked: as a view if it can be opened, and what was found."""

    record: SegmentRecord
    view: SegmentView | None
    findings: tuple[Finding, ...]


Inspect: TypeAlias = Callable[[SegmentView], Iterable[tuple[str, str]]]
"""What looks into a whole segment, and returns the parts that contradict others, with messages."""


def check_folder(folder: Path, inspect: Inspect | None = None, *, deep: bool = False) -> Verification:
    """Read every byte of an index and check it; ``inspect`` looks into the segments that are whole.

    Nothing is changed. A writer may go on meanwhile: what is checked is one committed state.

    Raises:
        NotAnIndexError: the folder holds no index.
        FormatError: a later release wrote it.
        StorageError: the system refused to read.
    """
    try:
        state = read_catalog(folder / CATALOG)
        damaged = check_database(folder / CATALOG)
    except CorruptIndexError as error:
        return _without_catalog(folder, "damaged", str(error), deep)
    except NotAnIndexError as error:
        if not (folder / CATALOG).exists() and (folder / "segments").is_dir():
            return _without_catalog(folder, "missing", str(error), deep)
        raise
    state, segments = _checked(folder, state, inspect)
    findings = [Finding("damaged", CATALOG, "", message) for message in damaged]
    findings += [finding for segment in segments for finding in segment.findings]
    views = [segment.view for segment in segments if segment.view is not None]
    if not findings:
        findings += _repeated(views)
    findings += _leftovers(folder, state)
    live = sum(record.documents - len(state.tombstones.get(record.uuid, ())) for record in state.segments)
    size = sum(view.segment.size for view in views)
    return Verification(folder, state.generation, len(segments), live, size, deep, tuple(findings))


def check_segments(folder: Path, state: State) -> list[Checked]:
    """Check every segment that a state names."""
    return [_check_segment(folder, state, record, None) for record in state.segments]


def _checked(folder: Path, state: State, inspect: Inspect | None) -> tuple[State, list[Checked]]:
    """Check all segments; start again if a writer merged some away meanwhile."""
    for _ in range(_ATTEMPTS):
        segments = [_check_segment(folder, state, record, inspect) for record in state.segments]
        if not any(finding.kind == "missing" for segment in segments for finding in segment.findings):
            return state, segments
        newer = read_catalog(folder / CATALOG)
        if newer.generation == state.generation:
            return state, segments
        state = newer
    raise StorageError(f"the index {folder} changes faster than it can be read; try again later")


def _check_segment(folder: Path, state: State, record: SegmentRecord, inspect: Inspect | None) -> Checked:
    path = segment_path(folder, record.uuid)
    name = str(path.relative_to(folder))

    def found(kind: Kind, part: str, message: str) -> Finding:
        return Finding(kind, name, part, message)

    try:
        segment = Segment.open(path)
    except MissingSegmentError:
        return Checked(record, None, (found("missing", "", "the file is not there"),))
    except (CorruptIndexError, FormatError) as error:
        return Checked(record, None, (found("damaged", "", str(error)),))
    broken = [*segment.damaged()]
    findings = [found("damaged", part, "it does not match its checksum") for part in broken]
    try:
        view = check_view(segment.unchecked() if broken else segment, record, state, 0)
        if not broken:
            segment.verify()  # what lies between the arrays
            problems = [*_contradictions(view), *(() if inspect is None else inspect(view))]
            findings += [found("inconsistent", part, message) for part, message in problems]
    except (ValueError, IndexError, TypeError, OverflowError, RecursionError) as error:
        return Checked(record, None, (*findings, found("inconsistent", "", f"it cannot be read: {error}")))
    except CorruptIndexError as error:
        known = segment.info.checksum == record.checksum
        return Checked(
            record, None, (*findings, found("damaged" if known else "inconsistent", "", str(error)))
        )
    return Checked(record, view, tuple(findings))


def _contradictions(view: SegmentView) -> Iterator[tuple[str, str]]:
    """Yield the parts of a segment's documents that contradict others, with messages."""
    columns = ("ids", "titles", "texts", "metadata")
    bad = [name for name in columns if not _whole(view, f"{PREFIX}/{name}", view.size)]
    yield from ((f"{PREFIX}/{name}", "its offsets do not fit its bytes or the documents") for name in bad)
    if bad:
        return
    rows = DocumentRows.read(view.segment, PREFIX)
    if rows.digests is not None and len(rows.digests) != view.size:
        yield f"{PREFIX}/digests", f"there are {len(rows.digests)} for {view.size} documents"
        return
    if rows.digests is not None and len(wrong := rows.damaged()):
        yield PREFIX, f"{len(wrong)} documents do not match their digests, the first is number {wrong[0]}"
    before = b""
    for number, id in enumerate(rows.ids):
        if id <= before:
            yield f"{PREFIX}/ids", f"number {number} is not above the one before it"
            break
        before = id
    yield from _columns(view)


def _columns(view: SegmentView) -> Iterator[tuple[str, str]]:
    """Yield what contradicts the rest in the columns that filters read."""
    prefix, segment = f"{PREFIX}/fields", view.segment
    names, starts = segment[f"{prefix}/names.offsets"], segment[f"{prefix}/starts"]
    documents, codes = segment[f"{prefix}/documents"], segment[f"{prefix}/codes"]
    fields = len(names) - 1
    alike = all(_whole(view, f"{prefix}/{name}", fields) for name in ("names", "values"))
    bounds = len(starts) == fields + 1 and bool((np.diff(starts) >= 0).all()) and starts[0] == 0
    if not (alike and bounds and starts[-1] == len(documents) == len(codes)):
        yield prefix, "its names, values and pairs do not fit each other"
        return
    if len(documents) and not (documents.min() >= 0 and documents.max() < view.size):
        yield f"{prefix}/documents", "it names documents that are not there"
        return
    columns = metadata.MetadataColumns(segment, prefix)
    for name in columns.names():
        field = columns.decode(name)
        if field is not None and len(field.codes) and field.codes.max() >= len(field.dictionary):
            yield f"{prefix}/codes", f"field {name!r} has a code without a value"


def _whole(view: SegmentView, name: str, count: int) -> bool:
    """Return whether a column of strings has so many, one after the other."""
    column = Strings.read(view.segment, name)
    offsets = column.offsets
    fits = len(offsets) == count + 1 and int(offsets[0]) == 0 and int(offsets[-1]) == len(column.data)
    return fits and bool((np.diff(offsets.astype(np.int64)) >= 0).all())


def _repeated(views: Sequence[SegmentView]) -> Iterator[Finding]:
    """Yield a finding if an id is live in more than one segment."""

    def ids(view: SegmentView) -> Iterator[bytes]:
        every = DocumentRows.read(view.segment, PREFIX).ids
        return (id for n, id in enumerate(every) if view.live is None or view.live[n])

    merged = heapq.merge(*map(ids, views))
    twice = [id.decode(errors="replace") for id, group in groupby(merged) if len([*group]) > 1]
    if twice:
        shown = ", ".join(map(repr, twice[:_MOST_IDS]))
        yield Finding("inconsistent", CATALOG, "", f"{len(twice)} ids are live more than once: {shown}")


def _leftovers(folder: Path, state: State) -> Iterator[Finding]:
    """Yield the files that belong to nothing."""
    message = "nothing names it: a change was interrupted, or is going on; the next writer removes it"
    for path in sorted(folder.iterdir()):
        if path.name == DAMAGED:
            yield Finding(
                "leftover", path.name, "", "what a repair has set aside; delete it when it has served"
            )
        elif path.name not in HELD:
            yield Finding("leftover", path.name, "", "it is no part of an index")
    for path in sorted((folder / "segments").glob("*")):
        if path.stem not in state.uuids() or path.suffix != ".seg":
            yield Finding("leftover", str(path.relative_to(folder)), "", message)


def _without_catalog(folder: Path, kind: Kind, message: str, deep: bool) -> Verification:
    """Say of an index whose catalogue is no use which of its segments are whole."""
    findings = [Finding(kind, CATALOG, "", message)]
    paths, size = sorted((folder / "segments").glob("*.seg")), 0
    for path in paths:
        try:
            segment = Segment.open(path)
            size += segment.size
            segment.verify()
        except (CorruptIndexError, FormatError) as error:
            findings.append(Finding("damaged", str(path.relative_to(folder)), "", str(error)))
    return Verification(folder, None, len(paths), 0, size, deep, tuple(findings))
