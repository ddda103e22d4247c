"""From documents to segments: checking, encoding and writing, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hybrid.branches import Branch, Encoders
from hybrid.corpus import to_document
from hybrid.engine.checks import check_vectors
from hybrid.errors import DocumentError, DuplicateIdError, InputError
from hybrid.index import DocumentRows, Rows, Snapshot, Transaction, check_documents
from hybrid.types import Document, Progress

BATCH_DOCUMENTS = 50_000
BATCH_CHARACTERS = 64_000_000


def add_documents(
    transaction: Transaction,
    snapshot: Snapshot,
    documents: Iterable[Document | Mapping[str, Any]],
    branches: Sequence[Branch],
    encoders: Encoders,
    *,
    replace: bool,
    progress: Progress | None = None,
) -> int:
    """Write documents as new segments of a transaction; return how many.

    With ``replace``, documents of the same ids are deleted in the same transaction; without it
    they are an error. Memory is bounded by a batch, besides the ids.
    """
    seen: dict[str, int] = {}
    for batch in _batches(_documents(documents)):
        check_documents(batch)
        for document in batch:
            _check_vectors(document, branches)
        _check_repeats(batch, seen)
        existing = snapshot.find([document.id for document in batch])
        if replace:
            transaction.delete(existing[existing >= 0])
        elif (existing >= 0).any():
            first = batch[int((existing >= 0).argmax())].id
            raise DuplicateIdError(
                f"document {first!r} is already in the index; use update() to replace it, or another id"
            )
        rows: dict[str, Rows] = {
            branch.name: branch.encode_documents(batch, encoders, progress) for branch in branches
        }
        transaction.add(DocumentRows.from_documents(batch), rows)
        if progress is not None:
            progress("write", len(seen), None)
    return len(seen)


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


def _check_vectors(document: Document, branches: Sequence[Branch]) -> None:
    try:
        check_vectors(f"document {document.id!r}", document.vectors, branches)
    except InputError as error:
        raise DocumentError(str(error)) from error


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Cut the stream by number and by characters, so that memory stays bounded."""
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text) if isinstance(document.text, str) else 0
        if len(batch) >= BATCH_DOCUMENTS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _check_repeats(batch: Sequence[Document], seen: dict[str, int]) -> None:
    """Refuse an id of an earlier batch (repeats inside a batch are found by `check_documents`)."""
    start = len(seen)
    for n, document in enumerate(batch):
        if document.id in seen:
            raise DuplicateIdError(
                f"id {document.id!r} appears twice, at documents {seen[document.id]} and {start + n}; "
                "ids must be unique"
            )
    seen.update({document.id: start + n for n, document in enumerate(batch)})
