"""The sparse branch in front of a model: pruned terms, and texts that were cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybrid
from hybrid.batches import SparseBatch

VOCABULARY = [chr(n) for n in range(ord("a"), ord("z") + 1)]


class Letters:
    """A letter weighs how often it occurs in the first six characters."""

    vocabulary = VOCABULARY

    def fingerprint(self):
        return {"model": "letters"}

    def encode_documents(self, texts, progress=None):
        counts = np.array([[text[:6].count(letter) for letter in VOCABULARY] for text in texts], np.float32)
        counts = counts.reshape(len(texts), len(VOCABULARY))
        rows, terms = np.nonzero(counts)
        indptr = np.searchsorted(rows, np.arange(len(texts) + 1)).astype(np.int64)
        cut = np.array([len(text) > 6 for text in texts], np.bool_)
        return SparseBatch(indptr, terms.astype(np.int32), counts[rows, terms], cut)

    encode_queries = encode_documents


DOCUMENTS = [hybrid.Document("1", "aaabbc"), hybrid.Document("2", "cba"), hybrid.Document("3", "ccccccc")]
ENCODERS = {"letters": Letters()}


def scores(index, query):
    return {hit.id: hit.scores["sparse"] for hit in index.search(query)}


def test_only_the_heaviest_terms_of_documents_are_kept(tmp_path):
    pipeline = hybrid.Pipeline([hybrid.Sparse("letters", document_terms=2)])
    with hybrid.create(tmp_path / "index", DOCUMENTS, pipeline, encoders=ENCODERS) as index:
        # of the others, c is the third term: of equal weights the last
        assert scores(index, "c") == {"3": 6.0}
        assert scores(index, "ab") == {"1": 5.0, "2": 2.0}
        assert index.stats().branches["sparse"]["weights"] == 5
    changed = hybrid.Pipeline([hybrid.Sparse("letters", document_terms=1)])
    with pytest.raises(hybrid.FingerprintError, match="document_terms: the index has 2, the pipeline has 1"):
        hybrid.open(tmp_path / "index", pipeline=changed, encoders=ENCODERS)


def test_only_the_heaviest_terms_of_queries_are_kept(tmp_path):
    pipeline = hybrid.Pipeline([hybrid.Sparse("letters")])
    with hybrid.create(tmp_path / "index", DOCUMENTS, pipeline, encoders=ENCODERS) as index:
        assert scores(index, "aac") == {"1": 7.0, "2": 3.0, "3": 6.0}
    fewer = hybrid.Pipeline([hybrid.Sparse("letters", query_terms=1)])
    with hybrid.open(tmp_path / "index", pipeline=fewer, encoders=ENCODERS) as index:
        assert scores(index, "aac") == {"1": 6.0, "2": 2.0}


def test_texts_that_were_cut_are_counted(tmp_path):
    pipeline = hybrid.Pipeline([hybrid.Sparse("letters")])
    brought = hybrid.Document("4", "zzzzzzzzz", vectors={"sparse": {"q": 1.0}})
    with hybrid.create(tmp_path / "index", DOCUMENTS, pipeline, encoders=ENCODERS) as index:
        assert index.stats().truncated == {"sparse": 1}
        index.add([brought, hybrid.Document("5", "xyxyxyxy"), hybrid.Document("0", "mnmnmnmn")])
        assert index.stats().truncated == {"sparse": 3}
        index.delete(["3"])
        assert index.stats().truncated == {"sparse": 2}
        index.optimize()
        assert index.stats().truncated == {"sparse": 2}
        index.delete(["0"])
        assert index.stats().truncated == {"sparse": 1}


def test_a_branch_without_a_model_has_nothing_to_cut():
    with pytest.raises(hybrid.PipelineError, match="query_terms is 3, and the branch has no model"):
        hybrid.Sparse(query_terms=3)
    with pytest.raises(hybrid.PipelineError, match="document_terms is 0; give a whole number"):
        hybrid.Sparse("letters", document_terms=0)
    pipeline = hybrid.Pipeline([hybrid.Sparse("letters", document_terms=200, query_terms=30)])
    assert hybrid.parse_recipe(hybrid.format_recipe(pipeline)) == pipeline


@given(
    st.lists(st.dictionaries(st.integers(0, 9), st.integers(1, 4), max_size=8), max_size=5), st.integers(1, 9)
)
def test_the_heaviest_terms_by_hand(texts, most):
    indptr = np.cumsum([0, *map(len, texts)])
    terms = np.array([term for text in texts for term in text], np.int32)
    weights = np.array([weight for text in texts for weight in text.values()], np.float32)
    found = SparseBatch(indptr, terms, weights, np.zeros(len(texts), np.bool_)).heaviest(most)
    for n, text in enumerate(texts):
        kept = slice(int(found.indptr[n]), int(found.indptr[n + 1]))
        best = sorted(text.items(), key=lambda entry: (-entry[1], entry[0]))[:most]
        assert dict(zip(found.terms[kept].tolist(), found.weights[kept].tolist(), strict=True)) == dict(best)
