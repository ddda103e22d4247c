"""Retrieval tasks of MTEB, loaded by MTEB itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hybrid.corpus.datasets.source import Source
from hybrid.corpus.documents import to_document, to_text
from hybrid.errors import CorpusError, MissingDependencyError
from hybrid.types import Document


class MTEBTask:
    """A task's name, such as ``SciFact``; the parts are a subset (a language), a split, or both.

    A query with an instruction is its text, a space, and the instruction, as MTEB hands it to models.
    """

    def __init__(self, source: Source) -> None:
        """Look the task up.

        Raises:
            CorpusError: MTEB has no such task, or it is not one of retrieval.
            MissingDependencyError: mteb is not installed.
        """
        try:
            import mteb
            from mteb.abstasks.retrieval import AbsTaskRetrieval
        except ImportError as error:
            raise MissingDependencyError("mteb", "mteb") from error
        self._source = source
        try:
            self._task: Any = mteb.get_task(source.name)
        except KeyError as error:
            raise CorpusError(f"{source}: {error.args[0]}; mteb.get_tasks() lists what there is") from error
        if not isinstance(self._task, AbsTaskRetrieval):
            raise CorpusError(f"{source}: a task of {self._task.metadata.type}; give one of Retrieval")
        self._found: Mapping[str, Any] | None = None

    def documents(self) -> Iterator[Document]:
        """Yield the documents.

        Raises:
            CorpusError: they cannot be fetched, there is no such subset or split, or one is malformed.
        """
        for number, row in enumerate(self._data()["corpus"], 1):
            kept = {key: row[key] for key in ("id", "title", "text") if row.get(key) is not None}
            yield to_document(kept, f"{self._source}, document {number}")

    def queries(self) -> Iterator[tuple[str, str]]:
        """Yield id and text of each query.

        Raises:
            CorpusError: they cannot be fetched, or one is no text (an image, a conversation).
        """
        for number, row in enumerate(self._data()["queries"], 1):
            yield str(row["id"]), query_text(row, f"{self._source}, query {number}")

    def qrels(self) -> Iterator[tuple[str, str, int]]:
        """Yield query id, document id and grade of each judgement.

        Raises:
            CorpusError: they cannot be fetched.
        """
        for query, grades in self._data()["relevant_docs"].items():
            yield from ((str(query), str(document), int(grade)) for document, grade in grades.items())

    def _data(self) -> Mapping[str, Any]:
        """Return the documents, queries and judgements of one split of one subset."""
        if self._found is None:
            try:
                self._task.load_data()
                self._task.convert_v1_dataset_format_to_v2(num_proc=None)
            except Exception as error:  # network, permission, damaged files: many unrelated types
                raise CorpusError(f"MTEB cannot load {self._source}: {error}") from error
            self._found = self._chosen(self._task.dataset)
        return self._found

    def _chosen(self, subsets: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return what the parts name; one part alone is a split or a subset."""
        found = [
            data
            for subset, splits in subsets.items()
            for split, data in splits.items()
            if not self._source.parts
            or self._source.parts == (subset, split)
            or (len(self._source.parts) == 1 and self._source.parts[0] in (subset, split))
        ]
        if len(found) != 1:
            known = ", ".join(f"#{subset}/{split}" for subset, splits in subsets.items() for split in splits)
            raise CorpusError(f"{self._source} names {len(found)} sets of queries; add one of {known}")
        chosen: Mapping[str, Any] = found[0]
        return chosen


def query_text(row: Mapping[str, Any], where: str) -> str:
    """Return the text of one of MTEB's queries, with its instruction.

    Raises:
        CorpusError: it is no text.
    """
    text = to_text(row.get("text"), "text", where)
    return f"{text} {row['instruction']}" if row.get("instruction") else text
