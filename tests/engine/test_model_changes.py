"""An index refuses any model but the one it was built with, says what differs, and how to load it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import hybrid
from hybrid.errors import FingerprintError
from tests.encoders.checkpoints import save_bert
from tests.encoders.sentence_folders import save_sentence_model

DOCUMENTS = [hybrid.Document("1", "hello world"), hybrid.Document("2", "the music of the river")]
REVISIONS = ("1" * 40, "2" * 40, "3" * 40)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("model") / "base")


@pytest.fixture(scope="module")
def folder(base, tmp_path_factory):
    return save_sentence_model(base, tmp_path_factory.mktemp("model") / "tiny", prompts={"query": "what is "})


@pytest.fixture(scope="module")
def built(folder, tmp_path_factory):
    """Return a function that builds an index with a model loaded with options, once for each."""
    made = {}

    def build(**options):
        key = repr(sorted(options.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp("built") / "index"
            encoder = hybrid.load_encoder(str(folder), **options)
            pipeline = hybrid.Pipeline([hybrid.Dense("tiny")])
            hybrid.create(made[key], DOCUMENTS, pipeline, encoders={"tiny": encoder}).close()
        return made[key]

    return build


def opened(path, folder, **options):
    return hybrid.open(path, encoders={"tiny": hybrid.load_encoder(str(folder), **options)})


@pytest.mark.parametrize(
    ("then", "now", "name", "values", "remedy"),
    [
        ({}, {"query_prefix": "q "}, "query_prefix", ("'what is '", "'q '"), "query_prefix='what is '"),
        ({}, {"document_prefix": "x"}, "document_prefix", ("''", "'x'"), "document_prefix=''"),
        ({"pooling": "cls"}, {}, "pooling", ("'cls'", "'mean'"), "pooling='cls'"),
        ({"max_tokens": 8}, {}, "max_tokens", ("8", "16"), "max_tokens=8"),
        ({"dimension": 16}, {}, "dimension", ("16", "32"), "dimension=16"),
        ({"dtype": "bfloat16"}, {}, "dtype", ("'bfloat16'", "'float32'"), "dtype='bfloat16'"),
        ({}, {"dtype": "float16"}, "dtype", ("'float32'", "'float16'"), "dtype='float32'"),
    ],
)  # fmt: skip
def test_what_differs_is_said_and_how_to_mend_it(built, folder, then, now, name, values, remedy):
    with pytest.raises(FingerprintError) as caught:
        opened(built(**then), folder, **now)
    message = str(caught.value)
    assert f"\n  {name}: index has {values[0]}, encoder has {values[1]}\n" in message
    assert message.count("index has") == 1  # and nothing else
    assert f"Load it as it was: encoders={{'tiny': hybrid.load_encoder('tiny', {remedy})}}" in message
    with opened(built(**then), folder, **then) as index:  # which is what mends it
        assert index.search("hello world")[0].id == "1"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_same_dtype_opens_whatever_runs_it(built, folder, dtype):
    path = built(dtype=dtype, backend="transformers")
    with opened(path, folder, dtype=dtype, backend="transformers") as index:
        assert index.search("hello world")[0].id == "1"
    if dtype == "float32":
        with opened(path, folder, backend="onnx") as index:
            assert index.search("hello world")[0].id == "1"


def test_a_changed_weight_file_of_the_same_name(folder, built, tmp_path):
    import safetensors.numpy

    changed = shutil.copytree(folder, tmp_path / "tiny")
    weights = safetensors.numpy.load_file(changed / "model.safetensors")
    name = "encoder.layer.1.output.dense.bias"
    weights[name] = np.nextafter(weights[name], np.float32(1))  # less than any probe would show
    safetensors.numpy.save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FingerprintError, match=r"\n  weights: index has '[0-9a-f]{64}', encoder has '"):
        opened(built(), changed)
    with opened(built(), shutil.copytree(folder, tmp_path / "copy" / "tiny")):
        pass  # a copy is the same model


@pytest.fixture
def hub(folder, base, tmp_path, monkeypatch):
    """A hub cache with three revisions: two of the same files, one with other weights. No network."""
    root = tmp_path / "hub" / "models--someone--tiny"
    other = save_bert(tmp_path / "other", seed=1)
    kinds = (folder, folder, save_sentence_model(other, tmp_path / "tiny2", prompts={"query": "what is "}))
    for revision, source in zip(REVISIONS, kinds, strict=True):
        shutil.copytree(source, root / "snapshots" / revision)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(REVISIONS[0])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    from hybrid.encoders import registry

    monkeypatch.setattr(registry, "_loaded", {})
    return "someone/tiny"


def test_a_wrong_revision(hub, tmp_path):
    pipeline = hybrid.Pipeline([hybrid.Dense(hub)])
    encoder = hybrid.load_encoder(hub, revision=REVISIONS[2], backend="transformers")
    assert encoder.fingerprint()["revision"] == REVISIONS[2]
    hybrid.create(tmp_path / "index", DOCUMENTS, pipeline, encoders={hub: encoder}).close()
    with pytest.raises(FingerprintError) as caught:
        hybrid.open(tmp_path / "index", encoders={hub: hybrid.load_encoder(hub, backend="transformers")})
    message = str(caught.value)
    assert f"revision: index has '{REVISIONS[2]}', encoder has '{REVISIONS[0]}'" in message
    assert "weights: index has" in message
    assert f"hybrid.load_encoder('someone/tiny', revision='{REVISIONS[2]}')" in message


def test_another_revision_of_the_same_files_is_the_same_model(hub, tmp_path):
    """A new model card makes a new revision; so does a copy in a folder, which has none."""
    pipeline = hybrid.Pipeline([hybrid.Dense(hub)])
    encoder = hybrid.load_encoder(hub, revision=REVISIONS[0], backend="transformers")
    hybrid.create(tmp_path / "index", DOCUMENTS, pipeline, encoders={hub: encoder}).close()
    again = hybrid.load_encoder(hub, revision=REVISIONS[1], backend="transformers")
    assert again.fingerprint() != encoder.fingerprint()
    hybrid.open(tmp_path / "index", encoders={hub: again}).close()


def test_a_revision_that_is_not_there(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(hybrid.EncoderError, match="'someone/tiny' at revision 'v9' from the"):
        hybrid.load_encoder(hub, revision="v9")
