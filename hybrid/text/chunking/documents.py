"""Documents cut into passages, each a document of its own that knows where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hybrid.errors import DocumentError, PipelineError
from hybrid.text.chunking.chunkers import Chunker, Fixed, Headings
from hybrid.text.chunking.code import Code
from hybrid.text.chunking.passage import Passage
from hybrid.text.chunking.units import Units
from hybrid.types import Document

_BETWEEN = " › "
_HEADINGS = 8
"""Of so many units one is left for headings."""
_UNIT = 8
"""More characters than most units have."""


def split(
    documents: Iterable[Document], chunker: Chunker, units: Units, *, parent: str = "parent"
) -> Iterator[Document]:
    """Cut documents into passages, one at a time as they are asked for.

    A passage's id is its document's with ``#`` and its number, from 0. Its title is the document's with the
    headings that it stands under; its metadata are the document's with ``parent`` (the document's id),
    ``start`` and ``end`` (its characters) and ``headings``. Title and text together are within the limit of
    ``units``: headings that find no room are left out, the outermost first, and a title that takes more than
    half of it is cut. Passages without
    content are left out, but a document without any keeps its first.

    Args:
        documents: what to cut; those that bring vectors or an image cannot be.
        chunker: how to cut, such as ``Recursive(256, overlap=32)``.
        units: what lengths are counted in: an encoder's ``units``, or ``Words(200)``.
        parent: the metadata key of the document's id.

    Raises:
        DocumentError: a document brings vectors or an image, or has metadata under one of these keys.
        PipelineError: the chunker asks for more than ``units`` allows.

    >>> from hybrid.text.chunking import Recursive, Words
    >>> cut = split([Document("a", "One two. Three four.", "T")], Recursive(), Words(3))
    >>> [(d.id, d.title, d.text, d.metadata["start"]) for d in cut]
    [('a#0', 'T', 'One two. ', 0), ('a#1', 'T', 'Three four.', 9)]
    """
    for document in documents:
        if document.vectors or document.image is not None:
            raise DocumentError(
                f"document {document.id!r} brings vectors or an image, which cannot be cut into passages; "
                "add it as it is, or without them"
            )
        taken = {parent, "start", "end", "headings"} & set(document.metadata)
        if taken:
            raise DocumentError(
                f"document {document.id!r} has metadata under {', '.join(sorted(taken))}, where passages "
                "keep where they come from; rename it, or give another parent="
            )
        for number, (title, passage) in enumerate(titled_passages(document, chunker, units)):
            yield replace(
                document,
                id=f"{document.id}#{number}",
                text=passage.of(document.text),
                title=title,
                metadata={
                    **document.metadata,
                    parent: document.id,
                    "start": passage.start,
                    "end": passage.end,
                    "headings": list(passage.headings),
                },
            )


def titled_passages(
    document: Document, chunker: Chunker, units: Units, *, opening: bool = False
) -> list[tuple[str, Passage]]:
    """Return a document's passages that have content, or else its first, with their titles; see `split`.

    ``opening``: whether, where there are several, as much as there is room for of the document's start comes
    first, besides what stands there anyway.

    Raises:
        PipelineError: the chunker asks for more than ``units`` allows.
    """
    if isinstance(chunker, Code):
        chunker = chunker.of(document)
    size = getattr(chunker, "size", None)
    if size is not None and size > units.most:
        raise PipelineError(
            f"passages of {size} units were asked for, and the model reads {units.most}; give "
            f"size={units.most} or less, or None for as many"
        )
    named = _cut(document.title, units, units.most // 2)
    room = _Room(units, named, chunker)
    passages = chunker.passages(document.text, room) or [Passage(0, 0)]
    if opening and len(passages) > 1:
        passages = [_opening(document.text, room), *passages]
    full = [passage for passage in passages if passage.of(document.text).strip()] or passages[:1]
    return [(_title(named, passage, document.text, units), passage) for passage in full]


class _Room:
    """Units that leave room for a title, and for headings where the chunker knows them."""

    def __init__(self, units: Units, title: str, chunker: Chunker) -> None:
        self._units = units
        self.spans, self.count = units.spans, units.count
        before = units.count(f"{title} ") - units.count("") if title else 0
        headings = units.most // _HEADINGS if isinstance(chunker, Headings | Code) else 0
        self.most = max(1, units.most - before - headings)


def _opening(text: str, units: Units) -> Passage:
    """Return the longest passage at the start of a text that is not empty."""
    length = _UNIT * units.most
    while True:  # of a long text no more is looked at than is needed
        found = Fixed().passages(text[:length], units)
        if len(found) > 1 or length >= len(text):
            return found[0]
        length *= 2


def _title(title: str, passage: Passage, text: str, units: Units) -> str:
    """Return a passage's title, with as many of its headings, from the innermost, as there is room for."""
    body = passage.of(text)
    headings = passage.headings[1:] if passage.headings[:1] == (title,) else passage.headings
    for first in range(len(headings) + 1):
        full = _BETWEEN.join(filter(None, (title, *headings[first:])))
        if units.count(f"{full} {body}".strip()) <= units.most:
            return full
    most = units.most - units.count(body)
    return _cut(title, units, max(0, most - 1))


def _cut(text: str, units: Units, most: int) -> str:
    """Return as many of a text's units, from the first, as there may be."""
    spans = units.spans(text)
    return text if len(spans) <= most else text[: int(spans[most - 1, 1])] if most else ""
