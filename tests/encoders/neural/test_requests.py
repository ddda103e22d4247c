"""Models by their folder's path, whatever they give; options that mean nothing to them are refused."""

from __future__ import annotations

import pytest

import hybrid
from hybrid.encoders.neural.bge_m3 import BgeM3
from hybrid.encoders.neural.colbert import Colbert
from hybrid.encoders.neural.splade import Splade
from hybrid.encoders.sources import missing
from hybrid.errors import EncoderError, InputError
from tests.encoders.checkpoints import (
    save_bert,
    save_bge_m3,
    save_inference_free,
    save_multivector,
    save_opensearch_doc,
    save_pylate,
    save_splade,
    save_stanford_colbert,
)

LAYOUTS = {
    "bge-m3": (save_bge_m3, BgeM3),
    "splade": (save_splade, Splade),
    "inference-free": (save_inference_free, Splade),
    "opensearch": (save_opensearch_doc, Splade),
    "stanford": (save_stanford_colbert, Colbert),
    "pylate": (save_pylate, Colbert),
    "multivector": (lambda folder: save_multivector(folder, expansion=None), Colbert),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_is_known_by_its_files(tmp_path, name):
    save, kind = LAYOUTS[name]
    folder = save(tmp_path / name)
    encoder = hybrid.load_encoder(str(folder), device="cpu")
    assert type(encoder) is kind
    assert encoder.fingerprint()["model"] == folder.name
    assert hybrid.load_encoder(str(folder), device="cpu") is encoder
    assert missing(folder) == []
    narrow = hybrid.load_encoder(str(folder), device="cpu", dtype="bfloat16", max_tokens=8)
    assert (narrow.fingerprint()["dtype"], narrow.fingerprint()["max_tokens"]) == ("bfloat16", 8)
    with pytest.raises(InputError, match="pooling is 'mean', which a model that gives"):
        hybrid.load_encoder(str(folder), device="cpu", pooling="mean")
    with pytest.raises(InputError, match=r"backend is 'onnx'; a model that gives .* runs with: transformers"):
        hybrid.load_encoder(str(folder), backend="onnx")


def test_a_plain_folder_is_what_its_family_is(tmp_path):
    folder = save_bert(tmp_path / "mine", mlm=True)
    encoder = hybrid.load_encoder(str(folder), device="cpu", family="splade-v3", max_tokens=40)
    assert type(encoder) is Splade
    third = "opensearch-project/opensearch-neural-sparse-encoding-doc-v3-distill"
    again = hybrid.load_encoder(
        str(save_opensearch_doc(tmp_path / "doc")), device="cpu", family=third, max_tokens=40
    )
    assert again.fingerprint()["activation"] == "log1p_relu"


def test_bge_m3_runs_on_flagembedding_when_asked_to(tmp_path):
    folder = save_bge_m3(tmp_path / "m3")
    ours = hybrid.load_encoder(str(folder), device="cpu")
    theirs = hybrid.load_encoder(str(folder), device="cpu", backend="flagembedding")
    assert theirs is not ours
    assert theirs.fingerprint() == ours.fingerprint()


def test_pylate_is_asked_only_for_what_it_can_run(tmp_path):
    projected = save_stanford_colbert(tmp_path / "projected")
    with pytest.raises(
        hybrid.MissingDependencyError, match=r"'pylate' is needed for .*hybrid-retrieval\[pylate\]"
    ):
        hybrid.load_encoder(str(projected), backend="pylate", device="cpu")
    plain = save_bert(tmp_path / "plain")
    with pytest.raises(EncoderError, match="has no projection, and PyLate would give it a random one"):
        hybrid.load_encoder(str(plain), backend="pylate", device="cpu", family="colbertv2.0")
    with pytest.raises(InputError, match="dtype is 'int8', which only ONNX"):
        hybrid.load_encoder(str(projected), backend="pylate", dtype="int8")


def test_a_router_without_its_modules_is_incomplete(tmp_path):
    folder = save_inference_free(tmp_path / "router")
    (folder / "document_1_SpladePooling/config.json").unlink()
    assert missing(folder) == ["document_1_SpladePooling/config.json"]
    with pytest.raises(EncoderError, match="cannot read"):
        hybrid.load_encoder(str(folder), device="cpu")
