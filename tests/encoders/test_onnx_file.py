"""Models that bring an ONNX file: against sentence-transformers, and what is refused."""

from __future__ import annotations

import shutil
import warnings

import numpy as np
import onnx
import pytest

import hybrid
from hybrid.encoders import int8
from hybrid.encoders.onnx_bert import OnnxBertEncoder
from hybrid.encoders.onnx_file import OnnxFileEncoder, parts
from hybrid.errors import EncoderError, InputError

TEXTS = ["", "hello", "hello world", "abc def 42", "a b c d e f g h i j k l m n o p q r s t", "ünïcode"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRID_MODELS", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def exported(tiny_folder, torch_world, tmp_path_factory):
    """Return a function that makes a folder with an ONNX file, as optimum writes it, and no other weights."""
    _, torch, transformers = torch_world

    def export(pooling="mean", *, place="onnx/model.onnx", inputs=3, pooled=False, **settings):
        folder = shutil.copytree(tiny_folder(pooling, **settings), tmp_path_factory.mktemp("onnx") / "m")
        names = ["input_ids", "attention_mask", "token_type_ids"][:inputs]

        class Named(torch.nn.Module):
            def __init__(self, model):
                super().__init__()
                self.model = model

            def forward(self, *values):
                states = self.model(**dict(zip(names, values, strict=True))).last_hidden_state
                return states[:, 0] if pooled else states

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
            (folder / place).parent.mkdir(exist_ok=True)
            axes = {name: {0: "batch", 1: "sequence"} for name in names}
            output = "sentence_embedding" if pooled else "last_hidden_state"
            torch.onnx.export(
                Named(model),
                tuple(torch.ones((2, 5), dtype=torch.int64) for _ in names),
                str(folder / place),
                input_names=names,
                output_names=[output],
                dynamic_axes=axes | {output: {0: "batch"} if pooled else {0: "batch", 1: "sequence"}},
                dynamo=False,
            )
        shutil.copy(folder / "model.safetensors", folder.parent / "kept.safetensors")
        (folder / "model.safetensors").unlink()
        return folder

    return export


def vectors(reference, folder, texts=TEXTS):
    """What sentence-transformers gives, with the weights put back."""
    whole = shutil.copytree(folder, folder.parent / "whole", dirs_exist_ok=True)
    shutil.copy(folder.parent / "kept.safetensors", whole / "model.safetensors")
    model = reference(whole)
    return model.encode_query(texts), model.encode_document(texts)


@pytest.mark.parametrize(
    ("pooling", "settings"),
    [
        ("mean", {"prompts": {"query": "q ", "document": "hello "}}),
        ("cls", {"normalize": False, "place": "model.onnx"}),
        ("max", {"inputs": 2}),
        ("lasttoken", {"inputs": 1, "normalize": False}),
    ],
)
def test_it_gives_the_vectors_of_sentence_transformers(exported, reference, pooling, settings):
    folder = exported(pooling, seed=11, **settings)
    encoder = hybrid.load_encoder(str(folder))
    assert isinstance(encoder, OnnxFileEncoder)
    queries, documents = vectors(reference, folder)
    assert encoder.dimension == 32
    np.testing.assert_allclose(encoder.encode_queries(TEXTS).vectors, queries, rtol=0, atol=2e-5)
    batch = encoder.encode_documents(TEXTS)
    np.testing.assert_allclose(batch.vectors, documents, rtol=0, atol=2e-5)
    assert batch.truncated.tolist() == [False, False, False, False, True, False]
    assert encoder.normalized is settings.get("normalize", True)
    assert encoder.fingerprint()["architecture"].endswith("to last_hidden_state")


def test_a_file_that_pools_by_itself_is_believed(exported, reference):
    folder = exported("cls", pooled=True, seed=12)
    encoder = hybrid.load_encoder(str(folder), backend="onnx")
    np.testing.assert_allclose(
        encoder.encode_documents(TEXTS).vectors, vectors(reference, folder)[1], rtol=0, atol=2e-5
    )
    assert encoder.fingerprint()["pooling"] == "in the file"


def test_int8_of_a_file_is_near_it(exported):
    folder = exported(seed=13)
    exact = hybrid.load_encoder(str(folder))
    rounded = hybrid.load_encoder(str(folder), dtype="int8")
    assert rounded.fingerprint() == {**exact.fingerprint(), "dtype": "int8, blocks of 32"}
    a, b = exact.encode_documents(TEXTS).vectors, rounded.encode_documents(TEXTS).vectors
    assert ((a * b).sum(axis=1) > 0.99).all()
    assert not np.array_equal(a, b)
    model = onnx.load(str(folder / "onnx" / "model.onnx"))
    int8.rewrite(model)
    with pytest.raises(EncoderError, match="quantised already"):
        int8.rewrite(model)


def test_weights_beside_the_file_are_found_and_counted(exported):
    folder = exported(seed=14)
    before = hybrid.load_encoder(str(folder))
    path = folder / "onnx" / "model.onnx"
    model = onnx.load(str(path))
    onnx.save_model(
        model, str(path), save_as_external_data=True, location="model.onnx_data", size_threshold=64
    )
    assert [part.name for part in parts(path)] == ["model.onnx", "model.onnx_data"]
    moved = shutil.copytree(folder, folder.parent / "moved")
    after = hybrid.load_encoder(str(moved))
    assert np.array_equal(after.encode_queries(TEXTS).vectors, before.encode_queries(TEXTS).vectors)
    assert after.fingerprint()["weights"] != before.fingerprint()["weights"]
    rounded = hybrid.load_encoder(str(moved), dtype="int8").encode_queries(TEXTS).vectors
    assert ((rounded * before.encode_queries(TEXTS).vectors).sum(axis=1) > 0.99).all()
    (moved / "onnx" / "model.onnx_data").unlink()
    with pytest.raises(EncoderError, match=r"needs model\.onnx_data beside it"):
        parts(moved / "onnx" / "model.onnx")


def test_a_bert_runs_from_its_own_weights_all_the_same(tiny_folder):
    assert isinstance(hybrid.load_encoder(str(tiny_folder()), dtype="int8"), OnnxBertEncoder)


def test_an_input_that_is_not_known_is_refused(exported):
    folder = exported(seed=15)
    path = folder / "onnx" / "model.onnx"
    model = onnx.load(str(path))
    for entry in model.graph.input:
        entry.name = entry.name.replace("token_type_ids", "pixels")
    for node in model.graph.node:
        node.input[:] = [name.replace("token_type_ids", "pixels") for name in node.input]
    onnx.save(model, str(path))
    with pytest.raises(EncoderError, match=r"takes .*pixels tensor\(int64\).*accepted: input_ids"):
        hybrid.load_encoder(str(folder))


def test_outputs_that_are_not_known_are_refused(exported):
    folder = exported(seed=16)
    path = folder / "onnx" / "model.onnx"
    model = onnx.load(str(path))
    model.graph.output.extend([onnx.helper.make_tensor_value_info("other", 1, ["a", "b", 32])])
    model.graph.node.append(onnx.helper.make_node("Neg", ["last_hidden_state"], ["other"]))
    model.graph.node.append(onnx.helper.make_node("Identity", ["last_hidden_state"], ["third"]))
    model.graph.output[0].name = "third"
    onnx.save(model, str(path))
    with pytest.raises(EncoderError, match=r"gives third .*other .*is expected"):
        hybrid.load_encoder(str(folder))


def test_what_is_no_onnx_file_is_refused(exported):
    folder = exported(seed=17)
    (folder / "onnx" / "model.onnx").write_bytes(b"<html>404</html>")
    with pytest.raises(EncoderError, match="cannot"):
        hybrid.load_encoder(str(folder))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, "device is 'cuda'"),
        ({"dtype": "float16"}, "dtype is 'float16'"),
        ({"max_tokens": 41}, "give a whole number from 2 to 40"),
    ],
)
def test_options_that_cannot_be_had_are_refused(exported, options, message):
    with pytest.raises(InputError, match=message):
        hybrid.load_encoder(str(exported(seed=18)), backend="onnx", **options)


def test_int8_needs_onnx_runtime(tiny_folder):
    with pytest.raises(InputError, match="only ONNX Runtime gives"):
        hybrid.load_encoder(str(tiny_folder()), backend="transformers", dtype="int8")
