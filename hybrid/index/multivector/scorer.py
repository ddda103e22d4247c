"""Late-interaction search over the token vectors of a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import InputError
from hybrid.index.dense.search import standing_of
from hybrid.index.dense.vectors import LONGEST
from hybrid.index.memo import memoized
from hybrid.index.multivector.maxsim import StoredTokens, TokenQuery
from hybrid.index.multivector.plaid import Clusters, Effort, propose
from hybrid.index.ranks import Standing, true_ranks
from hybrid.index.segment import Segment
from hybrid.index.snapshot import Mask, Snapshot
from hybrid.ranking import Ranking, merge, top_positions
from hybrid.types import Docnums, Floats, TermMatch


class MultivectorScorer:
    """One query's MaxSim scores (`hybrid.types.Scorer`; Khattab and Zaharia 2020, section 3.3).

    The score of a document is Σ_i max_j q_i·d_j, over the query's tokens i and the document's tokens j as
    they are kept. Every eligible document is ranked. All of them are compared, unless `top` may look at
    likely ones only (``effort``, see `hybrid.index.multivector.plaid`); whatever is found is scored exactly.
    ``tokens`` gives the token vectors of a segment: those that compare elsewhere give the same scores.

    Raises:
        InputError: the query's vectors have another dimension than the index, or are not finite.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        prefix: str,
        query: TokenQuery,
        mask: Mask,
        *,
        effort: Effort | None = None,
        spelt: bool = True,
        tokens: Callable[[Segment, str], StoredTokens] = StoredTokens.of,
    ) -> None:
        self._spelt = spelt
        self._snapshot, self._prefix, self._mask, self._effort = snapshot, prefix, mask, effort
        self._stored = [tokens(view.segment, prefix) for view in snapshot.segments]
        for stored in self._stored[:1]:
            if query.vectors.shape[1] != stored.given:
                raise InputError(
                    f"the query's token vectors have {query.vectors.shape[1]} numbers; the index has "
                    f"{stored.given}"
                )
        if not (query.lengths <= LONGEST).all():
            raise InputError(f"a token vector of the query is not finite, or longer than {LONGEST:g}")
        codec = self._stored[0].codec if self._stored else None
        self._query = query if codec is None else replace(query, vectors=codec.project(query.vectors))
        self._columns: dict[int, tuple[NDArray[np.int64], Floats]] = {}

    @property
    def exact(self) -> bool:
        """Whether `top` compares every eligible document."""
        return self._effort is None

    @property
    def eligible(self) -> int:
        """How many documents the mask lets through."""
        return self._mask.count

    @property
    def lower_bound(self) -> float:
        """-Σ_i|q_i|·|d|, for the longest live token vector d."""
        longest = memoized(self._snapshot, ("longest token", self._prefix), self._longest)
        product = float(self._query.lengths.sum()) * longest
        return -max(product, float(np.float32(product * (1 + 2.0**-40))))

    def top(self, k: int) -> Ranking:
        """Return the best ``k`` eligible documents."""
        parts = []
        for number, view in enumerate(self._snapshot.segments if k > 0 else ()):
            likely = self._likely(number, k)
            if likely is None:
                ordinals, scores = self._column(number)
            else:
                ordinals, scores = likely, self._stored[number].scores(likely, self._query)
            best = top_positions(scores, k)
            parts.append(Ranking(ordinals[best] + view.base, scores[best]))
        return merge(parts, k, self._snapshot.tie_keys)

    def scores(self, docnums: Docnums) -> Floats:
        """Return the score of each document, whether or not the mask lets it through."""
        docnums = np.asarray(docnums, np.int64)
        scores = np.zeros(len(docnums), np.float32)
        for stored, view in zip(self._stored, self._snapshot.segments, strict=True):
            here = (docnums >= view.base) & (docnums < view.base + view.size)
            if here.any():
                scores[here] = stored.scores(docnums[here] - view.base, self._query)
        return scores

    def ranks(self, docnums: Docnums) -> NDArray[np.int64]:
        """Return each document's rank from 1, or 0 where the mask does not let it through."""
        docnums = np.asarray(docnums, np.int64)
        ranked = np.array([self._mask.lets_through(self._snapshot, n) for n in docnums.tolist()], np.bool_)
        ranks = np.zeros(len(docnums), np.int64)
        if ranked.any():
            wanted = docnums[ranked]
            ranks[ranked] = true_ranks(self._snapshot, wanted, self.scores(wanted), self._standing)
        return ranks

    def minimum(self) -> float:
        """Return the lowest score of an eligible document; 0.0 if there is none."""
        columns = [self._column(number)[1] for number in range(len(self._stored))]
        return min((float(scores.min()) for scores in columns if len(scores)), default=0.0)

    def matches(self, docnum: int) -> list[TermMatch]:
        """Return, for each query token, the document's token that it matched best, strongest first.

        A token is named by what it stands for, or by its place, from 0, if the encoder cannot say, or if the
        document's vectors were pooled (``spelt`` is False).
        """
        number, ordinal = self._snapshot.locate(docnum)
        found, adds = self._stored[number].matched(ordinal, self._query)
        asked = self._query.spell(self._query.text, "query")
        content: Sequence[str] = ()
        if self._spelt:
            content = self._query.spell(self._snapshot.documents([docnum])[0].content, "document")
        matches = [
            TermMatch(f"{_name(asked, i)} → {_name(content, j)}", 1.0, add)
            for i, (j, add) in enumerate(zip(found.tolist(), adds.tolist(), strict=True))
        ]
        return sorted(matches, key=lambda match: -match.score)

    def _likely(self, number: int, k: int) -> NDArray[np.int64] | None:
        """Return a segment's documents to compare, ascending; None for all."""
        codec = self._stored[number].codec
        if self._effort is None or codec is None or number in self._columns:
            return None
        segment = self._snapshot.segments[number].segment
        clusters = segment.cached(f"{self._prefix}#clusters", lambda: Clusters.of(segment, self._prefix))
        products, tokens = self._query.near(codec), len(self._query.vectors)
        return propose(clusters, products, tokens, self._mask.parts[number], k, self._effort)

    def _column(self, number: int) -> tuple[NDArray[np.int64], Floats]:
        """Return a segment's eligible documents, ascending, and their scores."""
        if number not in self._columns:
            part = self._mask.parts[number]
            ordinals = np.arange(len(self._stored[number])) if part is None else np.flatnonzero(part)
            self._columns[number] = (ordinals, self._stored[number].scores(ordinals, self._query))
        return self._columns[number]

    def _standing(self, number: int, levels: Floats) -> Standing:
        return standing_of(*self._column(number), levels)

    def _longest(self) -> float:
        """Return a bound of the length of every live token vector, whatever was deleted."""
        views = zip(self._stored, self._snapshot.segments, strict=True)
        return max((stored.longest_live(view.live) for stored, view in views), default=0.0)


def _name(tokens: Sequence[str], position: int) -> str:
    return tokens[position] if position < len(tokens) else f"#{position}"
