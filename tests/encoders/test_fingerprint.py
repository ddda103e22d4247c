"""Telling whether an encoder is the one that an index was built with."""

import shutil
from dataclasses import dataclass

import numpy as np
import pytest

from hybrid.encoders import check_probe, differences, probe
from hybrid.encoders.fingerprint import PROBE_DOCUMENTS, PROBE_QUERY, drift
from hybrid.encoders.onnx_bert import OnnxBertEncoder
from hybrid.errors import FingerprintError
from hybrid.types import DenseBatch


@dataclass
class Altered:
    """An encoder whose vectors are changed on the way out."""

    inner: OnnxBertEncoder
    change: object
    dimension: int = 384
    normalized: bool = True

    def fingerprint(self):
        return self.inner.fingerprint()

    def encode_documents(self, texts, progress=None):
        batch = self.inner.encode_documents(texts)
        return DenseBatch(self.change(batch.vectors), batch.truncated)

    def encode_queries(self, texts):
        return self.inner.encode_queries(texts)


def test_equal_fingerprints_do_not_differ():
    assert differences({"a": 1, "b": "x"}, {"b": "x", "a": 1}) == []


def test_each_difference_is_one_line_in_the_order_of_names():
    stored = {"pooling": "mean", "dimension": 384, "old": True, "normalize": True}
    current = {"normalize": 1, "pooling": "cls", "dimension": 384, "new": "nothing"}
    assert differences(stored, current) == [
        "new: index has nothing, encoder has 'nothing'",
        "normalize: index has True, encoder has 1",
        "old: index has True, encoder has nothing",
        "pooling: index has 'mean', encoder has 'cls'",
    ]


def test_the_fingerprint_names_everything_that_decides_the_vectors(minilm):
    fingerprint = minilm.fingerprint()
    assert {key: value for key, value in fingerprint.items() if key not in ("weights", "tokenizer")} == {
        "model": "all-MiniLM-L6-v2",
        "architecture": "bert, 6 layers, 12 heads, gelu, epsilon 1e-12",
        "pooling": "mean",
        "normalize": True,
        "query_prefix": "",
        "document_prefix": "",
        "max_tokens": 256,
        "dimension": 384,
        "dtype": "float32",
    }
    assert len(fingerprint["weights"]) == len(fingerprint["tokenizer"]) == 64


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def rename_a_token(path):
    path.write_text(path.read_text().replace('"hello"', '"hullo"'))


CHANGES = {
    "weights": ("model.safetensors", flip_last_byte),
    "tokenizer": ("tokenizer.json", rename_a_token),
    "pooling": ("1_Pooling/config.json", {"pooling_mode": "cls"}),
    "max_tokens": ("tokenizer_config.json", {"model_max_length": 9}),
    "architecture": ("config.json", {"num_attention_heads": 8}),
    "query_prefix": ("config_sentence_transformers.json", {"prompts": {"query": "q: "}}),
    "document_prefix": ("config_sentence_transformers.json", {"prompts": {"document": "d: "}}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_one_change_changes_that_one_entry(tiny_folder, edit, tmp_path, what):
    folder = shutil.copytree(tiny_folder(), tmp_path / "tiny")
    before = OnnxBertEncoder.from_folder(folder).fingerprint()
    file, change = CHANGES[what]
    if callable(change):
        change(folder / file)
    else:
        edit(folder / file, **change)
    after = OnnxBertEncoder.from_folder(folder).fingerprint()
    assert [line.partition(":")[0] for line in differences(before, after)] == [what]


def test_the_same_files_elsewhere_have_the_same_fingerprint(tiny_folder, tmp_path):
    folder = tiny_folder()
    copy = shutil.copytree(folder, tmp_path / "tiny")
    first, second = (OnnxBertEncoder.from_folder(path).fingerprint() for path in (folder, copy))
    assert differences(first, second) == []


def test_probes_are_the_documents_and_then_the_query(minilm):
    vectors = probe(minilm)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors[:-1], minilm.encode_documents(PROBE_DOCUMENTS).vectors)
    assert np.array_equal(vectors[-1:], minilm.encode_queries([PROBE_QUERY]).vectors)
    assert minilm.encode_documents(PROBE_DOCUMENTS).truncated.tolist() == [False, False, False, True]
    check_probe(vectors, minilm, tolerance=0)


def test_torch_in_float32_is_no_drift_and_lower_precision_is(minilm, bundled_folder, reference, torch_world):
    model = reference(bundled_folder)
    texts = [*PROBE_DOCUMENTS, PROBE_QUERY]
    check_probe(model.encode(texts), minilm)
    model.bfloat16()
    with pytest.raises(FingerprintError, match="drifted"):
        check_probe(model.encode(texts, convert_to_tensor=True).float().numpy(), minilm)


def test_weights_rounded_to_int8_are_drift(minilm, bundled_folder, reference, torch_world):
    model, torch = reference(bundled_folder), torch_world[1]
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.Linear):
                step = layer.weight.abs().amax(1, keepdim=True) / 127
                layer.weight.copy_((layer.weight / step).round() * step)
    with pytest.raises(FingerprintError):
        check_probe(model.encode([*PROBE_DOCUMENTS, PROBE_QUERY]), minilm)


def test_another_pooling_is_drift_on_every_probe(minilm, bundled_folder, edit, tmp_path):
    folder = shutil.copytree(bundled_folder, tmp_path / "cls")
    edit(folder / "1_Pooling" / "config.json", pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
    with pytest.raises(FingerprintError) as caught:
        check_probe(probe(minilm), OnnxBertEncoder.from_folder(folder))
    assert str(caught.value).count("the document ") == len(PROBE_DOCUMENTS)
    assert f"the query {PROBE_QUERY!r}" in str(caught.value)


def test_the_message_names_the_probe_and_how_far_it_drifted(minilm):
    def turn(vectors):
        turned = vectors.copy()
        turned[1] = -turned[1]  # cosine -1: a distance of 2
        return turned

    with pytest.raises(FingerprintError) as caught:
        check_probe(probe(minilm), Altered(minilm, turn))
    message = str(caught.value)
    assert "the document 'Größe und Maß: 東京タワー" in message
    assert "by 2 in cosine and 0 in length" in message
    assert "The cat sat" not in message
    assert "tolerance 1e-05" in message


def test_a_change_of_length_is_drift(minilm):
    with pytest.raises(FingerprintError, match=r"by 0 in cosine and 0\.5 in length"):
        check_probe(probe(minilm), Altered(minilm, lambda vectors: vectors * np.float32(2)))


def test_nan_and_another_shape_are_drift(minilm):
    vectors = probe(minilm)
    with pytest.raises(FingerprintError, match=r"\(5, 384\), the encoder gives|shape \(5, 383\)"):
        check_probe(vectors[:, :-1], minilm)
    broken = vectors.copy()
    broken[2, 0] = np.nan
    with pytest.raises(FingerprintError, match="E-4021"):
        check_probe(broken, minilm)


def test_drift_on_hand_worked_vectors():
    old = np.float32([[1, 0], [3, 4], [0, 0], [0, 0]])
    new = np.float32([[0, 2], [3, 4], [0, 0], [1, 0]])
    cosine, length = drift(old, new)
    assert cosine.tolist() == [1.0, 0.0, 0.0, 0.5]
    assert length.tolist() == [0.5, 0.0, 0.0, 1.0]
