"""Late interaction by torch: the scores of the compiled kernel, to the bit, on whatever device."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid
from hybrid.branches.devices import StoredOnDevice
from hybrid.encoders.neural import device_tokens
from hybrid.index.dense.vectors import Vectors
from hybrid.index.multivector import StoredTokens, TokenForm, TokenQuery, fit
from hybrid.index.multivector.codec import Kept

torch = pytest.importorskip("torch")
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))


def stored(storage, dimension):
    """Token vectors of 30 documents with equal, tiny and empty tokens, and how they are kept."""
    rng = np.random.default_rng(dimension)
    bounds = np.concatenate([[0], np.cumsum(rng.integers(1, 30, 30))])
    vectors = rng.standard_normal((bounds[-1], dimension)).astype(np.float32)
    vectors[::3], vectors[5] = vectors[0], 0
    vectors[1::7] *= np.float32(1e-3)
    if not storage.startswith("residual"):
        return bounds, Kept.plain(Vectors.of(vectors, storage)), None
    form = TokenForm(storage, clusters=9)
    codec = fit(vectors, form)
    return bounds, codec.encode(vectors, form), codec


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("dimension", [5, 64])
@pytest.mark.parametrize("storage", ["float32", "float16", "int8", "residual4", "residual2"])
def test_scores_are_those_of_the_kernel(storage, dimension, device, monkeypatch):
    kept = stored(storage, dimension)
    query = TokenQuery(np.random.default_rng(1).standard_normal((7, dimension)).astype(np.float32))
    chosen = np.random.default_rng(2).permutation(30)
    there, here = StoredOnDevice(*kept, device), StoredTokens(*kept)
    np.testing.assert_array_equal(there.best(chosen, query), here.best(chosen, query))
    assert there.scores(chosen, query).tobytes() == here.scores(chosen, query).tobytes()
    monkeypatch.setattr(device_tokens, "_BLOCK", 40 * dimension)  # in several parts
    np.testing.assert_array_equal(there.best(chosen, query), here.best(chosen, query))
    assert there.best(chosen[:0], query).shape == (0, 7)


def documents():
    rng = np.random.default_rng(3)
    return [
        hybrid.Document(f"{n:02}", "ant " * (n + 1), vectors={"maxsim": rng.standard_normal((n % 4 + 1, 4))})
        for n in range(20)
    ]


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_a_stage_says_where_it_compares_and_the_index_does_not_depend_on_it(tmp_path, device):
    query = hybrid.Query("ant", vectors={"maxsim": np.eye(4, dtype=np.float32)[:3]})

    def pipeline(**options):
        return hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.MaxSim(dimension=4, **options)])

    with hybrid.create(tmp_path / "i", documents(), pipeline()) as index:
        expected = index.search(query, k=20)
    with hybrid.open(tmp_path / "i", pipeline=pipeline(device=device)) as index:
        found = index.search(query, k=20, strict=True)
        assert [(hit.id, hit.score) for hit in found] == [(hit.id, hit.score) for hit in expected]


def test_a_device_that_is_not_there_is_told(tmp_path):
    pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.MaxSim(dimension=4, device="cuda:77")])
    query = hybrid.Query("ant", vectors={"maxsim": np.eye(4, dtype=np.float32)})
    hybrid.create(tmp_path / "i", documents(), pipeline).close()
    with (
        hybrid.open(tmp_path / "i") as index,
        pytest.raises(hybrid.InputError, match="'cuda:77' cannot be used"),
    ):
        index.search(query)


@pytest.mark.parametrize("device", ["", 0])
def test_what_names_no_device_is_refused(device):
    with pytest.raises(hybrid.PipelineError, match="give a device as torch names it"):
        hybrid.Multivector(dimension=4, device=device)
    with pytest.raises(hybrid.PipelineError, match="give a device as torch names it"):
        hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.MaxSim(dimension=4, device=device)])
