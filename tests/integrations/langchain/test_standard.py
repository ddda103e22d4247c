"""LangChain's own suites for vector stores, retrievers and embeddings."""

from __future__ import annotations

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests

import hybrid
from hybrid.integrations.langchain import HybridEmbeddings, HybridRetriever, HybridVectorStore
from tests.integrations.conftest import Letters


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path):
        store = HybridVectorStore.create(tmp_path / "index", self.get_embeddings())
        with store.index:
            yield store


class TestRetrieverOfAStore(RetrieversIntegrationTests):
    """`as_retriever` takes what LangChain's does: k among its search_kwargs."""

    @pytest.fixture(autouse=True)
    def _store(self, tmp_path):
        self.store = HybridVectorStore.from_texts(
            ["red fox", "red dog", "blue dog", "cat"],
            DeterministicFakeEmbedding(size=6),
            path=tmp_path / "index",
        )
        with self.store.index:
            yield

    @property
    def retriever_constructor(self):
        return lambda k=4: self.store.as_retriever(search_kwargs={"k": k})

    @property
    def retriever_query_example(self):
        return "red dog"


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _index(self, index):
        self.index = index

    @property
    def retriever_constructor(self):
        return HybridRetriever

    @property
    def retriever_constructor_params(self):
        return {"index": self.index}

    @property
    def retriever_query_example(self):
        return "red dog"


class _OfLetters:
    @property
    def embeddings_class(self):
        return HybridEmbeddings

    @property
    def embedding_model_params(self):
        return {"model": "letters", "encoder": Letters()}


class TestEmbeddings(_OfLetters, EmbeddingsIntegrationTests):
    pass


class TestEmbeddingsAlone(_OfLetters, EmbeddingsUnitTests):
    pass


def test_the_suites_are_run_against_an_index(tmp_path):
    store = HybridVectorStore.create(tmp_path / "index", DeterministicFakeEmbedding(size=6))
    with store.index as index:
        assert isinstance(index, hybrid.HybridIndex)
        assert [branch.name for branch in index.pipeline.branches] == ["bm25", "dense"]
