"""A model in several processes: the same as alone, in order, and what happens when one fails or dies."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

import hybrid
from hybrid.batches import DenseBatch, Encoded, SparseBatch
from hybrid.encoders import Model, Pool
from hybrid.errors import EncoderError, InputError

TEXTS = [f"{word} {n} " + "a " * (n % 7) for n in range(60) for word in ("hello", "world", "abc")]


class Joint:
    """Two representations that tell which text and which process made them."""

    representations = ("dense", "sparse")
    dimension, normalized, vocabulary = 2, False, ("x", "y")

    def __init__(self, device):
        self.device = device

    def fingerprint(self):
        return {"model": "joint"}

    def encode(self, texts, side, representations, progress=None):
        if "bad" in texts:
            raise EncoderError("cannot encode 'bad'")
        if "strange" in texts:
            raise RuntimeError("out of something")
        if "suicide" in texts:
            os.kill(os.getpid(), signal.SIGKILL)
        if "print" in texts:
            print("noise on standard output")
        n = len(texts)
        dense = np.array([[len(text), side == "query"] for text in texts], np.float32).reshape(n, 2)
        none = np.zeros(n, np.bool_)
        sparse = SparseBatch(np.arange(n + 1), np.zeros(n, np.int32), dense[:, 0] + 1, none)
        return Encoded(dense=DenseBatch(dense, none), sparse=sparse)


def make(device):
    return Joint(device)


def differing(device):
    encoder = Joint(device)
    encoder.dimension = int(device)
    return encoder


def unfit(device):
    return object()


@pytest.fixture(scope="module")
def joint():
    with Pool(make, 2) as pool:
        yield pool


def test_a_pool_gives_what_the_model_gives_in_order(tiny_folder):
    folder = str(tiny_folder(seed=21))
    alone = hybrid.load_encoder(folder)
    calls = []
    with Pool(folder, 2) as pool:
        batch = pool.encode_documents([*TEXTS, TEXTS[0]], lambda *call: calls.append(call))
        expected = alone.encode_documents([*TEXTS, TEXTS[0]])
        assert np.array_equal(batch.vectors, expected.vectors)
        assert batch.truncated.tolist() == expected.truncated.tolist()
        assert np.array_equal(pool.encode_queries(["b"]).vectors, alone.encode_queries(["b"]).vectors)
        assert pool.encode_documents([]).vectors.shape == (0, 32)
        assert pool.fingerprint() == alone.fingerprint()
        assert (pool.dimension, pool.normalized) == (32, True)
        assert Model.of("pool", pool).representations == ("dense",)
    assert calls[0] == ("encode", 0, 181)
    assert calls[-1] == ("encode", 181, 181)


def test_options_reach_the_processes_and_an_index_takes_the_pool(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRID_MODELS", str(tmp_path / "cache"))
    folder = str(tiny_folder(seed=22))
    pipeline = hybrid.Pipeline(branches=[hybrid.Dense(folder)])
    documents = [hybrid.Document(id=str(n), text=text) for n, text in enumerate(TEXTS)]
    with Pool(folder, 1, dtype="int8") as pool:
        assert pool.fingerprint()["dtype"] == "int8, blocks of 32"
        index = hybrid.create(tmp_path / "index", documents, pipeline=pipeline, encoders={folder: pool})
        assert len(index.search(TEXTS[7], k=3).hits) == 3
    with pytest.raises(
        hybrid.HybridError, match="dtype: index has 'int8, blocks of 32', encoder has 'float32'"
    ):
        hybrid.open(tmp_path / "index").search("hello", strict=True)


def test_several_representations_come_from_one_pass(joint):
    found = joint.encode([*TEXTS, "print"], "query", ("dense", "sparse"))
    lengths = [len(text) for text in [*TEXTS, "print"]]
    assert found["dense"].vectors.tolist() == [[length, 1] for length in lengths]
    assert found["sparse"].weights.tolist() == [length + 1 for length in lengths]
    assert joint.vocabulary == ("x", "y")
    assert len(joint.encode([], "document", ("sparse",))) == 0
    with pytest.raises(EncoderError, match="call encode"):
        joint.encode_queries(["a"])
    with pytest.raises(AttributeError, match="token_dimension"):
        _ = joint.token_dimension


@pytest.mark.parametrize(
    ("text", "message"),
    [("bad", r"^cannot encode 'bad' \(in the process\)$"), ("strange", "RuntimeError: out of something")],
)
def test_an_exception_there_is_raised_here_and_the_pool_goes_on(joint, text, message):
    with pytest.raises(EncoderError, match=message):
        joint.encode([*TEXTS, text], "document", ("dense",))
    assert len(joint.encode(TEXTS, "document", ("dense",))) == len(TEXTS)


def test_a_killed_process_is_noticed_and_started_anew(joint):
    with pytest.raises(EncoderError, match=r"ended while it encoded \d+ texts \(killed by SIGKILL\)"):
        joint.encode([*TEXTS, "suicide"], "document", ("dense",))
    assert len(joint.encode(TEXTS, "document", ("dense",))) == len(TEXTS)
    victim = joint._processes[0]._process
    victim.kill()
    victim.wait()
    with pytest.raises(EncoderError, match="killed by SIGKILL"):
        joint.encode(TEXTS, "document", ("dense",))
    assert len(joint.encode(TEXTS, "document", ("dense",))) == len(TEXTS)


def test_what_is_no_text_is_refused_before_anything_is_sent(joint):
    with pytest.raises(InputError, match="text 1 is a int"):
        joint.encode(["a", 3], "document", ("dense",))
    with pytest.raises(InputError, match="lone surrogate"):
        joint.encode(["\ud800"], "document", ("dense",))


def test_threads_may_share_a_pool(joint):
    found = {}

    def work(n):
        found[n] = joint.encode(TEXTS[n:], "document", ("dense",))["dense"].vectors[:, 0].tolist()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [len(text) for text in TEXTS[n:]] for n in range(6)}


@pytest.mark.parametrize(
    ("model", "devices", "options", "error", "message"),
    [
        ("no/such/model", 1, {}, EncoderError, "'no/such/model' is unknown"),
        (unfit, 1, {}, EncoderError, "follows none of the protocols"),
        (differing, ["1", "2"], {}, EncoderError, "the processes loaded different models"),
        (lambda device: None, 1, {}, InputError, "cannot be sent to another process"),
        (make, 0, {}, InputError, "devices is 0"),
        (make, "cuda", {}, InputError, "devices is 'cuda'"),
        (make, 1, {"dtype": "int8"}, InputError, "options are for a model's name"),
        ("minilm", ["cuda:7"], {"backend": "onnx"}, InputError, "device is 'cuda:7'"),
    ],
)
def test_what_cannot_be_loaded_is_refused(model, devices, options, error, message):
    with pytest.raises(error, match=message):
        Pool(model, devices, **options)


def test_processes_end_with_the_pool():
    pool = Pool(make, 1)
    process = pool._processes[0]._process
    pool.close()
    pool.close()
    assert process.returncode == 0
    dropped = Pool(make, 1)
    process = dropped._processes[0]._process
    del dropped
    limit = time.monotonic() + 5
    while process.poll() is None and time.monotonic() < limit:
        time.sleep(0.01)
    assert process.returncode == 0
