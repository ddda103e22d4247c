"""What every reranker promises, whatever runs it. A new one is added to ``KINDS``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hybrid
from hybrid.errors import InputError
from hybrid.rerankers.api import maker_of
from hybrid.types import Reranker
from tests.encoders import checkpoints
from tests.remote import rerankers, server
from tests.rerankers import classifiers, decoders

pytestmark = pytest.mark.filterwarnings("ignore:The attention mask API:FutureWarning")  # of MiniCPM's code

QUERY = "what is a cell?"
TEXTS = [
    "hello world",
    "",
    "the cell of a river",
    "music",
    "Größe 東京 🙂 \x00",
    "x y " * 400,
    "hello, world!",
]
TOLERANCE = 1e-4
"""How far a score may depend on the documents it is made with."""


def load(folder: Path, **options) -> Any:
    return hybrid.load_reranker(str(folder), device="cpu", **options)


def classifier(path: Path) -> Path:
    return classifiers.classify(checkpoints.save_bert(path / "bert"))


def exported(path: Path) -> Path:
    return classifiers.export(classifier(path), path / "onnx")


def minicpm(path: Path, _: contextlib.ExitStack) -> Any:
    pytest.importorskip("FlagEmbedding", reason="FlagEmbedding is not installed")
    return load(decoders.save_minicpm(path))


def behind_an_api(name: str) -> Callable[[Path, contextlib.ExitStack], Any]:
    def connect(_: Path, stack: contextlib.ExitStack) -> Any:
        api = stack.enter_context(server.Api(formats=rerankers.FORMATS))
        api.judge = rerankers.by_relevance
        url = api.url + server.ROOTS.get(name.partition(":")[0], "")
        reranker = maker_of(name)(name, base_url=url, api_key=hybrid.Secret(server.KEY))
        stack.callback(reranker.close)
        return reranker

    return connect


KINDS: dict[str, Callable[[Path, contextlib.ExitStack], Any]] = {
    "cross-encoder": lambda path, stack: load(classifier(path)),
    "cross-encoder, XLM-RoBERTa": lambda path, stack: load(
        classifiers.bge(classifiers.classify(checkpoints.save_xlm_roberta(path / "xlm")))
    ),
    "onnx": lambda path, stack: load(exported(path)),
    "onnx int8": lambda path, stack: load(exported(path), dtype="int8"),
    "sentence-transformers": lambda path, stack: load(classifier(path), backend="sentence-transformers"),
    "gemma": lambda path, stack: load(decoders.save_gemma(path)),
    "minicpm": minicpm,
    "cohere": behind_an_api("cohere:m"),
    "voyage": behind_an_api("voyage:m"),
    "jina": behind_an_api("jina:m"),
    "tei": behind_an_api("tei:m"),
    "language model": behind_an_api("openai:m"),
}
LISTWISE = {"language model"}
"""Those whose scores are places in a list, and so depend on it."""


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory) -> Iterator[tuple[str, Any]]:
    folder = tmp_path_factory.mktemp("reranker")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setenv("HYBRID_MODELS", str(folder / "cache"))
        yield request.param, KINDS[request.param](folder, stack)


@pytest.fixture
def reranker(made) -> Any:
    return made[1]


@pytest.fixture
def pointwise(made) -> Any:
    if made[0] in LISTWISE:
        pytest.skip("scores are places in the list")
    return made[1]


def documents(texts=TEXTS) -> list[hybrid.Document]:
    return [hybrid.Document(str(n), text) for n, text in enumerate(texts)]


def test_one_finite_number_a_document(reranker):
    assert isinstance(reranker, Reranker)
    scores = reranker.score(QUERY, documents())
    assert isinstance(scores, np.ndarray)
    assert (scores.dtype, scores.shape) == (np.float32, (len(TEXTS),))
    assert np.isfinite(scores).all()
    assert len(set(scores.tolist())) > 1


def test_no_documents(reranker):
    scores = reranker.score(QUERY, [])
    assert (scores.dtype, scores.shape) == (np.float32, (0,))


def test_scores_are_in_the_order_of_the_documents(pointwise):
    order = [3, 0, 6, 5, 2, 4, 1]
    there, here = (pointwise.score(QUERY, documents(texts)) for texts in (TEXTS, [TEXTS[n] for n in order]))
    np.testing.assert_allclose(here, there[order], atol=TOLERANCE)


def test_a_score_does_not_depend_on_the_others(pointwise):
    together = pointwise.score(QUERY, documents())
    alone = np.concatenate([pointwise.score(QUERY, [document]) for document in documents()])
    np.testing.assert_allclose(together, alone, atol=TOLERANCE)


def test_equal_documents_are_equal(pointwise):
    first, other, second = pointwise.score(QUERY, documents(["hello", "world cell", "hello"]))
    assert first == pytest.approx(second, abs=TOLERANCE)
    assert first != pytest.approx(other, abs=1e-7)


def test_the_query_counts(reranker):
    texts = ["hello world", "cell river", "music"]
    found = {
        tuple(reranker.score(query, documents(texts)).tolist()) for query in ("hello", "river", "of", "the")
    }
    assert len(found) > 1


def test_the_title_counts(pointwise):
    titled = [hybrid.Document("1", "cell", title="river"), hybrid.Document("2", "river cell")]
    first, second = pointwise.score(QUERY, titled)
    assert first == pytest.approx(second, abs=TOLERANCE)


def test_asking_again_gives_the_same(reranker):
    first, again = (reranker.score(QUERY, documents()) for _ in range(2))
    assert np.array_equal(first, again)


def test_threads_may_ask_at_once(reranker):
    expected = reranker.score(QUERY, documents())
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(lambda _: reranker.score(QUERY, documents()), range(4)):
            np.testing.assert_allclose(scores, expected, atol=TOLERANCE)


@pytest.mark.parametrize("query", ["", " \n", "the cell of " * 300, "東京 🙂"])
def test_odd_queries(reranker, query):
    assert np.isfinite(reranker.score(query, documents())).all()


def test_what_is_no_text_is_refused(reranker):
    for query, text in (("\ud800", "a"), ("a", "\ud800"), (7, "a"), ("a", None)):
        with pytest.raises(InputError, match=r"lone surrogate|is a (int|NoneType)"):
            reranker.score(query, [hybrid.Document("1", text)])
