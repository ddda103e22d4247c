"""The safetensors file: its table of tensors, damage, and the digest."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hybrid.encoders import weights
from hybrid.encoders.onnx_bert import OnnxBertEncoder
from hybrid.encoders.weights import file_digest, stored_tensors
from hybrid.errors import EncoderError


def test_the_table_finds_the_numbers_that_the_library_finds(tmp_path):
    path = tmp_path / "model.safetensors"
    rng = np.random.default_rng(0)
    tensors = {
        "b": rng.normal(size=(3, 5)).astype(np.float32),
        "a": np.float32([7]),
        "none": np.zeros((0, 4), "f4"),
    }
    save_file(
        tensors | {"ids": np.arange(4), "half": np.zeros(3, np.float16)}, path, metadata={"format": "pt"}
    )
    content = path.read_bytes()
    table = stored_tensors(path)
    assert sorted(table) == ["a", "b", "none"]
    for name, tensor in table.items():
        found = np.frombuffer(content[tensor.offset : tensor.offset + tensor.length], np.float32)
        assert np.array_equal(found.reshape(tensor.shape), tensors[name])


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder(), tmp_path / "tiny")


@pytest.mark.parametrize("keep", [0, 7, 8, 100, -4, -1])
def test_a_file_cut_short_is_refused(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(EncoderError, match="damaged") as caught:
        OnnxBertEncoder.from_folder(folder)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("header", [b"[]", b"{'", b'{"x": 1}', b'{"x": {"dtype": "F32", "shape": [2]}}'])
def test_a_malformed_header_is_refused(tmp_path, header):
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(EncoderError, match="damaged"):
        stored_tensors(path)


@pytest.mark.parametrize("offsets", [[0, 4], [4, 12], [-8, 0], [8, 0]])
def test_a_tensor_outside_the_file_is_refused(tmp_path, offsets):
    path = tmp_path / "model.safetensors"
    header = json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": offsets}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(EncoderError, match="'x'"):
        stored_tensors(path)


def test_weights_of_another_type_or_shape_are_refused(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({name: value.astype(np.float16) for name, value in tensors.items()}, path)
    with pytest.raises(EncoderError, match="no float32 tensor of that name for 'embeddings"):
        OnnxBertEncoder.from_folder(folder)
    name = "encoder.layer.1.output.dense.weight"
    save_file(tensors | {name: np.zeros((32, 47), np.float32)}, path)
    with pytest.raises(EncoderError, match=r"shape \(32, 47\) for 'encoder.layer.1.output.dense.weight'"):
        OnnxBertEncoder.from_folder(folder)


def test_names_may_carry_the_prefix_of_a_larger_model(folder):
    expected = OnnxBertEncoder.from_folder(folder).encode_documents(["abc"]).vectors
    path = folder / "model.safetensors"
    save_file({f"bert.{name}": value for name, value in load_file(path).items()}, path)
    assert np.array_equal(OnnxBertEncoder.from_folder(folder).encode_documents(["abc"]).vectors, expected)


def test_the_digest_is_blake2b_over_the_whole_file(tmp_path):
    path = tmp_path / "file"
    content = np.random.default_rng(1).bytes((1 << 20) + 12345)
    path.write_bytes(content)
    assert file_digest(path) == hashlib.blake2b(content, digest_size=32).hexdigest()


def test_the_digest_is_remembered_until_the_file_changes(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    before = file_digest(path)
    monkeypatch.setattr(weights.hashlib, "blake2b", None)  # hashing again would fail
    assert file_digest(path) == before
    monkeypatch.undo()
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert file_digest(path) == hashlib.blake2b(b"two", digest_size=32).hexdigest() != before


def test_a_missing_file_is_an_encoder_error(tmp_path):
    with pytest.raises(EncoderError, match="nothing"):
        file_digest(tmp_path / "nothing")
    with pytest.raises(EncoderError, match="nothing"):
        stored_tensors(tmp_path / "nothing")
