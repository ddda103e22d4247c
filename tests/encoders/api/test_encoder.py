"""Encoders behind an API: batches, order, limits, windows, names."""

from __future__ import annotations

import base64
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import hybrid
from hybrid import InputError
from hybrid.encoders import check_probe, probe, registry, tolerance_of
from hybrid.encoders.api import connect
from hybrid.remote import Limits
from tests.remote.server import KEY, Api, changed, packed, vector

SIDES = {
    "openai:text-x": ("", ""),
    "cohere:embed-x": ("search_document", "search_query"),
    "voyage:voyage-x": ("document", "query"),
    "jina:jina-embeddings-v3": ("retrieval.passage", "retrieval.query"),
    "jina:jina-embeddings-v2-base-en": ("", ""),
    "tei:anything": ("", ""),
}


def rows(texts, side="", dimension=8):
    return np.stack([vector(text, side, dimension) for text in texts])


@pytest.fixture(params=SIDES)
def name(request):
    return request.param


def same(found, wanted):
    """Vectors that went through decimal numbers, and were scaled to length 1 again."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-7)


def test_each_side_in_order(api, encoder, name):
    texts = [f"text {n}" for n in range(300)]
    model = encoder(name)
    same(model.encode_documents(texts).vectors, rows(texts, SIDES[name][0]))
    assert len(api.seen) > 2
    same(model.encode_queries(texts[:3]).vectors, rows(texts[:3], SIDES[name][1]))
    assert api.seen[0][1]["Authorization"] == f"Bearer {KEY}"


def test_a_dimension_is_asked_for(api, encoder, name):
    model = encoder(name, dimension=5)
    assert model.dimension == 5
    assert api.seen == []
    same(model.encode_documents(["a"]).vectors, rows(["a"], SIDES[name][0], 5))


def test_an_unknown_dimension_is_learnt_once(api, encoder, name):
    model = encoder(name)
    assert model.dimension == model.dimension == 8
    assert len(api.seen) == 1
    assert model.fingerprint()["dimension"] == 8


def test_long_texts_are_cut_and_flagged(api, encoder, name):
    api.window = 20
    texts = [
        "short",
        " ".join(f"w{n}" for n in range(50)),
        "another",
        " ".join(f"v{n}" for n in range(21)),
        "x",
    ]
    model = encoder(name)
    batch = model.encode_documents(texts)
    assert batch.truncated.tolist() == [False, True, False, True, False]
    kept = [" ".join(text.split()[:20]) for text in texts]
    same(batch.vectors[[0, 2, 4]], rows(texts, SIDES[name][0])[[0, 2, 4]])
    if name != "openai:text-x":  # which cannot be asked to cut
        same(batch.vectors, rows(kept, SIDES[name][0]))
    alone = model.encode_documents([texts[1]])
    assert np.array_equal(alone.vectors[0], batch.vectors[1])


def test_openai_texts_keep_most_of_what_fits(api, encoder):
    api.window = 100
    encoder().encode_documents(["lo " * 400])
    accepted = api.bodies[-1]["input"][0].split()
    assert 60 <= len(accepted) <= 100


def test_a_batch_that_the_server_finds_too_large_is_halved(api, encoder):
    api.most = 3
    texts = [f"t{n}" for n in range(10)]
    batch = encoder().encode_documents(texts)
    same(batch.vectors, rows(texts))
    assert not batch.truncated.any()


def test_blank_and_repeated_texts(api, encoder, name):
    model = encoder(name)
    batch = model.encode_documents(["", "same", " \n", "same"])
    same(batch.vectors, rows([".", "same", ".", "same"], SIDES[name][0]))
    sent = next(value for value in api.bodies[0].values() if isinstance(value, list) and "same" in value)
    assert sent.count("same") == 1
    assert model.encode_documents([]).vectors.shape == (0, 8)


def test_batches_by_count_and_by_tokens(api, encoder):
    model = encoder(batch_texts=4, batch_tokens=10, limits=Limits(concurrency=1))
    model.encode_documents(["a" * 15, "b" * 15, "c", "d" * 60, "e", "f", "g", "h", "i"])
    assert [[len(text) for text in body["input"]] for body in api.bodies] == [
        [15, 15],
        [1],
        [60],
        [1] * 4,
        [1],
    ]


def test_concurrency_is_bounded_and_progress_grows(api, encoder):
    api.delay = 0.03
    told = []
    texts = [f"t{n}" for n in range(12)]
    model = encoder(batch_texts=1, limits=Limits(concurrency=3))
    batch = model.encode_documents(texts, lambda *said: told.append(said))
    same(batch.vectors, rows(texts))
    assert api.busiest == 3
    assert [done for _, done, _ in told] == list(range(13))
    assert {(stage, total) for stage, _, total in told} == {("encode some-model", 12)}


def test_many_threads_share_the_bound(api, encoder):
    api.delay = 0.01
    model = encoder(batch_texts=1, limits=Limits(concurrency=2))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: model.encode_queries([f"q{n}"]).vectors[0], range(24)))
    same(np.stack(found), rows([f"q{n}" for n in range(24)]))
    assert api.busiest == 2


def test_connections_are_kept(api, encoder):
    ports = set()
    handle = api.http.RequestHandlerClass.answer

    def answer(self, body):
        ports.add(self.client_address[1])
        return handle(self, body)

    api.http.RequestHandlerClass.answer = answer
    model = encoder(limits=Limits(concurrency=1))
    for n in range(5):
        model.encode_queries([f"q{n}"])
    assert len(ports) == 1


def test_both_encodings_give_the_same(encoder):
    texts = ["one", "two"]
    found = [encoder(encoding=kind).encode_documents(texts).vectors for kind in ("float", "base64")]
    same(*found)


def test_a_silent_window_is_flagged_by_estimate(encoder):
    batch = encoder(max_tokens=10).encode_documents(["a" * 30, "a" * 31])
    assert batch.truncated.tolist() == [False, True]


def test_vectors_have_length_one(api, encoder):
    def double(answer):
        for item in answer["data"]:
            item["embedding"] = packed(2 * vector("a"))

    api.faults.append(changed(double))
    same(encoder().encode_documents(["a"]).vectors, rows(["a"]))


def test_prefixes_of_a_known_model(api, encoder):
    encoder("openai:intfloat/e5-base-v2").encode_queries(["cells"])
    assert api.bodies[-1]["input"] == ["query: cells"]
    encoder("openai:mine", family="e5-base-v2").encode_documents(["cells"])
    assert api.bodies[-1]["input"] == ["passage: cells"]
    encoder("openai:mine", query_prefix="Q ").encode_queries(["cells"])
    assert api.bodies[-1]["input"] == ["Q cells"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"timeout": 0}, "timeout is 0"),
        ({"batch_texts": 0}, "batch_texts is 0"),
        ({"encoding": "int8"}, "encoding is 'int8'; accepted: 'base64', 'float'"),
        ({"family": "nothing"}, "family is 'nothing'"),
        ({"base_url": "ftp://example.com"}, "base_url is not an address"),
    ],
)
def test_options_are_checked(encoder, options, told):
    with pytest.raises(InputError, match=told):
        encoder(**options)


# --- through the registry and an index -----------------------------------------------------------------


@pytest.fixture
def loaded(monkeypatch):
    """A registry of its own; connections end with the test."""
    monkeypatch.setattr(registry, "_loaded", {})
    yield registry._loaded
    for model in registry._loaded.values():
        model.close()


def test_names_resolve(api, loaded, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    model = hybrid.load_encoder("openai:m", base_url=api.url, dimension=4)
    assert model is hybrid.load_encoder("openai:m", base_url=api.url, dimension=4)
    same(model.encode_documents(["a"]).vectors, rows(["a"], dimension=4))
    with pytest.raises(InputError, match="accepted options: base_url, dimension"):
        hybrid.load_encoder("openai:m", base_url=api.url, dtype="float16")
    with pytest.raises(InputError, match="base_url is for models behind an API"):
        hybrid.load_encoder("minilm", base_url=api.url)


def test_dimensions_that_are_known(loaded, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert hybrid.load_encoder("openai:text-embedding-3-small").dimension == 1536


def test_an_index_by_name_alone(api, loaded, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", api.url)
    documents = [hybrid.Document(f"d{n}", f"text {n}") for n in range(5)]
    pipeline = hybrid.Pipeline([hybrid.BM25(), hybrid.Dense("openai:m")], fusion=hybrid.RRF())
    hybrid.create(tmp_path / "i", documents, pipeline=pipeline).close()
    with hybrid.open(tmp_path / "i") as index:
        assert index.search("text 3", k=1).hits[0].id == "d3"
        assert index.retrieve("text 2", branch="dense", k=1).ids == ["d2"]


def test_another_model_under_the_name_is_refused(encoder, tmp_path):
    documents = [hybrid.Document("d", "text")]
    pipeline = hybrid.Pipeline([hybrid.Dense("openai:m")])
    hybrid.create(tmp_path / "i", documents, pipeline=pipeline, encoders={"openai:m": encoder()}).close()
    other = encoder(query_prefix="query: ")
    with pytest.raises(hybrid.FingerprintError, match="query_prefix: index has '', encoder has 'query: '"):
        hybrid.open(tmp_path / "i", encoders={"openai:m": other}).search("text")


def test_noise_of_an_api_is_no_drift_and_another_model_is(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def noisy(size):
        random = np.random.default_rng(0)

        def change(answer):
            for item in answer["data"]:
                row = np.frombuffer(base64.b64decode(item["embedding"]), "<f4")
                item["embedding"] = (row + size * random.standard_normal(8)).tolist()

        return changed(change)

    with Api(key=None) as api, contextlib.closing(connect("openai:m", base_url=api.url)) as model:
        stored = probe(model)
        assert "Authorization" not in api.seen[0][1]
        api.fault_for = lambda _: noisy(1e-3)
        check_probe(stored, model, tolerance_of(model.fingerprint()))
        api.fault_for = lambda _: noisy(3e-1)
        with pytest.raises(hybrid.FingerprintError):
            check_probe(stored, model, tolerance_of(model.fingerprint()))


def test_limits_hold_over_the_wire(api, encoder, monkeypatch):
    from hybrid.remote import limiter

    monkeypatch.setattr(limiter.Limiter.__init__, "__defaults__", (0.5, time.monotonic))
    model = encoder(batch_texts=1, limits=Limits(requests_per_minute=4, concurrency=3))
    start = time.monotonic()
    model.encode_documents([f"t{n}" for n in range(9)])
    assert 1.0 <= time.monotonic() - start < 30
