"""Collections on the Hugging Face hub, or in a folder laid out alike.

The layout is BEIR's, as BEIR and MTEB publish it: a configuration ``corpus`` (``_id`` or ``id``,
``title``, ``text``), one ``queries`` (``_id`` or ``id``, ``text``), and judgements (``query-id``,
``corpus-id``, ``score``) in a configuration ``qrels`` or ``default``, or in a repository of their own, whose
name ends in ``-qrels``. Collections of several languages put each one's name before: ``de-corpus``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hybrid.corpus.datasets.source import Source
from hybrid.corpus.documents import to_document, to_id, to_text
from hybrid.errors import CorpusError, MissingDependencyError
from hybrid.types import Document

PAIR = ("query-id", "corpus-id", "score")
"""The columns of judgements."""


class HubDataset:
    """``owner/name``, ``owner/name@revision``, or a folder; the parts are a subset, a split, or both."""

    def __init__(self, source: Source) -> None:
        """Take the name apart and ask for its configurations.

        Raises:
            CorpusError: there is no such repository or folder, or it cannot be reached.
            MissingDependencyError: datasets is not installed.
        """
        try:
            import datasets
        except ImportError as error:
            raise MissingDependencyError("datasets", "datasets") from error
        self._datasets, self._source = datasets, source
        name, _, revision = source.name.partition("@")
        self._path, self._revision = str(Path(name).expanduser()) if _is_folder(name) else name, revision
        self._configs = self._names("configurations", self._path)
        self._subset, self._split = self._parts(source.parts)

    def documents(self) -> Iterator[Document]:
        """Yield the documents; every column but id, title and text becomes metadata.

        Raises:
            CorpusError: there are none, they cannot be fetched, or one is malformed.
        """
        for number, row in enumerate(self._rows(self._path, self._config("corpus")), 1):
            yield to_document(_plain(row), f"{self._source}, document {number}")

    def queries(self) -> Iterator[tuple[str, str]]:
        """Yield id and text of each query.

        Raises:
            CorpusError: there are none, they cannot be fetched, or one is malformed.
        """
        for number, row in enumerate(self._rows(self._path, self._config("queries")), 1):
            where = f"{self._source}, query {number}"
            yield to_id(row, where), to_text(row.get("text"), "text", where)

    def qrels(self) -> Iterator[tuple[str, str, int]]:
        """Yield query id, document id and grade of each judgement of the split (default: test).

        Raises:
            CorpusError: there are none, they cannot be fetched, or one is malformed.
        """
        path, config = self._judgements()
        for number, row in enumerate(self._rows(path, config, self._split), 1):
            missing = [column for column in PAIR if row.get(column) is None]
            if missing or row["score"] != int(row["score"]):
                raise CorpusError(
                    f"{self._source}, judgement {number}: expected {', '.join(PAIR)}, the score a whole "
                    f"number; got {row!r}"
                )
            yield str(row["query-id"]), str(row["corpus-id"]), int(row["score"])

    def _parts(self, parts: Sequence[str]) -> tuple[str, str | None]:
        """Return the subset ('' for none) and the split; one part alone is either."""
        if len(parts) == 2:
            return parts[0], parts[1]
        if len(parts) == 1 and f"{parts[0]}-corpus" in self._configs:
            return parts[0], None
        return "", parts[0] if parts else None

    def _config(self, kind: str) -> str:
        wanted = f"{self._subset}-{kind}" if self._subset else kind
        if wanted not in self._configs:
            raise CorpusError(
                f"{self._source} has no configuration {wanted!r}, only {', '.join(self._configs)}; a "
                "collection in BEIR's layout has corpus, queries, and qrels or default"
            )
        return wanted

    def _judgements(self) -> tuple[str, str]:
        """Return the repository and the configuration that hold the judgements."""
        if self._subset:
            return self._path, self._config("qrels")
        for config in ("qrels", "default"):
            if config in self._configs:
                return self._path, config
        beside = f"{self._path}-qrels"
        return beside, self._names("configurations", beside)[0]

    def _rows(self, path: str, config: str, split: str | None = None) -> Iterator[dict[str, Any]]:
        splits = self._names("splits", path, config)
        kind = config.rpartition("-")[2]
        wanted = [split] if split else [kind, self._split, "test"]
        chosen = next((name for name in wanted if name in splits), splits[0] if len(splits) == 1 else None)
        if chosen is None or (split and chosen != split):
            raise CorpusError(
                f"{self._source}: the configuration {config!r} has the splits {', '.join(splits)}; name one: "
                f"{self._source.scheme}:{self._source.name}#{splits[0]}"
            )
        yield from self._asked(
            lambda: self._datasets.load_dataset(path, config, split=chosen, revision=self._revision or None)
        )

    def _names(self, what: str, path: str, *config: str) -> list[str]:
        ask: Any = (
            self._datasets.get_dataset_split_names if config else self._datasets.get_dataset_config_names
        )
        revision = self._revision or None
        found: list[str] = self._asked(lambda: ask(path, *config, revision=revision))
        if not found:
            raise CorpusError(f"{self._source} has no {what}")
        return found

    def _asked(self, ask: Any) -> Any:
        try:
            return ask()
        except Exception as error:  # network, permission, unknown repository: many unrelated types
            raise CorpusError(
                f"{self._source} cannot be read by datasets: {type(error).__name__}: {error}; give the name "
                "of a repository that this machine can reach, or a folder"
            ) from error


def _is_folder(name: str) -> bool:
    return name.startswith((".", "/", "~")) or Path(name).is_dir()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without the columns that it leaves empty."""
    return {key: value for key, value in row.items() if value is not None}
