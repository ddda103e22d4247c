"""What an index learns from its first documents, before it can keep them: the codecs of token vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from hybrid.index import HeldRows, Snapshot
from hybrid.index.multivector import TRAINING, Codec, TokenRows, fit
from hybrid.index.passages import Grouped


class Codecs:
    """The codec of each store of token vectors that needs one, for one change of an index.

    It is the one that the index has; else it is fitted on what is first written, which waits until there is
    enough, so that it depends on the first documents and on nothing else.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._codecs: dict[str, Codec] = {}
        self._numbers: Counter[str] = Counter()

    def collect(self, branches: Mapping[str, HeldRows]) -> None:
        """Take note of rows that wait to be written."""
        for name, given in branches.items():
            rows = given.rows if isinstance(given, Grouped) else given
            if isinstance(rows, TokenRows) and rows.form is not None and self._known(name) is None:
                self._numbers[name] += rows.kept.values.size

    @property
    def ready(self) -> bool:
        """Whether what was collected is enough to fit every codec that is still missing."""
        return all(name in self._codecs or count >= TRAINING for name, count in self._numbers.items())

    def settled(self, name: str, rows: HeldRows) -> HeldRows:
        """Return rows as they are written.

        Raises:
            EncoderError: the vectors do not fit the form that is asked for.
        """
        if isinstance(rows, Grouped):
            return replace(rows, rows=self.settled(name, rows.rows))
        if not isinstance(rows, TokenRows) or rows.form is None:
            return rows
        codec = self._known(name)
        if codec is None:
            codec = self._codecs[name] = fit(rows.kept.values, rows.form)
        return rows.settled(codec)

    def _known(self, name: str) -> Codec | None:
        if name not in self._codecs:
            for view in self._snapshot.segments:
                codec = Codec.read(view.segment, name)
                if codec is not None:
                    self._codecs[name] = codec
        return self._codecs.get(name)
