"""Near-duplicates: documents that share most of their words in the same order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from hybrid.errors import DocumentError, InputError, MissingDependencyError
from hybrid.text.analysis import Analyzer
from hybrid.types import Document

_WIDER = 0.75
"""Candidates are looked for from this share of the threshold, so that hardly any is missed."""

_PLAIN = Analyzer("near-duplicates", fold_accents=True, bigrams=("cjk", "thai"))


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A document, the earlier one that it nearly repeats, and how alike they are: 0 to 1, an estimate."""

    id: str
    of: str
    similarity: float


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """What counts as a near-duplicate, and what is done about it.

    Two documents are as alike as their sets of runs of ``words`` words are (shingles; Jaccard's coefficient:
    Broder 1997), estimated by ``permutations`` minimal hashes, with a standard error of .03 with 256. One
    that is at least ``threshold`` alike to an earlier one is its duplicate; the earlier one then is none
    itself. Candidates are found by locality-sensitive hashing, in time in proportion to the number of
    documents. Title and text count as one; case, accents and punctuation do not. Documents without words
    are nobody's duplicates.

    The default threshold is where edited copies part from different documents about the same thing
    (``eval/duplicates.py``). Needs the extra ``duplicates``.
    """

    threshold: float = 0.5
    words: int = 3
    permutations: int = 256
    seed: int = 1
    field: str = "duplicate_of"

    def __post_init__(self) -> None:
        number = isinstance(self.threshold, int | float) and not isinstance(self.threshold, bool)
        if not number or not 0 < self.threshold <= 1:
            raise InputError(f"threshold is {self.threshold!r}; give a number above 0, at most 1")
        for name, least in (("words", 1), ("permutations", 16), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"{name} is {value!r}; give a whole number of at least {least}")
        if not isinstance(self.field, str) or not self.field:
            raise InputError(f"field is {self.field!r}; give the metadata key that says what is repeated")

    def report(self, documents: Iterable[Document]) -> Iterator[Duplicate]:
        """Yield the duplicates among documents, in their order."""
        return (found for _, found in self._found(documents) if found is not None)

    def distinct(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Yield the documents that repeat no earlier one, such as into `hybrid.create`."""
        return (document for document, found in self._found(documents) if found is None)

    def marked(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Yield all documents, duplicates with the id of the one that they repeat under ``field``.

        With ``Parents(field="duplicate_of")`` as a stage, results show only the best of each group.

        Raises:
            DocumentError: a document has metadata under that key.
        """
        for document, found in self._found(documents):
            if self.field in document.metadata:
                raise DocumentError(
                    f"document {document.id!r} has metadata under {self.field!r}; give another field="
                )
            said = {} if found is None else {self.field: found.of}
            yield replace(document, metadata={**document.metadata, **said}) if said else document

    def similarity(self, one: Document, other: Document) -> float:
        """Return how alike two documents are, exactly: the Jaccard coefficient of their shingles."""
        a, b = self.shingles(one), self.shingles(other)
        return len(a & b) / len(a | b) if a or b else 0.0

    def shingles(self, document: Document) -> set[str]:
        """Return a document's runs of words; all its words where there are fewer."""
        terms = _PLAIN.terms(document.content)
        runs = range(max(1, len(terms) - self.words + 1)) if terms else ()
        return {" ".join(terms[n : n + self.words]) for n in runs}

    def _found(self, documents: Iterable[Document]) -> Iterator[tuple[Document, Duplicate | None]]:
        """Yield documents with what they repeat."""
        datasketch = _datasketch()
        wide = self.threshold * _WIDER
        index = datasketch.MinHashLSH(threshold=wide, num_perm=self.permutations, weights=(0.2, 0.8))
        kept: dict[str, tuple[int, Any]] = {}
        for number, document in enumerate(documents):
            hashed = datasketch.MinHash(num_perm=self.permutations, seed=self.seed)
            shingles = self.shingles(document)
            hashed.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in sorted(shingles)])
            alike = ((-kept[id][1].jaccard(hashed), kept[id][0], id) for id in index.query(hashed))
            nearest = min(alike, default=None) if shingles else None
            if nearest is not None and -nearest[0] >= self.threshold:
                yield document, Duplicate(document.id, nearest[2], float(-nearest[0]))
                continue
            if shingles and document.id not in kept:
                kept[document.id] = number, hashed
                index.insert(document.id, hashed)
            yield document, None


def _datasketch() -> Any:
    try:
        import datasketch
    except ImportError as error:
        raise MissingDependencyError("datasketch", "duplicates") from error
    return datasketch
