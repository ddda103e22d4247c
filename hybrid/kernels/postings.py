"""The best documents of a query over postings in blocks (`hybrid.kernels.blocks`).

`plan` bounds every window of documents by its blocks' levels, without reading postings; `best` then
scores windows in descending order of their bounds, and gives a window up as soon as what is left
cannot bring any of its documents among the best (block-max pruning: Mallia, Suel and Tonellotto 2024,
"Faster Learned Sparse Retrieval with Block-Max Pruning", with the bound tightened term after term, as in
MaxScore: Turtle and Flood 1995). Nothing that could be among the best is ever skipped.

The arrays are those of `hybrid.kernels.windows`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybrid.kernels.blocks import SHIFT, WIDTH
from hybrid.kernels.heap import ordered, push
from hybrid.kernels.prefetch import prefetch
from hybrid.kernels.windows import SLACK, added, find, leave, score_window


@njit(cache=True, nogil=True, error_model="numpy")
def plan(
    first: NDArray[Any],
    last: NDArray[Any],
    starts: NDArray[Any],
    windows: NDArray[Any],
    sizes: NDArray[Any],
    levels: NDArray[Any],
    documents: int,
    tops: NDArray[Any],
    constants: NDArray[Any],
    ceilings: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Lay a query's blocks out by window.

    ``first``, ``last``: int64, where each term's blocks begin and end. ``starts``: int64, where its
    postings begin.

    Returns:
        ``where``: int64, shape (windows, terms): 512 · (first posting) + (how many), 0 for none.
        ``level``: uint8, the same shape.
        ``bounds``: float64, shape (windows,): no document there scores more, but for `SLACK`.
    """
    terms = len(first)
    total = (documents + WIDTH - 1) >> SHIFT
    where = np.zeros((total, terms), np.int64)
    level = np.zeros((total, terms), np.uint8)
    bounds = np.zeros(total, np.float64)
    worth = np.empty(256, np.float64)
    for term in range(terms):
        for step in range(256):
            worth[step] = tops[term] * ceilings[step] + constants[term]
        posting = starts[term]
        for block in range(first[term], last[term]):
            window = windows[block]
            size = np.int64(sizes[block]) + 1
            where[window, term] = (posting << 9) + size
            level[window, term] = levels[block]
            bounds[window] += worth[levels[block]]
            posting += size
    return where, level, bounds


_LINE = 64
"""Bytes in a cache line."""


@njit(cache=True, nogil=True, inline="always")
def _ask_ahead(
    order: NDArray[Any],
    place: int,
    where: NDArray[Any],
    level: NDArray[Any],
    docs: NDArray[Any],
    values: NDArray[Any],
    lengths: NDArray[Any],
) -> None:
    """Ask for what the next windows will read: they lie anywhere, and waiting costs more than scoring.

    Of the window after the next one that is its plan, which says where the next one's postings begin.
    """
    terms = where.shape[1]
    if place + 2 < len(order):
        prefetch(where, order[place + 2] * terms)
        prefetch(level, order[place + 2] * terms)
    if place + 1 < len(order):
        window = order[place + 1]
        for term in range(terms):
            at = where[window, term] >> 9
            prefetch(docs, at)
            for field in range(values.shape[0]):
                prefetch(values, field * values.shape[1] + at)
        step = _LINE // lengths.itemsize
        for field in range(lengths.shape[0]):
            for at in range(window << SHIFT, (window + 1) << SHIFT, step):
                prefetch(lengths, field * lengths.shape[1] + at)


@njit(cache=True, nogil=True, error_model="numpy")
def _descending(bounds: NDArray[Any], part: int, parts: int) -> tuple[NDArray[Any], float]:
    """Return every ``parts``-th window with a bound above 0, roughly by descending bound.

    Windows are sorted into 256 equal steps of the bound; also returned is how wide a step is.
    """
    highest = 0.0
    for window in range(part, len(bounds), parts):
        highest = max(highest, bounds[window])
    heads = np.zeros(258, np.int64)
    if highest == 0:
        return np.empty(0, np.int64), 0.0
    steps = min(255 / highest, 1e300)
    for window in range(part, len(bounds), parts):
        if bounds[window] > 0:
            heads[257 - np.int64(bounds[window] * steps)] += 1
    for step in range(1, 258):
        heads[step] += heads[step - 1]
    order = np.empty(heads[257], np.int64)
    for window in range(part, len(bounds), parts):
        if bounds[window] > 0:
            step = 256 - np.int64(bounds[window] * steps)
            order[heads[step]] = window
            heads[step] += 1
    return order, highest / 255


@njit(cache=True, nogil=True, error_model="numpy")
def best(
    where: NDArray[Any],
    level: NDArray[Any],
    bounds: NDArray[Any],
    docs: NDArray[Any],
    values: NDArray[Any],
    lengths: NDArray[Any],
    fields: NDArray[Any],
    form: NDArray[Any],
    factors: NDArray[Any],
    constants: NDArray[Any],
    tops: NDArray[Any],
    ceilings: NDArray[Any],
    mask: NDArray[Any],
    k: int,
    part: int,
    parts: int,
    floor: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the ordinals (int64) and scores (float32) of the best ``k``, best first.

    ``part`` of ``parts``: which windows to look at, so that several threads can share one
    query. ``floor``: float64, shape (1,), a score that k documents are known to reach, raised here;
    what is below it is of no interest.
    """
    order, step = _descending(bounds, part, parts)
    heap_scores, heap_docs = np.empty(k, np.float32), np.empty(k, np.int32)
    size, documents = 0, lengths.shape[1]
    sums, left = np.empty(WIDTH, np.float64), np.empty(where.shape[1], np.float64)
    for place in range(len(order)):
        window = order[place]
        needed = floor[0]
        if (bounds[window] + step) * SLACK < needed:
            break  # and so do all that follow
        if bounds[window] * SLACK < needed:
            continue
        base = window << SHIFT
        _ask_ahead(order, place, where, level, docs, values, lengths)
        leave(level[window], tops, constants, ceilings, left)
        if not score_window(
            where[window], base, docs, values, lengths, fields, form, factors, constants, left, needed, sums
        ):
            continue
        least = floor[0] / SLACK
        for i in range(min(WIDTH, documents - base)):
            if sums[i] >= least and sums[i] > 0 and (len(mask) == 0 or mask[base + i]):
                score = np.float32(sums[i])
                if score > 0:
                    size = push(heap_scores, heap_docs, size, score, np.int32(base + i))
                    if size == k and heap_scores[0] > floor[0]:
                        floor[0] = heap_scores[0]
                        least = floor[0] / SLACK
    return ordered(heap_scores, heap_docs, size)


@njit(cache=True, nogil=True, error_model="numpy")
def answer(
    places: NDArray[Any],
    windows: NDArray[Any],
    sizes: NDArray[Any],
    levels: NDArray[Any],
    docs: NDArray[Any],
    values: NDArray[Any],
    lengths: NDArray[Any],
    fields: NDArray[Any],
    form: NDArray[Any],
    factors: NDArray[Any],
    constants: NDArray[Any],
    tops: NDArray[Any],
    ceilings: NDArray[Any],
    mask: NDArray[Any],
    k: int,
    floor: NDArray[Any],
) -> tuple[tuple[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any], NDArray[Any]]:
    """Return a query's plan and its best ``k``, in one call: each one from outside costs microseconds.

    ``places``: int64, shape (3, terms), the first three arguments of `plan`.
    """
    laid = plan(
        places[0], places[1], places[2], windows, sizes, levels, lengths.shape[1], tops, constants, ceilings
    )
    where, level, bounds = laid
    found, scores = best(
        where, level, bounds, docs, values, lengths, fields, form, factors, constants, tops, ceilings, mask,
        k, 0, 1, floor,
    )  # fmt: skip
    return laid, found, scores


@njit(cache=True, nogil=True, error_model="numpy")
def best_of_each(
    offsets: NDArray[Any],
    first: NDArray[Any],
    last: NDArray[Any],
    starts: NDArray[Any],
    windows: NDArray[Any],
    sizes: NDArray[Any],
    levels: NDArray[Any],
    docs: NDArray[Any],
    values: NDArray[Any],
    lengths: NDArray[Any],
    fields: NDArray[Any],
    form: NDArray[Any],
    factors: NDArray[Any],
    constants: NDArray[Any],
    tops: NDArray[Any],
    ceilings: NDArray[Any],
    mask: NDArray[Any],
    found: NDArray[Any],
    scores: NDArray[Any],
    counts: NDArray[Any],
) -> None:
    """Answer several queries, the terms of which stand one after the other.

    ``offsets``: int64, shape (queries + 1,), where each query's terms begin. Written are ``found``
    (int64) and ``scores`` (float32), shape (queries, k), best first, and ``counts`` (int64), how many
    there are for each query.
    """
    for query in range(len(offsets) - 1):
        a, b = offsets[query], offsets[query + 1]
        counts[query] = 0
        if a == b:
            continue
        where, level, bounds = plan(
            first[a:b], last[a:b], starts[a:b], windows, sizes, levels, lengths.shape[1], tops[a:b],
            constants[a:b], ceilings,
        )  # fmt: skip
        best_docs, best_scores = best(
            where, level, bounds, docs, values, lengths, fields, form, factors[a:b], constants[a:b],
            tops[a:b], ceilings, mask, found.shape[1], 0, 1, np.zeros(1, np.float64),
        )  # fmt: skip
        counts[query] = len(best_docs)
        found[query, : len(best_docs)] = best_docs
        scores[query, : len(best_docs)] = best_scores


@njit(cache=True, nogil=True, error_model="numpy")
def reaching(
    where: NDArray[Any],
    level: NDArray[Any],
    bounds: NDArray[Any],
    docs: NDArray[Any],
    values: NDArray[Any],
    lengths: NDArray[Any],
    fields: NDArray[Any],
    form: NDArray[Any],
    factors: NDArray[Any],
    constants: NDArray[Any],
    tops: NDArray[Any],
    ceilings: NDArray[Any],
    mask: NDArray[Any],
    needed: float,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return all documents that score above 0 and at least ``needed``, by ordinal, and their scores.

    With ``needed`` 0 this is the whole-accumulator way of scoring: every posting is read once.
    """
    found, documents = 0, lengths.shape[1]
    ordinals, scores = np.empty(1024, np.int64), np.empty(1024, np.float32)
    sums, left = np.empty(WIDTH, np.float64), np.empty(where.shape[1], np.float64)
    for window in range(len(bounds)):
        if bounds[window] <= 0 or bounds[window] * SLACK < needed:
            continue
        base = window << SHIFT
        leave(level[window], tops, constants, ceilings, left)
        if not score_window(
            where[window], base, docs, values, lengths, fields, form, factors, constants, left, needed, sums
        ):
            continue
        if found + WIDTH > len(ordinals):
            more_ordinals, more_scores = np.empty(4 * found, np.int64), np.empty(4 * found, np.float32)
            more_ordinals[:found], more_scores[:found] = ordinals[:found], scores[:found]
            ordinals, scores = more_ordinals, more_scores
        for i in range(min(WIDTH, documents - base)):
            score = np.float32(sums[i])
            if score > 0 and score >= needed and (len(mask) == 0 or mask[base + i]):
                ordinals[found], scores[found] = base + i, score
                found += 1
    return ordinals[:found], scores[:found]


@njit(cache=True, nogil=True, error_model="numpy")
def contributions(
    where: NDArray[Any],
    docs: NDArray[Any],
    values: NDArray[Any],
    lengths: NDArray[Any],
    fields: NDArray[Any],
    form: NDArray[Any],
    factors: NDArray[Any],
    constants: NDArray[Any],
    ordinals: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return documents' scores, and what each term adds to them.

    ``ordinals``: int64, shape (n,). Returned are float32, shape (n,), and float64, shape (n, terms),
    with -1 where a document has not the term.
    """
    terms = where.shape[1]
    scores, parts = np.empty(len(ordinals), np.float32), np.full((len(ordinals), terms), -1.0)
    for row in range(len(ordinals)):
        doc, total = ordinals[row], 0.0
        for term in range(terms):
            at = find(where[doc >> SHIFT, term], doc & (WIDTH - 1), docs)
            if at >= 0:
                parts[row, term] = added(
                    at, doc, values, lengths, fields, form, factors[term], constants[term]
                )
                total += max(parts[row, term], 0.0)
        scores[row] = np.float32(total)
    return scores, parts
