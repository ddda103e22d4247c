"""From documents to segments: a stream of groups, analysed on every processor, in bounded memory.

Documents are taken from their source in small groups. Ahead of the rest, groups are analysed by as
many processes as `hybrid.threads` allows (`Lookahead`). Branches with a model encode here, in the
caller's thread: models use every processor by themselves. HeldRows are collected until they fill their
share of the memory, and are then written as one segment of the transaction; at the end its segments
are merged, so how memory cut them does not show.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from hybrid.branches import Branch, Encoders
from hybrid.branches.over_passages import OverPassages
from hybrid.corpus import to_document
from hybrid.engine.checks import check_vectors, cleaned
from hybrid.engine.cutting import Cutter, check_uncut, cutters, seen_by
from hybrid.engine.encoders import EncoderSet
from hybrid.engine.fitting import Codecs
from hybrid.engine.limits import Limits
from hybrid.engine.lookahead import Lookahead
from hybrid.errors import DocumentError, DuplicateIdError, InputError
from hybrid.index import DocumentRows, HeldRows, RowType, Snapshot, Transaction, check_documents
from hybrid.index.passages import PassageRows
from hybrid.pipeline import Pipeline
from hybrid.text import Workers
from hybrid.threads import thread_count
from hybrid.types import Document, Progress

MEMORY = 512 << 20
"""How many bytes building may hold, if nothing else is said."""

LEAST_MEMORY = 32 << 20
LIMITS = Limits()
GROUP_DOCUMENTS = 8192
GROUP_BYTES = 4 << 20
ALONE = 2
"""How many groups full of texts the caller's thread does by itself; for more, others are started to help."""

MOST_HELPERS = 7
_PEEKED = 2 * MOST_HELPERS + 2
"""As many groups as are held anyway where all help."""

ROWS_SHARE = 8
"""Sorting, transposing and writing rows takes a few times what they hold."""

_DEPTH = 16


class _Group(NamedTuple):
    """Some documents, and the position of the first among all."""

    first: int
    documents: list[Document]

    @property
    def share(self) -> float:
        """How full of texts it is, vectors and metadata aside: those are not what others help with."""
        characters = sum(len(document.text) for document in self.documents)
        return max(len(self.documents) / GROUP_DOCUMENTS, characters / GROUP_BYTES)


class _Encoded(NamedTuple):
    """A group's documents as branches see them, and its rows; those of branches with a model still miss.

    ``seen``: by the prefix of their passages, under None whole.
    """

    number: int
    seen: Mapping[str | None, Sequence[Document]]
    documents: DocumentRows
    branches: dict[str, HeldRows]


def add_documents(
    transaction: Transaction,
    snapshot: Snapshot,
    documents: Iterable[Document | Mapping[str, Any]],
    pipeline: Pipeline,
    encoders: EncoderSet,
    *,
    replace: bool,
    progress: Progress | None = None,
    memory: int = MEMORY,
    limits: Limits = LIMITS,
) -> int:
    """Write documents as a new segment of a transaction; return how many there are.

    With ``replace``, documents of the same ids are deleted in the same transaction; without it
    they are an error. ``memory`` is a budget in bytes, at least 32 MiB, for the documents and rows that
    are held at a time (token vectors that a codec is first fitted on take up to 64 MiB more). Beside it, each
    process needs what Python and the words it remembers take (about
    100 MiB), models need theirs, and a few numbers are kept for each document (about 100 bytes).

    Raises:
        InputError: the budget is too small.
        DocumentError: a document cannot be accepted, or its id is given twice or in the index.
        BranchError: a process that helped with the analysis died.
    """
    if not isinstance(memory, int) or memory < LEAST_MEMORY:
        raise InputError(f"memory is {memory!r}; give a number of bytes, at least {LEAST_MEMORY:,} (32 MiB)")
    branches = pipeline.stores
    types = row_types(pipeline)
    collected = _Collected(transaction, replace, memory // ROWS_SHARE, Codecs(snapshot))
    groups = _checked(_groups(_documents(documents), memory), snapshot, pipeline, replace, limits)
    light = [branch for branch in branches if branch.model is None]
    heavy = [branch for branch in branches if branch.model is not None]
    alone = encoders.together(())
    done = 0

    encode = _encoding(pipeline, light, alone, cache(lambda: cutters(pipeline, encoders)))
    with closing(_ahead(encode, groups, 1 if heavy and light else ALONE)) as encoded:
        for number, seen, stored, rows in encoded:
            done += number
            if progress is not None:
                progress("analyse", done, None)
            together = encoders.together(heavy)
            for branch in heavy:
                rows[branch.name] = branch.encode_documents(seen_by(branch, seen), together, progress)
            collected.add(stored, {name: rows[name] for name in types})
            if progress is not None:
                progress("write", collected.written, None)
    collected.write()
    if progress is not None:
        progress("write", collected.written, collected.written)
    transaction.consolidate(types, progress)
    return collected.written


def _encoding(
    pipeline: Pipeline,
    light: Sequence[Branch],
    alone: Encoders,
    cutting: Callable[[], Mapping[str, Cutter]],
) -> Callable[[_Group], _Encoded]:
    """Return what is done to each group before models see it: it is cleaned, cut and analysed."""

    def encode(group: _Group) -> _Encoded:
        rows: dict[str, HeldRows] = {}
        seen: dict[str | None, Sequence[Document]] = {None: cleaned(group.documents, pipeline.cleaning)}
        for prefix, cutter in cutting().items():
            seen[prefix], rows[prefix] = cutter.cut(group.documents)
        rows |= {branch.name: branch.encode_documents(seen_by(branch, seen), alone) for branch in light}
        return _Encoded(len(group.documents), seen, DocumentRows.from_documents(group.documents), rows)

    return encode


def row_types(pipeline: Pipeline) -> dict[str, RowType]:
    """Return what a pipeline's segments hold beside documents: how each part's rows are merged."""
    over = (branch for branch in pipeline.stores if isinstance(branch, OverPassages))
    passages: dict[str, RowType] = {branch.prefix: PassageRows for branch in over}
    return {**passages, **{branch.name: branch.rows for branch in pipeline.stores}}


def _ahead(encode: Callable[[_Group], _Encoded], groups: Iterator[_Group], alone: int) -> Generator[_Encoded]:
    """Yield encoded groups in order; if their texts fill more than ``alone``, on all processors.

    Then the helpers begin before the first group is handed out: a model may take long with it.
    """
    few: list[_Group] = []
    for group in groups:
        few.append(group)
        if sum(each.share for each in few) > alone or len(few) > _PEEKED:
            break
    else:
        yield from map(encode, few)
        return
    helpers = min(thread_count() - 1, MOST_HELPERS)
    workers = Workers()
    with Lookahead(encode, helpers, workers.attached, workers.kill) as ahead:
        yield from ahead.map(chain(few, groups))


@dataclass
class _Collected:
    """HeldRows that wait to be written as one segment, up to a number of bytes."""

    transaction: Transaction
    replace: bool
    limit: int
    codecs: Codecs
    written: int = 0

    def __post_init__(self) -> None:
        self._parts: list[tuple[DocumentRows, dict[str, HeldRows]]] = []
        self._bytes = 0

    def add(self, documents: DocumentRows, branches: dict[str, HeldRows]) -> None:
        """Take rows, and write all if they are enough."""
        self._parts.append((documents, branches))
        self._bytes += _held(documents) + sum(map(_held, branches.values()))
        self.codecs.collect(branches)
        if self._bytes >= self.limit and self.codecs.ready:
            self.write(passing=True)

    def write(self, *, passing: bool = False) -> None:
        """Write what waits; what is ``passing``, or comes after such, is merged in the end."""
        if self._parts:
            passing = passing or self.written > 0
            self._bytes = 0
            self.written += sum(len(documents) for documents, _ in self._parts)
            # handed over, not kept here: the transaction lets go of each part once it is written
            self.transaction.add(self._documents(), self._branches(), replace=self.replace, passing=passing)

    def _documents(self) -> DocumentRows:
        return DocumentRows.concat([documents for documents, _ in self._parts])

    def _branches(self) -> dict[str, HeldRows]:
        parts, self._parts = [branches for _, branches in self._parts], []
        return {
            name: self.codecs.settled(name, _concat([part.pop(name) for part in parts]))
            for name in [*parts[0]]
        }


def _concat(parts: Sequence[HeldRows]) -> HeldRows:
    return type(parts[0]).concat(parts)


def _held(value: Any) -> int:
    """Return the bytes of the arrays in rows, which are dataclasses of arrays."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if dataclasses.is_dataclass(value):
        return sum(_held(getattr(value, field.name)) for field in dataclasses.fields(value))
    return 0


def _documents(documents: Iterable[Document | Mapping[str, Any]]) -> Iterator[Document]:
    if isinstance(documents, str | bytes | Document | Mapping) or not isinstance(documents, Iterable):
        raise DocumentError(
            f"documents is {type(documents).__name__}; give a list (or another iterable) of Documents, "
            "or read a file with hybrid.read(path)"
        )
    for n, document in enumerate(documents):
        if isinstance(document, Document):
            yield document
        elif isinstance(document, Mapping):
            yield to_document(document, f"document {n}")
        else:
            raise DocumentError(
                f"document {n} is {document!r}; give a hybrid.Document, or a mapping with 'id' and 'text'"
            )


def accepted(document: Document | Mapping[str, Any], pipeline: Pipeline, limits: Limits) -> Document:
    """Return one document, checked as `add_documents` checks each before any work is done on it.

    Raises:
        DocumentError: it cannot be accepted.
    """
    (whole,) = _documents([document])
    check_documents([whole])
    limits.check_document(whole, 0)
    _check_vectors(whole, pipeline.stores)
    check_uncut([whole], pipeline)
    return whole


def _groups(documents: Iterable[Document], memory: int) -> Iterator[_Group]:
    """Cut the stream by number and by size, so that what is in work at a time stays small."""
    most = min(GROUP_BYTES, memory // 64)
    first, size = 0, 0
    group: list[Document] = []
    for document in documents:
        group.append(document)
        size += len(document.text) if isinstance(document.text, str) else 0
        size += len(document.image) if isinstance(document.image, bytes) else 0
        if document.metadata or document.vectors:
            size += _weight(document.metadata) + _weight(document.vectors)
        if len(group) >= GROUP_DOCUMENTS or size >= most:
            yield _Group(first, group)
            first, group, size = first + len(group), [], 0
    if group:
        yield _Group(first, group)


def _weight(value: Any, depth: int = 0) -> int:
    """Return about how many bytes a value of a document holds; it has not been checked yet."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping) and depth <= _DEPTH:
        return sum(64 + _weight(item, depth + 1) for item in value.values()) if value else 0
    if isinstance(value, list | tuple) and depth <= _DEPTH:
        alike = not value or isinstance(value[0], int | float)
        return 32 * len(value) if alike else sum(_weight(item, depth + 1) for item in value)
    return int(getattr(value, "nbytes", 32))


def _checked(
    groups: Iterable[_Group], snapshot: Snapshot, pipeline: Pipeline, replace: bool, limits: Limits
) -> Iterator[_Group]:
    """Refuse what cannot be accepted, before any work is done on it.

    The transaction looks for ids that are in the index, too, when it writes; where models make the way
    there long, they are looked for here.
    """
    branches = pipeline.stores
    early = snapshot.live and not replace and any(branch.model is not None for branch in branches)
    for group in groups:
        check_documents(group.documents, group.first)
        for position, document in enumerate(group.documents, group.first):
            limits.check_document(document, position)
        for document in group.documents:
            _check_vectors(document, branches)
        check_uncut(group.documents, pipeline)
        if early:
            existing = snapshot.find([document.id for document in group.documents])
            if (existing >= 0).any():
                first = group.documents[int((existing >= 0).argmax())].id
                raise DuplicateIdError(
                    f"document {first!r} is already in the index; use update() to replace it, or another id"
                )
        yield group


def _check_vectors(document: Document, branches: Sequence[Branch]) -> None:
    try:
        check_vectors(f"document {document.id!r}", document.vectors, branches)
    except InputError as error:
        raise DocumentError(str(error)) from error
    if document.image is not None and all(getattr(branch, "image", None) is None for branch in branches):
        raise DocumentError(
            f"document {document.id!r} brings an image, but no branch looks at images; give a dense branch "
            "a model that sees, and image=, the metadata key of paths"
        )
