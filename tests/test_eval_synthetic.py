"""The synthetic collections: seeded, streaming, and shaped as they say."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "eval"))
synthetic = importlib.import_module("synthetic")

KINDS = [
    synthetic.Documents(3000, chunk=1000),
    synthetic.SparseVectors(300, chunk=100),
    synthetic.UnitVectors(300, chunk=100),
]


def arrays(value: object) -> list[np.ndarray]:
    return [value] if isinstance(value, np.ndarray) else list(value)


@pytest.mark.parametrize("source", KINDS, ids=lambda source: type(source).__name__)
def test_equal_seeds_give_equal_chunks_and_others_do_not(source) -> None:
    other = type(source)(source.size, source.seed + 1, chunk=source.chunk)
    for first, again, different in zip(source.chunks(), source.chunks(), other.chunks(), strict=True):
        for a, b in zip(arrays(first), arrays(again), strict=True):
            np.testing.assert_array_equal(a, b)
        assert any(not np.array_equal(a, b) for a, b in zip(arrays(first), arrays(different), strict=True))


@pytest.mark.parametrize("source", KINDS, ids=lambda source: type(source).__name__)
def test_chunks_differ_and_queries_are_none_of_them(source) -> None:
    seen = [arrays(chunk)[-1].tobytes() for chunk in source.chunks()]
    seen.append(arrays(source.queries(source.chunk))[-1].tobytes())
    assert len(seen) == 4
    assert len(set(seen)) == 4


def test_documents_follow_zipf_and_cluster_by_topic() -> None:
    source = synthetic.Documents(20_000)
    figures = synthetic.describe_documents(source)
    assert 40 < figures["mean length"] < 60
    assert -1.2 < figures["Zipf slope, ranks 100 to 10,000"] < -0.7
    plain = synthetic.Documents(20_000, topical=0.0)
    assert shared_terms(source) > 1.5 * shared_terms(plain)


def shared_terms(source) -> float:
    """How many terms two documents of the most popular topic's first term share, on average."""
    rows = [set(row.tolist()) for row in next(source.chunks()).rows()]
    rare = int(source.lists[0, 0])
    holders = [row for row in rows if rare in row][:60]
    pairs = [len(a & b) / min(len(a), len(b)) for n, a in enumerate(holders) for b in holders[:n]]
    return float(np.mean(pairs)) if pairs else 0.0


def test_queries_have_two_to_eight_distinct_terms() -> None:
    rows = list(synthetic.Documents(20_000).queries(300).rows())
    assert all(len(set(row.tolist())) == len(row) for row in rows)
    lengths = {len(row) for row in rows}
    assert min(lengths) == 2
    assert max(lengths) == 8


def test_sparse_rows_are_ascending_distinct_and_positive() -> None:
    source = synthetic.SparseVectors(2000)
    (chunk,) = source.chunks()
    assert 110 < len(chunk.terms) / 2000 < 130
    for a, b in zip(chunk.starts[:-1], chunk.starts[1:], strict=True):
        assert (np.diff(chunk.terms[a:b]) > 0).all()
    assert (chunk.weights > 0).all()
    assert 25 < len(source.queries(100).terms) / 100 < 36


def test_vectors_have_length_one_and_near_neighbours() -> None:
    source = synthetic.UnitVectors(5000)
    (chunk,) = source.chunks()
    np.testing.assert_allclose(np.linalg.norm(chunk, axis=1), 1.0, rtol=1e-5)
    figures = synthetic.describe_vectors(source)
    assert figures["cosine of the 1st"] > 0.6
    assert abs(figures["cosine of the median vector"]) < 0.1
