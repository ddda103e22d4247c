"""How a published collection is named, and what every library that knows some must give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Protocol

from hybrid.errors import CorpusError
from hybrid.types import Document

SCHEMES = MappingProxyType(
    {
        "ir_datasets": "hybrid.corpus.datasets.irds:IRDataset",
        "hf": "hybrid.corpus.datasets.hub:HubDataset",
        "mteb": "hybrid.corpus.datasets.mteb:MTEBTask",
    }
)
"""Prefix before a colon -> the class that opens such a collection; imported when first used."""

ACCEPTED = (
    "'ir_datasets:NAME' (such as ir_datasets:beir/scifact/test), 'hf:OWNER/NAME' or 'hf:FOLDER' (such as "
    "hf:mteb/scifact), or 'mteb:TASK' (such as mteb:SciFact); hf and mteb also with '#SPLIT', "
    "'#SUBSET' or '#SUBSET/SPLIT', and hf with '@REVISION' before it"
)


class Collection(Protocol):
    """A test collection: documents, queries, and which documents are relevant to which."""

    def documents(self) -> Iterator[Document]:
        """Yield the documents."""
        ...

    def queries(self) -> Iterator[tuple[str, str]]:
        """Yield id and text of each query."""
        ...

    def qrels(self) -> Iterator[tuple[str, str, int]]:
        """Yield query id, document id and grade of each judgement."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A collection's name, taken apart: what stands between the scheme and ``#``, and the parts after it."""

    scheme: str
    name: str
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, given: str) -> Source:
        """Take ``scheme:name#part/part`` apart.

        Raises:
            CorpusError: the name or a part is empty, or there are more than two parts.
        """
        scheme, _, rest = given.partition(":")
        name, hash_, after = rest.partition("#")
        parts = tuple(after.split("/")) if hash_ else ()
        if not name.strip() or len(parts) > 2 or not all(part.strip() for part in parts):
            raise CorpusError(f"{given!r} is no name of a collection; give {ACCEPTED}")
        return cls(scheme, name, parts)

    def __str__(self) -> str:
        parts = "/".join(self.parts)
        return f"{self.scheme}:{self.name}{'#' if parts else ''}{parts}"


def is_dataset(given: object) -> bool:
    """Whether a source is the name of a published collection, and not a path."""
    return isinstance(given, str) and given.partition(":")[0] in SCHEMES and ":" in given


def open_dataset(given: str) -> Collection:
    """Return the collection of a name; what it holds is fetched when it is asked for.

    Raises:
        CorpusError: the name is malformed, or the library does not know it.
        MissingDependencyError: the library is not installed.
    """
    source = Source.parse(given)
    module, _, name = SCHEMES[source.scheme].partition(":")
    found: Collection = getattr(import_module(module), name)(source)
    return found
