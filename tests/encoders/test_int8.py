"""Products of 8 bits: the arithmetic by hand, what they lose, and the folder that keeps them."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from hybrid.encoders import int8
from hybrid.encoders.onnx_bert import OnnxBertEncoder
from hybrid.errors import EncoderError, InputError

TEXTS = ["", "hello", "hello world", "abc def 42", "a b c d e f g h i j k l m n o p q r s t", "!?"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRID_MODELS", str(tmp_path / "cache"))
    return tmp_path / "cache" / "int8"


def test_blocks_worked_by_hand():
    row = np.zeros(40, np.float32)
    row[:3] = [1.27, -0.635, 0.004]
    row[32:34] = [254, -3]
    numbers, scales = int8.blocks(row[None])
    assert numbers.shape == (1, 2, 32)
    np.testing.assert_allclose(scales, [[0.01, 2]], rtol=1e-6)
    assert numbers[0, 0, :4].tolist() == [255, 64, 128, 128]  # -63.5 steps go to the even neighbour
    assert numbers[0, 1, :3].tolist() == [255, 126, 128]  # -1.5 steps go to -2
    assert (numbers[0, 1, 8:] == 128).all()
    zeros, scale = int8.blocks(np.zeros((2, 32), np.float32))
    assert (zeros == 128).all()
    assert (scale == 0).all()


def products(*nodes, **arrays):
    return helper.make_model(
        helper.make_graph(
            list(nodes),
            "products",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 48])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(array, name) for name, array in arrays.items()],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )


def run(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize(
    ("node", "shape", "bias"),
    [
        (helper.make_node("MatMul", ["x", "w"], ["y"]), (48, 64), False),
        (helper.make_node("Gemm", ["x", "w"], ["y"]), (48, 64), False),
        (helper.make_node("Gemm", ["x", "w", "b"], ["y"]), (48, 64), True),
        (helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1), (64, 48), True),
    ],
)
def test_a_product_is_that_of_the_rounded_matrix(node, shape, bias):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(5, 48)).astype("f4"), rng.normal(size=shape).astype("f4")
    b = {"b": rng.normal(size=64).astype("f4")} if bias else {}
    model = products(node, w=w, **b)
    exact = run(model, x)
    int8.rewrite(model)
    assert [n.op_type for n in model.graph.node] == ["MatMulNBits"]
    found = run(model, x)
    error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert 1e-4 < error < 1e-2  # 8 bits in each block: about 127 steps


def test_other_operations_stay_and_a_matrix_used_twice_is_turned_once():
    w = np.random.default_rng(1).normal(size=(48, 48)).astype("f4")
    model = products(
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["c"]),
        helper.make_node("Add", ["c", "w"], ["y"]),
        w=w,
    )
    int8.rewrite(model)
    assert [n.op_type for n in model.graph.node] == ["MatMulNBits", "Relu", "MatMulNBits", "Add"]
    assert sorted(t.name for t in model.graph.initializer) == [
        "w",
        "w.columns.int8",
        "w.columns.scales",
    ]


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Gemm", ["x", "w"], ["y"], alpha=0.5),
        helper.make_node("Gemm", ["w", "x"], ["y"]),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ],
)
def test_a_model_without_plain_products_is_refused(node):
    model = products(node, w=np.ones((48, 48), np.float32))
    with pytest.raises(EncoderError, match="no product with a constant float32 matrix"):
        int8.rewrite(model)


def test_int8_is_near_float32_and_says_what_it_is(tiny_folder):
    folder = tiny_folder(seed=3)
    exact, rounded = OnnxBertEncoder.from_folder(folder), OnnxBertEncoder.from_folder(folder, dtype="int8")
    a, b = exact.encode_documents(TEXTS).vectors, rounded.encode_documents(TEXTS).vectors
    cosines = (a * b).sum(axis=1)
    assert (cosines > 0.99).all()
    assert not np.array_equal(a, b)
    assert rounded.fingerprint() == {**exact.fingerprint(), "dtype": "int8, blocks of 32"}


def test_the_bundled_model_loses_little(bundled_folder, minilm):
    texts = ["The cat sat on the mat.", "error E-4021 in parse_header()", "how does a cell divide? " * 20]
    rounded = OnnxBertEncoder.from_folder(bundled_folder, dtype="int8")
    cosines = (rounded.encode_documents(texts).vectors * minilm.encode_documents(texts).vectors).sum(axis=1)
    assert (cosines > 0.998).all()
    assert (cosines < 0.99999).any()


def test_a_vector_does_not_depend_on_the_texts_beside_it(tiny_folder, monkeypatch):
    texts = [f"{word} {n}" for n in range(20) for word in ("hello", "world", "a b c", "hello " * 9)]
    vectors = []
    for threads in ("1", "2"):
        monkeypatch.setenv("HYBRID_THREADS", threads)
        encoder = OnnxBertEncoder.from_folder(tiny_folder(seed=4), dtype="int8")
        vectors.append(encoder.encode_documents(texts).vectors)
        vectors.append(np.concatenate([encoder.encode_queries([text]).vectors for text in texts]))
    for other in vectors[1:]:
        assert np.array_equal(vectors[0], other)


def test_weights_may_be_links(tiny_folder, cache, tmp_path):
    """As installers share files, and the hub's cache does."""
    whole = tiny_folder(seed=5)
    expected = OnnxBertEncoder.from_folder(whole, dtype="int8").encode_queries(["hello"]).vectors
    for kind in ("hard", "symbolic"):
        shutil.rmtree(cache, ignore_errors=True)
        folder = tmp_path / kind
        shutil.copytree(whole, folder)
        weights = folder / "model.safetensors"
        weights.rename(tmp_path / f"{kind}.safetensors")
        if kind == "hard":
            weights.hardlink_to(tmp_path / f"{kind}.safetensors")
        else:
            weights.symlink_to(tmp_path / f"{kind}.safetensors")
        found = OnnxBertEncoder.from_folder(folder, dtype="int8").encode_queries(["hello"]).vectors
        assert (found == expected).all()


@pytest.mark.parametrize(
    ("about", "said"),
    [({"location": "../w"}, "outside"), ({"location": "w", "offset": "4", "length": "8"}, "ends before")],
)
def test_weights_that_are_not_there_are_refused(tmp_path, about, said):
    (tmp_path / "w").write_bytes(bytes(8))
    tensor = TensorProto(name="w", dims=[1, 2], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in about.items():
        tensor.external_data.add(key=key, value=value)
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor]))
    with pytest.raises(EncoderError, match=said):
        int8._make(model.SerializeToString(), tmp_path, tmp_path / "kept")


def test_it_is_made_once_and_kept_by_content(tiny_folder, cache, monkeypatch):
    folder = tiny_folder(seed=5)
    first = OnnxBertEncoder.from_folder(folder, dtype="int8").encode_documents(TEXTS).vectors
    (kept,) = cache.iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["model.onnx", "model.onnx.data"]
    with monkeypatch.context() as patch:
        patch.setattr(int8, "rewrite", None)  # making it again would fail
        again = OnnxBertEncoder.from_folder(folder, dtype="int8").encode_documents(TEXTS).vectors
    assert np.array_equal(first, again)
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    OnnxBertEncoder.from_folder(folder, dtype="int8")
    assert len(list(cache.iterdir())) == 2


def test_two_processes_may_make_the_same(tiny_folder, cache, monkeypatch):
    folder = tiny_folder(seed=6)
    rewrite = int8.rewrite

    def slow(model):
        rewrite(model)
        monkeypatch.setattr(int8, "rewrite", rewrite)
        OnnxBertEncoder.from_folder(folder, dtype="int8")  # the other one is faster

    monkeypatch.setattr(int8, "rewrite", slow)
    OnnxBertEncoder.from_folder(folder, dtype="int8")
    assert len(list(cache.iterdir())) == 1


def test_a_failure_leaves_nothing_behind(tiny_folder, cache, monkeypatch):
    monkeypatch.setattr(onnx, "save_model", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(EncoderError, match="disk full; set HYBRID_MODELS"):
        OnnxBertEncoder.from_folder(tiny_folder(seed=7), dtype="int8")
    assert list(cache.iterdir()) == []


def test_another_dtype_is_refused(tiny_folder):
    with pytest.raises(InputError, match="dtype is 'int4'"):
        OnnxBertEncoder.from_folder(tiny_folder(), dtype="int4")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HYBRID_MODELS": "/c"}, "/c"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/hybrid"),
        ({"HOME": "/h"}, "/h/.cache/hybrid"),
    ],
)
def test_where_the_cache_is(monkeypatch, variables, expected):
    for name in ("HYBRID_MODELS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(int8.cache_folder()) == expected
