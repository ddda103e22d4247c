"""Collections that ir_datasets knows by name, fetched and kept by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hybrid.corpus.datasets.source import Source
from hybrid.corpus.documents import to_document
from hybrid.errors import CorpusError, MissingDependencyError
from hybrid.types import Document


class IRDataset:
    """An ir_datasets name, such as ``beir/scifact/test``.

    A document's ``title`` and ``text`` are kept apart where it has both; of any other kind it is ir_datasets'
    own ``default_text()``. A query's text is its ``default_text()`` too: of a TREC topic, the title.
    """

    def __init__(self, source: Source) -> None:
        """Look the name up.

        Raises:
            CorpusError: ir_datasets has no such name.
            MissingDependencyError: ir_datasets is not installed.
        """
        try:
            import ir_datasets
        except ImportError as error:
            raise MissingDependencyError("ir_datasets", "datasets") from error
        if source.parts:
            raise CorpusError(
                f"{source}: a name of ir_datasets has no '#'; its splits are names too, such as "
                f"{source.name}/test"
            )
        self._source = source
        try:
            self._dataset = ir_datasets.load(source.name)
        except KeyError as error:
            raise CorpusError(
                f"ir_datasets has no collection {source.name!r}; https://ir-datasets.com lists what it has"
            ) from error

    def documents(self) -> Iterator[Document]:
        """Yield the documents.

        Raises:
            CorpusError: there are none under this name, they cannot be fetched, or one is malformed.
        """
        for number, found in enumerate(self._records("docs"), 1):
            yield to_document(_record(found), f"{self._source}, document {number}")

    def queries(self) -> Iterator[tuple[str, str]]:
        """Yield id and text of each query.

        Raises:
            CorpusError: there are none under this name, or they cannot be fetched.
        """
        for found in self._records("queries"):
            yield found.query_id, _text(found)

    def qrels(self) -> Iterator[tuple[str, str, int]]:
        """Yield query id, document id and grade of each judgement.

        Raises:
            CorpusError: there are none under this name, or they cannot be fetched.
        """
        for found in self._records("qrels"):
            yield found.query_id, found.doc_id, int(found.relevance)

    def _records(self, kind: str) -> Iterator[Any]:
        if not self._dataset.has(kind):
            has = [other for other in ("docs", "queries", "qrels") if self._dataset.has(other)]
            raise CorpusError(
                f"{self._source} has no {kind}, only {', '.join(has) or 'other things'}; give a name that "
                "has them, such as one of its splits or the name that it is a part of"
            )
        try:
            yield from getattr(self._dataset, f"{kind}_iter")()
        except CorpusError:
            raise
        except Exception as error:  # network, licences, damaged archives: many unrelated types
            raise CorpusError(f"ir_datasets cannot give the {kind} of {self._source}: {error}") from error


def _record(found: Any) -> dict[str, Any]:
    title, text = getattr(found, "title", None), getattr(found, "text", None)
    if isinstance(title, str) and isinstance(text, str):
        return {"id": found.doc_id, "title": title, "text": text}
    return {"id": found.doc_id, "text": _text(found)}


def _text(found: Any) -> str:
    """Return what ir_datasets takes for the text of a document or a query."""
    if callable(getattr(found, "default_text", None)):
        return str(found.default_text())
    return str(found.text)
