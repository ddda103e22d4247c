"""Token vectors against sentence-transformers' MultiVectorEncoder, in each layout, and a search with them."""

from __future__ import annotations

import itertools
import shutil
import warnings

import numpy as np
import pytest

import hybrid
from hybrid.encoders.neural.colbert import Colbert
from hybrid.errors import EncoderError, FingerprintError
from tests.encoders.checkpoints import (
    edit_json,
    save_bert,
    save_multivector,
    save_pylate,
    save_stanford_colbert,
)

TEXTS = [
    "hello world",
    "",
    "what is a cell? the cell, the river and the music.",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "hello!",
    "??",
]


@pytest.fixture(scope="module")
def stanford(tmp_path_factory):
    return save_stanford_colbert(tmp_path_factory.mktemp("colbert") / "colbertv2.0")


def rows(batch):
    return [batch.vectors[a:b] for a, b in itertools.pairwise(batch.indptr.tolist())]


def check(folder, encoder, shapes=None):
    """Compare with sentence-transformers; return how many vectors each document and each query has."""
    from sentence_transformers import MultiVectorEncoder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MultiVectorEncoder(str(folder), device="cpu", local_files_only=True)
        expected = [
            call(TEXTS, convert_to_numpy=True) for call in (model.encode_document, model.encode_query)
        ]
    found = [rows(call(TEXTS)) for call in (encoder.encode_documents, encoder.encode_queries)]
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
    return [[len(row) for row in side] for side in found]


def test_tokens_are_spelled_one_for_each_vector(stanford):
    encoder = Colbert.from_folder(stanford, device="cpu")
    for side, call in (("document", encoder.encode_documents), ("query", encoder.encode_queries)):
        assert [len(encoder.spell(text, side)) for text in TEXTS] == [len(row) for row in rows(call(TEXTS))]
    assert encoder.spell("hello, world", "document") == ["[CLS]", "[unused1]", "hello", "world", "[SEP]"]
    assert encoder.spell("hello", "query")[:5] == ["[CLS]", "[unused0]", "hello", "[SEP]", "[MASK]"]


@pytest.mark.parametrize("attend", [False, True])
@pytest.mark.parametrize("punctuation", [False, True])
def test_stanford_s_layout(tmp_path, attend, punctuation):
    folder = save_stanford_colbert(
        tmp_path / "colbert", attend_to_mask_tokens=attend, mask_punctuation=punctuation
    )
    encoder = Colbert.from_folder(folder, device="cpu")
    documents, queries = check(folder, encoder)
    assert queries == [12] * len(TEXTS)  # filled up
    assert documents[0] == 5  # [CLS] [D] hello world [SEP]
    assert documents[5] == (3 if punctuation else 5)
    assert documents[3] == 24  # cut
    assert encoder.encode_documents(TEXTS).truncated.tolist() == [False, False, False, True, False, False]
    assert encoder.encode_queries(TEXTS).truncated.tolist() == [False, False, True, True, False, False]
    assert encoder.token_dimension == 8


def test_markers_and_mask_tokens_stand_where_colbert_has_them(stanford):
    encoder = Colbert.from_folder(stanford, device="cpu")
    vocabulary = encoder._backbone.vocabulary
    query = encoder.prepare(["hello"], "query")
    assert [vocabulary[n] for n in query.ids[0]] == ["[CLS]", "[unused0]", "hello", "[SEP]"] + ["[MASK]"] * 8
    assert query.attended == [4]
    document = encoder.prepare(["hello"], "document")
    assert [vocabulary[n] for n in document.ids[0]] == ["[CLS]", "[unused1]", "hello", "[SEP]"]


@pytest.mark.parametrize(
    "expansion",
    [
        None,
        {"strategy": "fixed", "attend": False, "length": 12},
        {"strategy": "fixed", "attend": True, "length": 12, "token": "[unused1]"},
        {"strategy": "min", "attend": False, "length": 10},
    ],
)
def test_sentence_transformers_s_layout(tmp_path, expansion):
    folder = save_multivector(tmp_path, expansion=expansion)
    _, queries = check(folder, Colbert.from_folder(folder, device="cpu"))
    if expansion is None:
        assert queries[0] == 6
    elif expansion["strategy"] == "min":
        assert queries[0] == 10
        assert max(queries) > 10
    else:
        assert queries[0] == 12


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"attend_to_expansion_tokens": True},
        {"do_query_expansion": False},
        {"skiplist_words": []},
        {"prompts": {"query": "what is ", "document": "the "}},
        {"query_prefix": "[Z] ", "document_prefix": ""},
    ],
)
def test_pylate_s_layout(tmp_path, settings):
    folder = save_pylate(tmp_path / "pylate", **settings)
    check(folder, Colbert.from_folder(folder, device="cpu"))


def test_a_transformer_alone_gives_its_token_vectors(tmp_path):
    folder = save_bert(tmp_path / "bert")
    encoder = Colbert.from_folder(folder, device="cpu")
    ids = encoder._backbone.tokenize(["hello world"]).ids
    (ran,) = encoder._backbone.run(ids)
    expected = ran.outputs[0].numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for batch in (encoder.encode_documents(["hello world"]), encoder.encode_queries(["hello world"])):
        np.testing.assert_allclose(batch.vectors, expected, atol=1e-6)
    assert encoder.token_dimension == 32


def test_a_search_scores_as_colbert_does(tmp_path, stanford):
    encoder = Colbert.from_folder(stanford, device="cpu")
    documents = [hybrid.Document(str(n), text) for n, text in enumerate(TEXTS)]
    pipeline = hybrid.Pipeline([hybrid.Multivector("colbert", storage="float32")])
    with hybrid.create(tmp_path / "index", documents, pipeline, encoders={"colbert": encoder}) as index:
        scores = {hit.id: hit.scores["multivector"] for hit in index.search("the river")}
    (query,) = rows(encoder.encode_queries(["the river"]))
    for n, vectors in enumerate(rows(encoder.encode_documents(TEXTS))):
        assert scores[str(n)] == pytest.approx((query @ vectors.T).max(axis=1).sum(), abs=1e-5)


def test_longer_documents_when_asked_for(stanford):
    encoder = Colbert.from_folder(stanford, device="cpu", max_tokens=40)
    assert np.diff(encoder.encode_documents([TEXTS[3]]).indptr).tolist() == [29]
    assert encoder.fingerprint()["max_tokens"] == 40


def test_another_projection_or_length_is_noticed(tmp_path, stanford):
    pipeline = hybrid.Pipeline([hybrid.Multivector("colbert")])
    first = {"colbert": Colbert.from_folder(stanford, device="cpu")}
    with hybrid.create(tmp_path / "index", [hybrid.Document("1", "hello")], pipeline, encoders=first):
        pass
    other = shutil.copytree(stanford, tmp_path / "colbertv2.0")
    edit_json(other / "artifact.metadata", query_maxlen=16)
    with pytest.raises(FingerprintError, match="query_tokens: index has 12, encoder has 16"):
        hybrid.open(tmp_path / "index", encoders={"colbert": Colbert.from_folder(other, device="cpu")})


def test_what_is_not_supported_is_refused(tmp_path):
    folder = save_pylate(tmp_path / "pylate")
    edit_json(folder / "1_Dense/config.json", activation_function="torch.nn.modules.activation.Tanh")
    with pytest.raises(EncoderError, match="asks for Tanh behind the linear layer"):
        Colbert.from_folder(folder, device="cpu")
    edit_json(folder / "1_Dense/config.json", activation_function=None)
    (folder / "1_Dense/model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(EncoderError, match="cannot read the linear layer in"):
        Colbert.from_folder(folder, device="cpu")
    stanford = save_stanford_colbert(tmp_path / "stanford")
    save_bert(tmp_path / "bert")
    shutil.copy(tmp_path / "bert/model.safetensors", stanford / "model.safetensors")
    with pytest.raises(EncoderError, match=r"have nothing for 'linear\.weight'; a matrix with 32 columns"):
        Colbert.from_folder(stanford, device="cpu")
    multivector = save_multivector(tmp_path / "m", expansion=None)
    edit_json(multivector / "sentence_bert_config.json", query_expansion={"strategy": "wide", "length": 3})
    with pytest.raises(EncoderError, match="its strategy must be 'fixed' or 'min'"):
        Colbert.from_folder(multivector, device="cpu")
