"""Where a text has the terms of a query."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from hybrid.text.analysis import Analyzer
from hybrid.text.bigrams import clusters, run_pattern
from hybrid.text.tokens import chunk_pattern

Span = tuple[int, int]


def highlights(text: str, terms: Collection[str], analyzer: Analyzer) -> list[Span]:
    """Return where words with any of the terms begin and end, in order, apart from each other.

    Of a script that is cut into bigrams, the letters of each pair that is a term.

    >>> highlights("The rivers run. River!", {"river"}, Analyzer(stemmer="english"))
    [(4, 10), (16, 21)]
    """
    wanted = frozenset(terms)
    found: list[Span] = []
    if not wanted:
        return found
    runs = run_pattern(analyzer.bigrams) if analyzer.bigrams else None
    for chunk in chunk_pattern(text.isascii()).finditer(text):
        start = chunk.start()
        for run in runs.finditer(chunk[0]) if runs else ():
            found += _pairs(run[1], chunk.start() + run.start(), wanted, analyzer)
            found += _word(chunk[0][start - chunk.start() : run.start()], start, wanted, analyzer)
            start = chunk.start() + run.end()
        found += _word(chunk[0][start - chunk.start() :], start, wanted, analyzer)
    return _joined(sorted(found))


def _word(word: str, start: int, terms: frozenset[str], analyzer: Analyzer) -> Iterator[Span]:
    if word and not terms.isdisjoint(analyzer.terms(word)):
        yield start, start + len(word)


def _pairs(run: str, start: int, terms: frozenset[str], analyzer: Analyzer) -> Iterator[Span]:
    letters = clusters(run)
    for n in range(max(1, len(letters) - 1)):
        pair = "".join(letters[n : n + 2])
        if not terms.isdisjoint(analyzer.terms(pair)):
            yield start, start + len(pair)
        start += len(letters[n])


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in spans:
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
