"""Small real indexes in any segmentation, for the tests of scorers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybrid.index import DocumentRows, Mask, Rows, Snapshot, Store
from hybrid.types import Document, Scorer

PREFIX = "branch"


@dataclass(frozen=True)
class Layout:
    """Document i has the id ``ids[i]`` and goes to segment ``homes[i]``; some are deleted afterwards.

    ``hidden`` are live, and not let through by the mask.
    """

    ids: Sequence[str]
    homes: Sequence[int]
    deleted: Collection[int]
    hidden: Collection[int]

    @property
    def live(self) -> list[int]:
        return [i for i in range(len(self.ids)) if i not in self.deleted]

    @property
    def eligible(self) -> list[int]:
        return [i for i in self.live if i not in self.hidden]

    def whole(self) -> Layout:
        return Layout(self.ids, [0] * len(self.ids), self.deleted, self.hidden)


@contextmanager
def stored(layout: Layout, rows: Callable[[list[int]], Rows]) -> Iterator[Store]:
    """A store of the documents; ``rows`` gives the rows of some of them."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.create(Path(folder) / "index", {"name": "test"}) as store,
    ):
        with store.transaction() as change:
            for home in sorted(set(layout.homes)):
                members = [i for i, where in enumerate(layout.homes) if where == home]
                documents = [Document(layout.ids[i]) for i in members]
                change.add(DocumentRows.from_documents(documents), {PREFIX: rows(members)})
        if layout.deleted:
            with store.transaction() as change:
                change.delete(store.snapshot.find([layout.ids[i] for i in sorted(layout.deleted)]))
        yield store


def mask_of(snapshot: Snapshot, layout: Layout) -> Mask:
    """The snapshot's mask without the hidden documents."""
    hidden = snapshot.find([layout.ids[i] for i in sorted(layout.hidden - set(layout.deleted))])
    parts = []
    for view in snapshot.segments:
        part = np.ones(view.size, np.bool_) if view.live is None else view.live.copy()
        part[hidden[(hidden >= view.base) & (hidden < view.base + view.size)] - view.base] = False
        parts.append(None if part.all() else part)
    return Mask(tuple(parts), len(layout.eligible))


def check(
    scorer: Scorer, snapshot: Snapshot, layout: Layout, scores: dict[str, np.float32], ranked: set[str]
) -> None:
    """Compare a scorer with true scores of the live documents by id, to the bit.

    ``ranked``: the eligible documents that it should rank.
    """
    live = [layout.ids[i] for i in layout.live]
    docnums = snapshot.find(live)
    order = sorted(ranked, key=lambda id: (-scores[id], id))
    np.testing.assert_array_equal(scorer.scores(docnums), np.array([scores[id] for id in live], np.float32))
    for k in (0, 1, 2, 3, len(order), len(order) + 5):
        top = scorer.top(k)
        assert snapshot.ids(top.docnums) == order[:k]
        assert top.scores.tolist() == [scores[id] for id in order[:k]]
        assert top.scores.dtype == np.float32
        assert top.docnums.dtype == np.int64
    expected = [order.index(id) + 1 if id in ranked else 0 for id in live]
    assert scorer.ranks(docnums).tolist() == expected
    assert scorer.ranks(docnums[::-1][:2]).tolist() == expected[::-1][:2]
    eligible = [scores[layout.ids[i]] for i in layout.eligible]
    assert scorer.minimum() == min(eligible, default=0)
    assert scorer.eligible == len(eligible)
    assert all(scorer.lower_bound <= score for score in scores.values())
    assert scorer.exact
