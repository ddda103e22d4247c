"""Haystack's own suites for document stores, in threads and on an event loop."""

from __future__ import annotations

import pytest
from haystack import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.testing.document_store import CountDocumentsByFilterTest, DocumentStoreBaseExtendedTests
from haystack.testing.document_store_async import (
    CountDocumentsAsyncTest,
    CountDocumentsByFilterAsyncTest,
    DeleteAllAsyncTest,
    DeleteByFilterAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    UpdateByFilterAsyncTest,
    WriteDocumentsAsyncTest,
)

import hybrid
from hybrid.integrations.haystack import HybridDocumentStore

RECIPE = hybrid.format_recipe(hybrid.Pipeline([hybrid.BM25()]))


@pytest.fixture
def document_store(tmp_path):
    store = HybridDocumentStore(str(tmp_path / "index"), recipe=RECIPE)
    yield store
    store.close()


class _Ours:
    """Where a store is free to choose: the order is that of ids, and an id that is there is refused."""

    @staticmethod
    def assert_documents_are_equal(received, expected):
        assert received == sorted(expected, key=lambda document: document.id)

    def test_write_documents(self, document_store):
        documents = [Document(id="2", content="two"), Document(id="1", content="one")]
        assert document_store.write_documents(documents) == 2
        with pytest.raises(DuplicateDocumentError, match="'1'"):
            document_store.write_documents([Document(id="3"), Document(id="1")])
        self.assert_documents_are_equal(document_store.filter_documents(), documents)

    async def test_write_documents_async(self, document_store):
        self.test_write_documents(document_store)


class TestStore(_Ours, CountDocumentsByFilterTest, DocumentStoreBaseExtendedTests):
    @pytest.fixture
    def document_store(self, document_store):
        return document_store


class TestStoreAsync(
    _Ours,
    CountDocumentsAsyncTest,
    CountDocumentsByFilterAsyncTest,
    DeleteAllAsyncTest,
    DeleteByFilterAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    UpdateByFilterAsyncTest,
    WriteDocumentsAsyncTest,
):
    pass
