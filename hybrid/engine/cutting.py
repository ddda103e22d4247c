"""Documents cut into passages on their way into the index."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybrid.branches.passages import Cut, Passages
from hybrid.engine.encoders import EncoderSet
from hybrid.engine.passes import needs
from hybrid.errors import EncoderError
from hybrid.index.passages import PassageRows
from hybrid.index.strings import Strings
from hybrid.pipeline import Pipeline
from hybrid.text.chunking import Units, Words, titled_passages
from hybrid.types import Document


class Cutter(NamedTuple):
    """How the documents of an index are cut, and what their passages are measured in."""

    passages: Passages
    units: Units

    @classmethod
    def of(cls, pipeline: Pipeline, encoders: EncoderSet) -> Cutter | None:
        """Return the cutter of a pipeline, None if it searches whole documents.

        Raises:
            EncoderError: a model does not say how it counts tokens.
        """
        if pipeline.passages is None:
            return None
        counted: list[Units] = []
        for name in needs(pipeline.stores):
            units = getattr(encoders.get(name).encoder, "units", None)
            if units is None:
                raise EncoderError(
                    f"the encoder of {name!r} does not say how it counts tokens (it has no units), so no "
                    "passage can be measured by it; cut documents with hybrid.split and Words(...), or "
                    "choose another model"
                )
            counted.append(units)
        if not counted:
            return cls(pipeline.passages, Words(pipeline.passages.words))
        return cls(pipeline.passages, counted[0] if len(counted) == 1 else _Strictest(counted))

    def cut(self, documents: Sequence[Document]) -> tuple[Cut, PassageRows]:
        """Return the passages of documents, as documents and as rows."""
        found: list[Document] = []
        bounds, spans, headings = [0], [], []
        for document in documents:
            for title, passage in titled_passages(document, self.passages.chunker, self.units):
                found.append(Document(document.id, passage.of(document.text), title))
                spans.append((passage.start, passage.end))
                headings.append(json.dumps(passage.headings).encode())
            bounds.append(len(found))
        ends = np.array(bounds, np.int64)
        titles = Strings.of([document.title.encode() for document in found])
        rows = PassageRows(ends, np.array(spans, np.int64).reshape(-1, 2), titles, Strings.of(headings))
        return Cut(found, ends), rows


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
