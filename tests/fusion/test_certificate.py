"""What the engine's certificate rests on: monotone fusions, and a bound that holds for the unseen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.fusion import (
    DBSF,
    L2,
    NORMALIZERS,
    RRF,
    TM2C2,
    Column,
    CombMAX,
    CombMNZ,
    CombSUM,
    Fusion,
    MinMax,
    Raw,
    Weighted,
    ZScore,
)
from hybrid.types import BranchKind
from tests.fusion.tables import summary, take

KINDS: list[BranchKind] = ["sparse", "dense", "dense"]
NAMES = ["bm25", "e5", "bge"]
BOUNDS = {"sparse": 0.0, "dense": -1.0}

depths = st.integers(1, 6)
weights = st.sampled_from([0.0, 0.1, 1 / 3, 0.7, 1.0, 3.0])
mappings = st.tuples(weights, weights, weights).filter(any).map(lambda w: dict(zip(NAMES, w, strict=True)))
normalizers = st.one_of(
    st.sampled_from([TM2C2(), MinMax(), Raw()]),
    *(st.builds(kind, depth=depths) for kind in (MinMax, ZScore, DBSF, L2)),
)
fusions = st.one_of(
    st.builds(RRF, k=st.sampled_from([0.1, 1, 60]), weights=st.none() | mappings),
    st.builds(Weighted, alpha=st.sampled_from([0, 0.1, 0.8, 1]), normalizer=normalizers),
    st.builds(Weighted, weights=mappings, normalizer=normalizers),
    st.builds(CombSUM, normalizers),
    st.builds(CombMAX, normalizers),
    st.builds(CombMNZ, st.sampled_from([TM2C2(), MinMax()])),
)


def near(low: int, high: int):
    """Few float32 values, so that they tie, and their very next neighbours, where rounding bites."""
    return st.builds(
        lambda n, toward: float(np.nextafter(np.float32(n / 8), np.float32(toward)) if toward else n / 8),
        st.integers(low, high),
        st.sampled_from([0, 0, -9, 99]),
    )


SCORES = {"sparse": near(0, 40).map(abs).map(lambda s: s if s >= 0.1 else 0.0), "dense": near(-8, 8)}


@dataclass(frozen=True)
class Collection:
    """Every branch's true scores of every document."""

    raw: list[list[float]]

    def columns(self, depth: int) -> list[Column]:
        """Return the columns over all documents, which stand in the order of their ids."""
        made = []
        for name, kind, raw in zip(NAMES, KINDS, self.raw, strict=True):
            known = summary(raw, BOUNDS[kind], depth=depth)
            ranks = np.zeros(len(raw), np.int64)
            for rank, n in enumerate(self.ranked(kind, raw), 1):
                ranks[n] = rank
            made.append(Column(name, kind, np.array(raw), ranks, known))
        return made

    @staticmethod
    def ranked(kind: BranchKind, raw: list[float]) -> list[int]:
        order = sorted(range(len(raw)), key=lambda n: (-raw[n], n))
        return [n for n in order if kind == "dense" or raw[n] > 0]


def collections(size: int):
    return st.builds(
        lambda *raw: Collection(list(raw)),
        *(st.lists(SCORES[kind], min_size=size, max_size=size) for kind in KINDS),
    )


@settings(deadline=None)
@given(st.integers(1, 9).flatmap(collections), fusions, st.data())
def test_better_in_every_branch_is_never_worse(collection, fusion, data):
    """Also where two scores differ by one bit, and also for documents outside every list."""
    pair = []
    for column in collection.columns(fusion.depth):
        below = SCORES[column.kind].filter(lambda s, top=column.summary.maximum: s <= top)
        raw = sorted(
            data.draw(st.tuples(below, below)) if column.kind == "dense" else data.draw(lower(column))
        )
        ranks = sorted(data.draw(st.tuples(st.integers(0, 12), st.integers(0, 12))), key=unranked_first)
        pair.append(Column(column.name, column.kind, np.array(raw), np.array(ranks), column.summary))
    worse, better = fusion.fuse(pair).scores
    assert better >= worse


def lower(column: Column):
    """Two scores from 0 up to the maximum of a sparse branch."""
    share = st.integers(0, 8).map(lambda n: float(np.float32(column.summary.maximum * n / 8)))
    return st.tuples(share, share)


def unranked_first(rank: int) -> float:
    return -rank if rank else -math.inf


@settings(deadline=None)
@given(st.integers(1, 12).flatmap(collections), fusions, st.integers(1, 12))
def test_no_unseen_document_beats_the_made_up_one(collection, fusion, listed):
    """Search as the engine does: lists of some length, and a document just below all of them."""
    columns = collection.columns(fusion.depth)
    seen: set[int] = set()
    ceiling = []
    for column, raw in zip(columns, collection.raw, strict=True):
        order = collection.ranked(column.kind, raw)
        seen.update(order[:listed])
        exhausted = len(order) <= listed
        best = 0.0 if exhausted else raw[order[listed - 1]]
        rank = 0 if exhausted else listed + 1
        if exhausted and column.kind == "dense":
            return  # it has listed every document: none is unseen
        ceiling.append(Column(column.name, column.kind, np.array([best]), np.array([rank]), column.summary))
    bound = fusion.fuse(ceiling).scores[0]
    unseen = [n for n in range(len(collection.raw[0])) if n not in seen]
    assert all(fusion.fuse(columns).scores[unseen] <= bound)


@settings(deadline=None)
@given(st.integers(1, 9).flatmap(collections), fusions, st.randoms(use_true_random=False))
def test_candidates_do_not_influence_each_other(collection, fusion, random):
    """Any of them, in any order, get the same bits as all of them together."""
    columns = collection.columns(fusion.depth)
    whole = fusion.fuse(columns)
    some = random.sample(range(len(whole.scores)), random.randint(0, len(whole.scores)))
    fused = fusion.fuse(take(columns, some))
    assert fused.scores.tobytes() == whole.scores[some].tobytes()
    assert fused.normalized.tolist() == whole.normalized[:, some].tolist()
    assert fused.contributions.tolist() == whole.contributions[:, some].tolist()


@pytest.mark.parametrize("make", [CombSUM, CombMAX, lambda n: Weighted(normalizer=n)])
def test_scores_stay_finite(make):
    """A list with a spread of one subnormal number stretches the others beyond float32.

    The engine takes -inf for "nothing is unseen": an overflow would certify what is not proven.
    """
    known = summary([2.0**-149, 0.0, -0.125], -1.0)
    column = Column("e5", "dense", np.array([1.0, 0.0, -0.125]), np.array([1, 2, 3]), known)
    largest = np.finfo(np.float32).max
    assert make(MinMax(depth=2)).fuse([column]).scores.tolist() == [largest, 0.0, -largest]


@settings(deadline=None)
@given(st.integers(0, 9).flatmap(collections), fusions)
def test_shapes_types_and_the_sum(collection, fusion):
    columns = collection.columns(fusion.depth)
    before = [(c.raw.copy(), c.ranks.copy()) for c in columns]
    fused = fusion.fuse(columns)
    n = len(collection.raw[0])
    assert fused.normalized.shape == fused.contributions.shape == (3, n)
    assert fused.normalized.dtype == fused.contributions.dtype == np.float64
    assert fused.scores.shape == (n,)
    assert fused.scores.dtype == np.float32
    added = [sum(row) for row in fused.contributions.T.tolist()]  # from the first branch on
    largest = float(np.finfo(np.float32).max)
    assert fused.scores.tolist() == np.float32(np.clip(added, -largest, largest)).tolist()
    for column, (raw, ranks) in zip(columns, before, strict=True):
        assert column.raw.tolist() == raw.tolist()
        assert column.ranks.tolist() == ranks.tolist()


@settings(deadline=None)
@given(st.integers(1, 9).flatmap(collections), normalizers, st.integers(0, 9))
def test_only_the_declared_depth_is_read(collection, normalizer, more):
    """A longer list of best scores, as a deepened engine may have, changes nothing."""
    for kind, raw in zip(KINDS, collection.raw, strict=True):
        exact = summary(raw, BOUNDS[kind], depth=normalizer.depth or 0)
        longer = summary(raw, BOUNDS[kind], depth=(normalizer.depth or 0) + more)
        scores = np.array(raw)
        assert normalizer.normalize(scores, exact).tobytes() == normalizer.normalize(scores, longer).tobytes()


@settings(deadline=None)
@given(st.integers(1, 9).flatmap(collections), st.sampled_from(sorted(NORMALIZERS)), st.integers(-8, 8))
def test_the_unit_of_a_branch_does_not_matter(collection, name, power):
    """Under every normaliser but Raw, scores times a power of two give the same bits."""
    normalizer, factor = NORMALIZERS[name](), 2.0**power
    for kind, raw in zip(KINDS, collection.raw, strict=True):
        times = [s * factor for s in raw]
        found = normalizer.normalize(np.array(times), summary(times, BOUNDS[kind] * factor)).tolist()
        expected = normalizer.normalize(np.array(raw), summary(raw, BOUNDS[kind])).tolist()
        assert found == ([s * factor for s in expected] if name == "raw" else expected)


@pytest.mark.parametrize("name", ["tm2c2", "minmax", "zscore", "dbsf"])
def test_the_zero_of_a_branch_does_not_matter(name):
    """L2 alone of the scaled ones has a meaning for 0."""
    raw, shifted = [3.0, 1.0, 0.5, -1.0], [103.0, 101.0, 100.5, 99.0]
    found = NORMALIZERS[name]().normalize(np.array(shifted), summary(shifted, 99.0))
    np.testing.assert_allclose(
        found, NORMALIZERS[name]().normalize(np.array(raw), summary(raw, -1.0)), rtol=1e-12
    )


@pytest.mark.parametrize("fusion", [RRF(), Weighted(), CombSUM(), CombMNZ(), CombMAX()])
def test_each_is_a_fusion(fusion):
    assert isinstance(fusion, Fusion)
    assert not isinstance(TM2C2(), Fusion)
