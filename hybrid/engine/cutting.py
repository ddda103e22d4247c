"""Documents cut into passages on their way into the index."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import DenseBatch, Representation
from hybrid.branches import Branch
from hybrid.branches.over_passages import Cut, OverPassages
from hybrid.branches.passages import Passages
from hybrid.engine.checks import cleaned
from hybrid.engine.encoders import EncoderSet
from hybrid.engine.passes import needs
from hybrid.errors import DocumentError, EncoderError
from hybrid.index.passages import PassageRows
from hybrid.index.strings import Strings
from hybrid.pipeline import Pipeline
from hybrid.text import Cleaning
from hybrid.text.chunking import Nested, Passage, Semantic, Units, Words, titled_passages
from hybrid.types import Document, Floats


@dataclass(frozen=True, slots=True)
class Cutter:
    """How documents are cut for some of an index's branches, and what their passages are measured in.

    ``units``: None where no model says how it counts, so that nothing can be said to be long. ``branches``:
    their names.
    """

    passages: Passages
    units: Units | None
    branches: frozenset[str]
    cleaning: Cleaning | None

    def cut(self, documents: Sequence[Document]) -> tuple[Cut, PassageRows]:
        """Return the passages of documents, as documents that branches see and as rows."""
        found: list[Document] = []
        bounds, spans, larger, headings = [0], [], [], []
        for document in documents:
            for part, passage in self._parts(document):
                found.append(part)
                spans.append((passage.start, passage.end))
                larger.append(passage.around or spans[-1])
                headings.append(json.dumps(passage.headings).encode())
            bounds.append(len(found))
        ends = np.array(bounds, np.int64)
        titles = Strings.of([document.title.encode() for document in found])
        rows = PassageRows(ends, _pairs(spans), _pairs(larger), titles, Strings.of(headings))
        return Cut(cleaned(found, self.cleaning), ends, documents, rows.spans), rows

    def _parts(self, document: Document) -> Iterator[tuple[Document, Passage]]:
        if self.units is None or self._stays_whole(document, self.units):
            yield document, Passage(0, len(document.text))
            return
        how = self.passages
        for title, passage in titled_passages(document, how.chunker, self.units, opening=how.opening):
            yield Document(document.id, passage.of(document.text), title), passage

    def _stays_whole(self, document: Document, units: Units) -> bool:
        """Whether a document is not cut because only long ones are."""
        if self.passages.cut != "long":
            return False
        if not self.branches.isdisjoint(document.vectors):
            return True
        return units.count(cleaned([document], self.cleaning)[0].content) <= units.most


def _pairs(spans: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    return np.array(spans, np.int64).reshape(-1, 2)


def cutters(pipeline: Pipeline, encoders: EncoderSet) -> dict[str, Cutter]:
    """Return what cuts documents for branches, by the prefix of their passages; none if nothing is cut.

    Raises:
        EncoderError: a model does not say how it counts tokens, and every document is to be cut.
    """
    found: dict[str, Cutter] = {}
    for prefix, over in _over(pipeline).items():
        how = _readied(over[0].passages, over, encoders)
        units = _units(how, over, encoders)
        names = frozenset(each.name for each in over)
        found[prefix] = Cutter(how, units, names, pipeline.cleaning)
    return found


def check_uncut(documents: Sequence[Document], pipeline: Pipeline) -> None:
    """Refuse documents that bring vectors for a branch that compares passages of every document.

    Raises:
        DocumentError: names the first.
    """
    cut = {each.name for over in _over(pipeline).values() for each in over if each.passages.cut == "all"}
    for document in documents:
        if not cut.isdisjoint(document.vectors):
            raise DocumentError(
                f"document {document.id!r} brings vectors, and this index cuts documents into passages; "
                "leave them out, or build an index of a pipeline without passages"
            )


def seen_by(branch: Branch, seen: Mapping[str | None, Sequence[Document]]) -> Sequence[Document]:
    """Return documents as a branch sees them, from those by prefix; None for whole ones."""
    return seen[branch.prefix if isinstance(branch, OverPassages) else None]


def _over(pipeline: Pipeline) -> dict[str, list[OverPassages]]:
    """Return the branches over passages, by the prefix of these."""
    found: dict[str, list[OverPassages]] = {}
    for branch in pipeline.stores:
        if isinstance(branch, OverPassages):
            found.setdefault(branch.prefix, []).append(branch)
    return found


def _readied(how: Passages, branches: Sequence[Branch], encoders: EncoderSet) -> Passages:
    """Return passages whose chunker has the encoder that it asks for.

    Raises:
        EncoderError: it names none, and no branch has a model that makes dense vectors.
    """
    chunker = how.chunker
    if isinstance(chunker, Nested) and isinstance(chunker.inner, Semantic):
        inner = _readied(replace(how, chunker=chunker.inner), branches, encoders).chunker
        return replace(how, chunker=replace(chunker, inner=inner))
    if not isinstance(chunker, Semantic) or chunker.vectors is not None:
        return how
    dense = (name for name, kinds in needs(branches).items() if "dense" in kinds)
    name = chunker.model or next(dense, None)
    if name is None:
        raise EncoderError(
            f"{chunker!r} needs dense vectors, and no branch that compares these passages has a model that "
            "makes them; give it a model="
        )
    lock = threading.Lock()

    def vectors(texts: Sequence[str]) -> Floats:
        kinds: tuple[Representation, ...] = ("dense",)
        with lock:  # groups are cut side by side
            found: DenseBatch = encoders.get(name).encode(texts, "document", kinds)["dense"]
        return found.vectors

    return replace(how, chunker=chunker.using(vectors))


def _units(how: Passages, branches: Sequence[Branch], encoders: EncoderSet) -> Units | None:
    """Return what the passages that branches share are measured in: the tokens of the strictest model."""
    counted: list[Units] = []
    models = needs(branches)
    for name in models:
        units = getattr(encoders.get(name).encoder, "units", None)
        if units is not None:
            counted.append(units)
        elif how.cut == "all":
            raise EncoderError(
                f"the encoder of {name!r} does not say how it counts tokens (it has no units), so no "
                "passage can be measured by it; cut documents with hybrid.split and Words(...), or "
                "choose another model"
            )
    if not counted:
        return None if models else Words(how.words)
    return counted[0] if len(counted) == 1 else _Strictest(counted)


class _Strictest:
    """Several models' tokens: spans are those of the model that reads least, counts the fullest window's."""

    def __init__(self, units: Sequence[Units]) -> None:
        self._units = sorted(units, key=lambda each: each.most)
        self.most = self._units[0].most

    def spans(self, text: str) -> NDArray[np.int64]:
        """Return where the tokens of a text stand."""
        return self._units[0].spans(text)

    def count(self, text: str) -> int:
        """Return a count that is above ``most`` if one of the models cannot read the text whole."""
        return max(-(-units.count(text) * self.most // units.most) for units in self._units)
