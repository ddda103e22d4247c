"""BGE-M3 against FlagEmbedding, and one pass for three representations."""

from __future__ import annotations

import itertools
import shutil
import warnings

import numpy as np
import pytest

import hybrid
from hybrid.encoders.neural.bge_m3 import BgeM3
from hybrid.errors import EncoderError, FingerprintError, InputError, MissingDependencyError
from tests.encoders.checkpoints import save_bge_m3

TEXTS = [
    "hello world",
    "",
    "what is a cell? the cell, the river and the music of the world",
    "x" * 100,
    "hello",
    "Größe 東京 river",
    "river, music!",
    "hello hello hello",
]
KINDS = ("dense", "sparse", "tokens")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_bge_m3(tmp_path_factory.mktemp("m3") / "bge-m3")


@pytest.fixture(scope="module")
def encoder(folder):
    return BgeM3.from_folder(folder, device="cpu")


@pytest.fixture(scope="module")
def flag():
    """Return a function that loads a folder with FlagEmbedding alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from FlagEmbedding import BGEM3FlagModel

    def load(folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return BGEM3FlagModel(str(folder), use_fp16=False, devices="cpu")

    return load


def weights_by_id(batch):
    return [
        dict(zip(batch.terms[a:b].tolist(), batch.weights[a:b].tolist(), strict=True))
        for a, b in itertools.pairwise(batch.indptr.tolist())
    ]


def rows(batch):
    return [batch.vectors[a:b] for a, b in itertools.pairwise(batch.indptr.tolist())]


def check(encoded, expected):
    np.testing.assert_allclose(encoded.dense.vectors, expected["dense_vecs"], atol=1e-5)
    for found, wanted in zip(weights_by_id(encoded.sparse), expected["lexical_weights"], strict=True):
        assert {str(term) for term in found} == set(wanted)
        for term, weight in found.items():
            assert weight == pytest.approx(wanted[str(term)], abs=1e-5)
    for found, wanted in zip(rows(encoded.tokens), expected["colbert_vecs"], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("backend", ["transformers", "flagembedding"])
@pytest.mark.parametrize("side", ["document", "query"])
def test_all_three_are_flagembedding_s(folder, flag, backend, side):
    expected = flag(folder).encode(
        TEXTS, max_length=40, return_dense=True, return_sparse=True, return_colbert_vecs=True
    )
    encoded = BgeM3.from_folder(folder, device="cpu", backend=backend).encode(TEXTS, side, KINDS)
    check(encoded, expected)
    assert encoded.dense.truncated.tolist() == [len(text) == 100 for text in TEXTS]
    assert any(weights_by_id(encoded.sparse))


def test_long_texts_reach_the_model_s_last_place(tmp_path, flag):
    folder = save_bge_m3(tmp_path / "long", positions=8192)
    encoder = BgeM3.from_folder(folder, device="cpu")
    text = "river music " * 5000
    encoded = encoder.encode([text, "hello"], "document", KINDS)
    assert encoded.dense.truncated.tolist() == [True, False]
    assert np.diff(encoded.tokens.indptr)[0] == 8191  # without the first token
    expected = flag(folder).encode(
        [text], max_length=8192, return_dense=True, return_sparse=True, return_colbert_vecs=True
    )
    np.testing.assert_allclose(encoded.dense.vectors[0], expected["dense_vecs"][0], atol=1e-4)
    np.testing.assert_allclose(rows(encoded.tokens)[0], expected["colbert_vecs"][0], atol=1e-4)


def test_only_what_is_wanted_is_made(encoder):
    encoded = encoder.encode(TEXTS, "document", ("sparse",))
    assert (encoded.dense, encoded.tokens) == (None, None)
    both = encoder.encode(TEXTS, "document", KINDS)
    assert weights_by_id(encoded.sparse) == weights_by_id(both.sparse)


def test_a_term_weighs_what_its_heaviest_token_weighs(encoder):
    import torch

    state = torch.load(encoder._backbone.folder / "sparse_linear.pt", weights_only=True)
    ids = encoder._backbone.tokenize(["hello river hello"]).ids
    (ran,) = encoder._backbone.run(ids)
    each = torch.relu(ran.outputs[0] @ state["weight"].float().T + state["bias"].float())[:, 0].tolist()
    expected = {}
    for term, weight in zip(ids[0][1:-1], each[1:-1], strict=True):  # special tokens are no terms
        expected[term] = max(expected.get(term, 0.0), weight)
    (found,) = weights_by_id(encoder.encode(["hello river hello"], "document", ("sparse",)).sparse)
    assert found == pytest.approx({term: weight for term, weight in expected.items() if weight > 0})


def test_tokens_are_spelled_one_for_each_vector(encoder):
    batch = encoder.encode(TEXTS, "document", ["tokens"]).tokens
    assert [len(encoder.spell(text, "document")) for text in TEXTS] == np.diff(batch.indptr).tolist()
    assert encoder.spell("hello world", "query") == ["▁hello", "▁world", "</s>"]


def test_token_vectors_may_be_narrower_than_the_model(tmp_path):
    folder = save_bge_m3(tmp_path / "narrow", token_dimension=24)
    first, second = (
        BgeM3.from_folder(folder, device="cpu", backend=backend).encode(TEXTS, "document", ("tokens",)).tokens
        for backend in ("transformers", "flagembedding")
    )
    assert first.vectors.shape[1] == 24
    np.testing.assert_allclose(first.vectors, second.vectors, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_dtypes_stay_close(folder, encoder, dtype):
    narrow = BgeM3.from_folder(folder, device="cpu", dtype=dtype)
    whole, other = (e.encode(TEXTS, "document", KINDS) for e in (encoder, narrow))
    assert np.sum(whole.dense.vectors * other.dense.vectors, axis=1).min() > 0.995
    assert other.dense.vectors.dtype == np.float32
    assert narrow.fingerprint()["dtype"] == dtype


@pytest.fixture
def counted(encoder, monkeypatch):
    """Count how many texts each forward pass of the transformer takes."""
    sizes = []
    handle = encoder._backbone.model.register_forward_hook(
        lambda _module, _args, kwargs, _given: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    yield sizes
    handle.remove()


PIPELINE = hybrid.Pipeline([hybrid.BM25(), hybrid.Sparse("m3"), hybrid.Dense("m3"), hybrid.Multivector("m3")])
DOCUMENTS = [hybrid.Document(str(n), text) for n, text in enumerate(TEXTS)]


def test_every_text_passes_the_model_once(tmp_path, encoder, counted):
    with hybrid.create(tmp_path / "index", [], PIPELINE, encoders={"m3": encoder}) as index:
        counted.clear()
        index.add(DOCUMENTS)  # one is longer than the model reads: three parts, two like its opening
        assert index.stats().branches["dense"]["passages"] == len(TEXTS) + 3
        assert sum(counted) == len(TEXTS) + 1
        counted.clear()
        result = index.search("river music")
        assert sum(counted) == 1
        assert {"sparse", "dense", "multivector", "bm25"} <= set(result.hits[0].scores)
        counted.clear()
        index.search_many(["river", "music", "cell"])
        assert sum(counted) == 3
    counted.clear()
    encoder.encode(TEXTS, "document", KINDS)
    assert sum(counted) == len(TEXTS)
    counted.clear()
    encoder.encode(["hello", "world", "hello"], "query", KINDS)
    assert sum(counted) == 2  # equal texts are one


def test_an_index_made_with_one_backend_opens_with_the_other(tmp_path, folder, encoder):
    other = BgeM3.from_folder(folder, device="cpu", backend="flagembedding")
    with hybrid.create(tmp_path / "index", DOCUMENTS, PIPELINE, encoders={"m3": encoder}) as index:
        first = index.search("river music")
    with hybrid.open(tmp_path / "index", encoders={"m3": other}) as index:
        second = index.search("river music")
    assert [hit.id for hit in first] == [hit.id for hit in second]
    assert first.hits[0].scores["sparse"] == pytest.approx(second.hits[0].scores["sparse"], rel=1e-4)


def test_a_changed_head_is_noticed(tmp_path, folder, encoder):
    import torch

    changed = shutil.copytree(folder, tmp_path / "bge-m3")
    state = torch.load(changed / "sparse_linear.pt", weights_only=True)
    torch.save({"weight": state["weight"] * 2, "bias": state["bias"]}, changed / "sparse_linear.pt")
    with hybrid.create(tmp_path / "index", DOCUMENTS, PIPELINE, encoders={"m3": encoder}):
        pass
    with pytest.raises(FingerprintError, match="sparse_linear: index has "):
        hybrid.open(tmp_path / "index", encoders={"m3": BgeM3.from_folder(changed, device="cpu")})


def test_what_is_no_bge_m3_is_refused(folder, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="backend is 'jax'; accepted: transformers, flagembedding"):
        BgeM3.from_folder(folder, backend="jax")
    other = shutil.copytree(folder, tmp_path / "other")
    import torch

    torch.save({"weight": torch.ones(1, 7), "bias": torch.ones(1)}, other / "sparse_linear.pt")
    with pytest.raises(EncoderError, match=r"shape \(1, 7\), and the model's hidden size is 32"):
        BgeM3.from_folder(other, device="cpu")
    (other / "sparse_linear.pt").write_bytes(b"nonsense")
    with pytest.raises(EncoderError, match="cannot read the linear layer in"):
        BgeM3.from_folder(other, device="cpu")
    (other / "sparse_linear.pt").unlink()
    with pytest.raises(
        EncoderError, match=r"lacks sparse_linear\.pt; give a folder with the files of BAAI/bge"
    ):
        BgeM3.from_folder(other)
    monkeypatch.setitem(__import__("sys").modules, "FlagEmbedding", None)
    with pytest.raises(MissingDependencyError, match="FlagEmbedding"):
        BgeM3.from_folder(folder, backend="flagembedding")
