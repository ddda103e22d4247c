"""SPLADE against sentence-transformers, and a search with its terms."""

from __future__ import annotations

import itertools
import json
import shutil
import warnings

import numpy as np
import pytest

import hybrid
from hybrid.encoders.neural.splade import Splade
from hybrid.errors import EncoderError, FingerprintError, InputError
from tests.encoders.checkpoints import (
    edit_json,
    save_bert,
    save_inference_free,
    save_opensearch_doc,
    save_splade,
)

TEXTS = ["hello world", "", "what is a cell? the cell, the river", "x" * 100, "Größe river", "hello hello"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("splade")


@pytest.fixture(scope="module")
def plain(base):
    return save_bert(base / "plain", mlm=True)


@pytest.fixture(scope="module")
def free(base):
    return save_inference_free(base / "free")


def reference(folder):
    """Return sentence-transformers' dense matrices of documents and of queries."""
    from sentence_transformers import SparseEncoder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SparseEncoder(str(folder), device="cpu")
        return [
            call(TEXTS, convert_to_sparse_tensor=False, convert_to_tensor=True).numpy()
            for call in (model.encode_document, model.encode_query)
        ]


def matrix(batch, width):
    rows = np.zeros((len(batch), width), np.float32)
    for n, (a, b) in enumerate(itertools.pairwise(batch.indptr.tolist())):
        assert len(set(batch.terms[a:b].tolist())) == b - a
        rows[n, batch.terms[a:b]] = batch.weights[a:b]
    assert (batch.weights > 0).all()
    return rows


def check(folder, encoder):
    width = len(encoder.vocabulary)
    documents, queries = reference(folder)
    np.testing.assert_allclose(matrix(encoder.encode_documents(TEXTS), width), documents, atol=1e-5)
    np.testing.assert_allclose(matrix(encoder.encode_queries(TEXTS), width), queries, atol=1e-5)
    assert (documents > 0).any()
    assert (queries > 0).any()


@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_weights_are_those_of_sentence_transformers(tmp_path, activation, pooling):
    folder = save_splade(tmp_path, activation=activation, pooling=pooling)
    check(folder, Splade.from_folder(folder, device="cpu"))


def test_prompts_and_the_number_of_terms_are_the_model_s(tmp_path):
    prompts = {"query": "what is ", "document": "the "}
    folder = save_splade(tmp_path, prompts=prompts, max_active_dims=7)
    encoder = Splade.from_folder(folder, device="cpu")
    check(folder, encoder)
    assert np.diff(encoder.encode_documents(TEXTS).indptr).max() == 7
    assert encoder.fingerprint()["query_prefix"] == "what is "


def test_a_masked_language_model_alone_is_a_splade_model(plain):
    encoder = Splade.from_folder(plain, device="cpu")
    check(plain, encoder)
    assert encoder.encode_documents(TEXTS).truncated.tolist() == [len(text) == 100 for text in TEXTS]


def test_queries_are_looked_up_where_the_model_says_so(free):
    encoder = Splade.from_folder(free, device="cpu")
    check(free, encoder)
    calls = []
    handle = encoder._backbone.model.register_forward_hook(lambda *_: calls.append(1))
    encoder.encode_queries(TEXTS)
    handle.remove()
    assert calls == []


def test_opensearch_s_doc_models(tmp_path, plain):
    folder = save_opensearch_doc(tmp_path / "doc")
    encoder = Splade.from_folder(folder, device="cpu")
    vocabulary = encoder.vocabulary
    query = encoder.encode_queries(["the river, the river?", "", "xyz"])
    found = {vocabulary[t]: w for t, w in zip(query.terms.tolist(), query.weights.tolist(), strict=True)}
    assert found == pytest.approx({"river": 1 + 3 / 7, "the": 1 + 4 / 7, "?": 1 + 6 / 7})
    assert query.indptr.tolist() == [0, 3, 3, 3]
    documents = matrix(encoder.encode_documents(TEXTS), len(vocabulary))
    expected = matrix(Splade.from_folder(plain, device="cpu").encode_documents(TEXTS), len(vocabulary))
    special = [
        n for n, token in enumerate(vocabulary) if token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    ]
    assert expected[:, special].any()
    expected[:, special] = 0
    np.testing.assert_allclose(documents, expected, atol=1e-6)
    twice = Splade.from_folder(folder, device="cpu", activation="log1p_relu")
    np.testing.assert_allclose(
        matrix(twice.encode_documents(TEXTS), len(vocabulary)), np.log1p(expected), atol=1e-5
    )


def test_an_index_finds_by_expanded_terms_and_explains_them(tmp_path, plain):
    encoder = Splade.from_folder(plain, device="cpu")
    documents = [hybrid.Document(str(n), text) for n, text in enumerate(TEXTS)]
    pipeline = hybrid.Pipeline([hybrid.Sparse("splade")])
    with hybrid.create(tmp_path / "index", documents, pipeline, encoders={"splade": encoder}) as index:
        result = index.search("music")
        width = len(encoder.vocabulary)
        kept = matrix(encoder.encode_documents(TEXTS), width).astype(np.float16).astype(np.float64)
        expected = kept @ matrix(encoder.encode_queries(["music"]), width)[0].astype(np.float64)
        assert {hit.id: hit.scores["sparse"] for hit in result} == pytest.approx(
            {str(n): score for n, score in enumerate(expected) if score > 0}, rel=1e-5
        )
        (part,) = index.explain("music", result.hits[0].id).branches
        terms = {match.term for match in part.terms}
        assert sum(match.score for match in part.terms) == pytest.approx(result.hits[0].scores["sparse"])
        assert terms - {"music"}  # terms that only the model sees in the query
        assert terms <= set(encoder.vocabulary)


def test_another_table_of_weights_is_noticed(tmp_path):
    folder = save_opensearch_doc(tmp_path / "doc")
    pipeline = hybrid.Pipeline([hybrid.Sparse("doc")])
    first = {"doc": Splade.from_folder(folder, device="cpu")}
    with hybrid.create(tmp_path / "index", [hybrid.Document("1", "hello")], pipeline, encoders=first):
        pass
    edit_json(folder / "idf.json", hello=9.0)
    with pytest.raises(FingerprintError, match="queries: index has"):
        hybrid.open(tmp_path / "index", encoders={"doc": Splade.from_folder(folder, device="cpu")})


def test_what_is_no_splade_model_is_refused(tmp_path, plain, free):
    with pytest.raises(InputError, match="activation is 'gelu'; accepted: relu, log1p_relu"):
        Splade.from_folder(plain, activation="gelu")
    with pytest.raises(EncoderError, match="have a masked-language-model head"):
        Splade.from_folder(save_bert(tmp_path / "bert"), device="cpu")
    (tmp_path / "bert/modules.json").write_text(json.dumps([{"type": "a.Pooling", "path": "x"}]))
    with pytest.raises(EncoderError, match=r"are \['Pooling'\]; accepted: a transformer and SpladePooling"):
        Splade.from_folder(tmp_path / "bert")
    other = shutil.copytree(free, tmp_path / "other")
    edit_json(other / "document_1_SpladePooling/config.json", pooling_strategy="mean")
    with pytest.raises(EncoderError, match="asks for 'mean' pooling of 'relu'; accepted: max, sum of"):
        Splade.from_folder(other)
    table = save_opensearch_doc(tmp_path / "doc")
    edit_json(table / "idf.json", unheard=1.0)
    with pytest.raises(EncoderError, match="has the token 'unheard', which the tokenizer has not"):
        Splade.from_folder(table, device="cpu")
    (table / "idf.json").write_text('{"hello": -1}')
    with pytest.raises(EncoderError, match="finite and at least 0"):
        Splade.from_folder(table, device="cpu")
    with pytest.raises(InputError, match="single string"):
        Splade.from_folder(free, device="cpu").encode_queries("hello")
