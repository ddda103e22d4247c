"""What the tests of all three libraries share: a small collection, rerankers, and coroutines as tests."""

from __future__ import annotations

import asyncio
import inspect

import numpy as np
import pytest

import hybrid


def pytest_configure(config):
    """Know the marks that LangChain's suites carry; the plugins they come from are not loaded."""
    for mark in ("benchmark", "vcr", "asyncio"):
        config.addinivalue_line("markers", f"{mark}: of a suite that is not run here")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test that is a coroutine function; the libraries' own suites have such."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True


DOCUMENTS = [
    hybrid.Document("a", "red fox in the snow", "Fox", {"year": 2023, "tags": ["x", "y"]}),
    hybrid.Document("b", "red red dog", metadata={"year": 2024, "lang": "en"}),
    hybrid.Document("c", "blue dog asleep", metadata={"year": 2025, "deep": {"n": 1}}),
    hybrid.Document("d", "a fox and a dog", "Both", {"year": 2024, "tags": []}),
    hybrid.Document("e", "nothing of the kind"),
]
QUERIES = ["red fox", "dog", "Fox asleep", "nothing", "unheard"]


class Letters:
    """A dense encoder without a model: how often each of eight letters is there."""

    dimension, normalized = 8, False

    def fingerprint(self):
        return {"model": "letters", "dimension": 8}

    def encode_documents(self, texts, progress=None):
        vectors = [[text.lower().count(letter) for letter in "abdefgor"] for text in texts]
        array = np.array(vectors, np.float32).reshape(len(texts), 8)
        return hybrid.DenseBatch(array, np.zeros(len(texts), np.bool_))

    def encode_queries(self, texts):
        return self.encode_documents(texts)


class Lengths:
    """A reranker: the longer the title and text, the better; it notes what it was asked."""

    def score(self, query, documents):
        return np.float32([len(document.content) for document in documents])

    def judge(self, query, documents):
        return self.score(query, documents), (f"asked {query!r} of {len(documents)}",)


PIPELINE = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense("letters")])


@pytest.fixture
def index(tmp_path):
    """The collection, open for writing."""
    with hybrid.create(tmp_path / "index", DOCUMENTS, PIPELINE, encoders={"letters": Letters()}) as index:
        yield index
