"""Seeded synthetic collections: Zipf documents, learned sparse vectors, clustered unit vectors.

    python eval/synthetic.py {documents,sparse,vectors} SIZE [--seed N]

generates one and prints figures by which to judge how real it is. Everything streams: a collection
is a sequence of chunks, each made from (seed, kind, number of the chunk) alone, so memory is bounded
by a chunk and a chunk may be made again by itself. All work is on arrays; terms are numbers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
_TABLES, _CHUNKS, _QUERIES = range(3)


def zipf(rng: np.random.Generator, size: int, terms: int, shift: float) -> Ints:
    """Draw term numbers below ``terms`` with probability about 1 / (number + shift), by inversion.

    The Zipf-Mandelbrot law with exponent 1: the shift flattens the head, as removing stop words does.
    """
    drawn = rng.random(size, dtype=np.float32)
    drawn *= np.float32(np.log((terms + shift) / shift))
    np.exp(drawn, out=drawn)
    drawn *= np.float32(shift)
    drawn -= np.float32(shift)
    return np.minimum(drawn.astype(np.int32), np.int32(terms - 1))


class Terms(NamedTuple):
    """Rows of terms: row i is ``terms[starts[i]:starts[i + 1]]``, int32; starts are int64."""

    starts: NDArray[np.int64]
    terms: Ints

    def rows(self) -> Iterator[Ints]:
        """Yield each row."""
        return (self.terms[a:b] for a, b in zip(self.starts[:-1], self.starts[1:], strict=True))


class Weighted(NamedTuple):
    """Rows of distinct terms with weights above 0, terms ascending in each row."""

    starts: NDArray[np.int64]
    terms: Ints
    weights: Floats


def _starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


@dataclass(frozen=True)
class Documents:
    """Documents of Zipf terms, clustered by topic, and queries from the same topics.

    A document draws a topic (popular ones more often) and a lognormal length. Each of its terms comes
    from the topic's own list or from the whole vocabulary, both by Zipf's law, or repeats a term just
    before it (words come in bursts). The vocabulary grows with the collection by Heaps' law.
    """

    size: int
    seed: int = 0
    topics: int = 1000
    topic_terms: int = 2000
    topical: float = 0.5
    bursts: float = 0.25
    mean_length: float = 50.0
    spread: float = 0.6
    chunk: int = 1 << 16

    @property
    def vocabulary(self) -> int:
        """How many terms there can be: 120 · tokens^0.55 (Heaps 1978)."""
        return int(120 * (self.size * self.mean_length) ** 0.55)

    @cached_property
    def lists(self) -> Ints:
        """Each topic's terms, its most frequent first; shape (topics, topic_terms)."""
        rng = np.random.default_rng([self.seed, _TABLES])
        return zipf(rng, self.topics * self.topic_terms, self.vocabulary, 100.0).reshape(self.topics, -1)

    def chunks(self) -> Iterator[Terms]:
        """Yield all documents, in order, by chunks."""
        for number, start in enumerate(range(0, self.size, self.chunk)):
            rng = np.random.default_rng([self.seed, _CHUNKS, number])
            yield self._documents(rng, min(self.chunk, self.size - start))

    def _documents(self, rng: np.random.Generator, count: int) -> Terms:
        mu = np.log(self.mean_length) - self.spread**2 / 2
        lengths = np.clip(rng.lognormal(mu, self.spread, count), 3, 2000).astype(np.int64)
        starts = _starts(lengths)
        total = int(starts[-1])
        topics = np.repeat(zipf(rng, count, self.topics, 20.0), lengths)
        terms = self._terms(rng, topics)
        back = np.arange(total) - rng.integers(1, 6, total)
        copies = (rng.random(total, dtype=np.float32) < self.bursts) & (
            back >= np.repeat(starts[:-1], lengths)
        )
        terms[copies] = terms[back[copies]]
        return Terms(starts, terms)

    def _terms(self, rng: np.random.Generator, topics: Ints) -> Ints:
        """Draw one term for each topic in the array: from its list, or from the vocabulary."""
        terms = zipf(rng, len(topics), self.vocabulary, 20.0)
        own = np.flatnonzero(rng.random(len(topics), dtype=np.float32) < self.topical)
        terms[own] = self.lists[topics[own], zipf(rng, len(own), self.topic_terms, 5.0)]
        return terms

    def queries(self, count: int) -> Terms:
        """Return queries of 2 to 8 distinct terms, frequent and rare ones, each query on one topic."""
        rng = np.random.default_rng([self.seed, _QUERIES])
        rows = []
        for length in rng.integers(2, 9, count):
            topic = zipf(rng, 1, self.topics, 20.0)
            row = np.unique(self._terms(rng, np.repeat(topic, 4 * length)))
            rows.append(rng.permutation(row)[:length])
        return Terms(_starts(np.array([len(row) for row in rows])), np.concatenate(rows))


@dataclass(frozen=True)
class SparseVectors:
    """Vectors like those of a learned sparse encoder: many terms, skewed weights, topics.

    The shape follows what is reported of SPLADE on MS MARCO: about 120 terms a document and 30 a query
    out of a word-piece vocabulary of 30k, a few weights large and most small. A topic's first terms
    weigh most, so that documents of one topic resemble each other.
    """

    size: int
    seed: int = 0
    vocabulary: int = 30_000
    topics: int = 4000
    topic_terms: int = 400
    document_terms: float = 120.0
    query_terms: float = 30.0
    chunk: int = 1 << 14

    @cached_property
    def lists(self) -> Ints:
        """Each topic's terms, the most typical first; shape (topics, topic_terms)."""
        rng = np.random.default_rng([self.seed, _TABLES, 1])
        return zipf(rng, self.topics * self.topic_terms, self.vocabulary, 300.0).reshape(self.topics, -1)

    def chunks(self) -> Iterator[Weighted]:
        """Yield all documents, in order, by chunks."""
        for number, start in enumerate(range(0, self.size, self.chunk)):
            rng = np.random.default_rng([self.seed, _CHUNKS, 1, number])
            yield self._rows(rng, min(self.chunk, self.size - start), self.document_terms)

    def queries(self, count: int) -> Weighted:
        """Return queries on the topics of the documents."""
        return self._rows(np.random.default_rng([self.seed, _QUERIES, 1]), count, self.query_terms)

    def _rows(self, rng: np.random.Generator, count: int, mean: float) -> Weighted:
        # Of the terms drawn, repetitions fall away; 1.2 makes up for them (see the figures printed).
        lengths = np.maximum(rng.normal(1.2 * mean, 0.25 * mean, count), 4).astype(np.int64)
        rows = np.repeat(np.arange(count), lengths)
        topics = np.repeat(zipf(rng, count, self.topics, 50.0), lengths)
        places = zipf(rng, len(rows), self.topic_terms, 20.0)
        terms = self.lists[topics, places]
        strays = rng.random(len(rows), dtype=np.float32) < 0.3
        terms[strays] = zipf(rng, int(strays.sum()), self.vocabulary, 300.0)
        weights = rng.lognormal(-1.0, 0.7, len(rows)).astype(np.float32)
        weights *= np.where(strays, 0.6, 1 + 2 * np.exp(-places / 15)).astype(np.float32)
        keys, first = np.unique(rows * np.int64(self.vocabulary) + terms, return_index=True)
        kept = np.bincount(keys // self.vocabulary, minlength=count)
        return Weighted(_starts(kept), (keys % self.vocabulary).astype(np.int32), weights[first])


@dataclass(frozen=True)
class UnitVectors:
    """Unit vectors in clusters within clusters, with noise that has a few strong directions.

    A vector is a cluster's centre, plus one of its sub-clusters', plus noise whose spread falls along
    rotated axes as (1 + axis)^-0.4: embeddings of text have fewer directions than numbers.
    """

    size: int
    seed: int = 0
    dimension: int = 384
    clusters: int = 500
    parts: int = 20
    chunk: int = 1 << 14

    @cached_property
    def _tables(self) -> tuple[Floats, Floats, Floats]:
        """The centres, the sub-clusters' offsets, and what turns plain noise into ours."""
        rng = np.random.default_rng([self.seed, _TABLES, 2])
        centres = rng.standard_normal((self.clusters, self.dimension), dtype=np.float32)
        offsets = rng.standard_normal((self.clusters * self.parts, self.dimension), dtype=np.float32)
        rotation = np.linalg.qr(rng.standard_normal((self.dimension, self.dimension)))[0]
        spread = (1 + np.arange(self.dimension)) ** -0.4
        spread *= np.sqrt(self.dimension / (spread**2).sum())
        return centres, offsets, (spread[:, None] * rotation).astype(np.float32)

    def chunks(self) -> Iterator[Floats]:
        """Yield all vectors, in order, by chunks of shape (rows, dimension)."""
        for number, start in enumerate(range(0, self.size, self.chunk)):
            rng = np.random.default_rng([self.seed, _CHUNKS, 2, number])
            yield self._vectors(rng, min(self.chunk, self.size - start))

    def queries(self, count: int) -> Floats:
        """Return vectors from the same clusters."""
        return self._vectors(np.random.default_rng([self.seed, _QUERIES, 2]), count)

    def _vectors(self, rng: np.random.Generator, count: int) -> Floats:
        centres, offsets, colour = self._tables
        cluster = zipf(rng, count, self.clusters, 50.0)
        part = cluster * np.int32(self.parts) + rng.integers(0, self.parts, count, dtype=np.int32)
        noise = rng.standard_normal((count, self.dimension), dtype=np.float32) @ colour
        vectors = centres[cluster] + np.float32(0.6) * offsets[part] + np.float32(0.6) * noise
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def describe_documents(source: Documents) -> dict[str, object]:
    """Generate a collection and return its figures: Zipf's slope, lengths, frequencies."""
    counts = np.zeros(source.vocabulary, np.int64)
    frequencies = np.zeros(source.vocabulary, np.int64)
    tokens = 0
    for chunk in source.chunks():
        tokens += len(chunk.terms)
        counts += np.bincount(chunk.terms, minlength=source.vocabulary)
        rows = np.repeat(np.arange(len(chunk.starts) - 1), np.diff(chunk.starts))
        pairs = np.unique(rows * np.int64(source.vocabulary) + chunk.terms)
        frequencies += np.bincount(pairs % source.vocabulary, minlength=source.vocabulary)
    ordered = np.sort(counts[counts > 0])[::-1]
    ranks = np.arange(1, len(ordered) + 1)
    middle = (ranks >= 100) & (ranks <= 10_000)
    slope = np.polyfit(np.log(ranks[middle]), np.log(ordered[middle]), 1)[0]
    seen = np.sort(frequencies[frequencies > 0])[::-1]
    queries = source.queries(500)
    return {
        "documents": source.size,
        "mean length": round(tokens / source.size, 1),
        "occurrences per distinct term of a document": round(tokens / int(seen.sum()), 2),
        "vocabulary used": len(seen),
        "Zipf slope, ranks 100 to 10,000": round(float(slope), 2),
        "share of documents with the 1st, 10th, 100th, 1000th term": [
            round(float(seen[n]) / source.size, 4) for n in (0, 9, 99, 999) if n < len(seen)
        ],
        "share of terms in one document only": round(float((seen == 1).mean()), 3),
        "terms a query": round(len(queries.terms) / 500, 1),
        "documents of a query term, quartiles": np.percentile(
            frequencies[queries.terms], [25, 50, 75]
        ).tolist(),
    }


def describe_sparse(source: SparseVectors) -> dict[str, object]:
    """Generate the vectors and return their figures: terms, weights, frequencies."""
    frequencies = np.zeros(source.vocabulary, np.int64)
    sample: list[Floats] = []
    for chunk in source.chunks():
        frequencies += np.bincount(chunk.terms, minlength=source.vocabulary)
        sample.append(chunk.weights[:1000])
    weights = np.concatenate(sample)
    queries = source.queries(500)
    return {
        "documents": source.size,
        "terms a document": round(int(frequencies.sum()) / source.size, 1),
        "terms a query": round(len(queries.terms) / 500, 1),
        "weights, 1st, 25th, 50th, 75th, 99th percentile": [
            round(float(v), 3) for v in np.percentile(weights, [1, 25, 50, 75, 99])
        ],
        "share of documents of a query term, quartiles": [
            round(float(v) / source.size, 4) for v in np.percentile(frequencies[queries.terms], [25, 50, 75])
        ],
    }


def describe_vectors(source: UnitVectors) -> dict[str, object]:
    """Generate the vectors and return the cosines of queries with their 1st, 10th and a random vector."""
    queries = source.queries(100)
    best = np.full((100, 10), -1.0, np.float32)
    middle = []
    for chunk in source.chunks():
        scores = queries @ chunk.T
        middle.append(np.median(scores, axis=1))
        best = np.sort(np.concatenate([best, scores], axis=1), axis=1)[:, :-11:-1]
    return {
        "vectors": source.size,
        "cosine of the 1st": round(float(best[:, 0].mean()), 3),
        "cosine of the 10th": round(float(best[:, -1].mean()), 3),
        "cosine of the median vector": round(float(np.mean(middle)), 3),
    }


KINDS = {
    "documents": (Documents, describe_documents),
    "sparse": (SparseVectors, describe_sparse),
    "vectors": (UnitVectors, describe_vectors),
}


def main() -> None:
    """Generate what the command names and print its figures and the speed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("size", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kind, describe = KINDS[options.kind]
    source = kind(options.size, options.seed)
    started = time.perf_counter()
    for _ in source.chunks():
        pass
    seconds = time.perf_counter() - started
    for name, value in describe(source).items():
        print(f"{name}: {value}")
    print(f"generated at {options.size / seconds:,.0f} a second")


if __name__ == "__main__":
    main()
