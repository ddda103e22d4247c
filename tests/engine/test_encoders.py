"""An index meets the encoder that it was built with, or says what differs."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid


class Hashing:
    """An encoder of two dimensions whose settings can be changed without being told."""

    dimension, normalized = 2, True

    def __init__(self, pooling="mean", turn=0.0):
        self.pooling, self.turn, self.calls = pooling, turn, 0

    def fingerprint(self):
        return {"model": "hashing", "pooling": self.pooling}

    def encode_documents(self, texts, progress=None):
        self.calls += 1
        angles = np.array([sum(map(ord, text)) % 7 + self.turn for text in texts])
        vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        return hybrid.DenseBatch(vectors, np.zeros(len(texts), np.bool_))

    encode_queries = encode_documents


PIPELINE = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense("hashing")])


@pytest.fixture
def path(tmp_path):
    documents = [hybrid.Document("a", "ant"), hybrid.Document("b", "bee")]
    hybrid.create(tmp_path / "index", documents, PIPELINE, encoders={"hashing": Hashing()}).close()
    return tmp_path / "index"


def test_the_same_encoder_is_welcome(path):
    with hybrid.open(path, "w", encoders={"hashing": Hashing()}) as index:
        index.add([hybrid.Document("c", "cat")])
        assert len(index.search("cat")) == 3


@pytest.mark.parametrize("mode", ["r", "w"])
def test_another_setting_is_named(path, mode):
    with pytest.raises(hybrid.FingerprintError, match=r"pooling.*'mean'.*'cls'"):
        hybrid.open(path, mode, encoders={"hashing": Hashing(pooling="cls")})
    with hybrid.open(path, mode, encoders={"hashing": Hashing()}) as index:  # and the lock was let go
        assert len(index) == 2


def test_drift_is_noticed_by_the_vectors(path):
    """The fingerprint is the same, the vectors are not: somebody changed something untold."""
    with pytest.raises(hybrid.FingerprintError, match="drifted"):
        hybrid.open(path, encoders={"hashing": Hashing(turn=0.01)})


def test_a_check_that_was_put_off_is_made_before_anything_is_encoded(path):
    drifted = Hashing(turn=0.01)
    with hybrid.open(path, "w", encoders={"hashing": drifted}, check_encoders=False) as index:
        assert [hit.id for hit in index.search("ant", branches=["bm25"])] == ["a"]
        assert drifted.calls == 0
        with pytest.raises(hybrid.FingerprintError):  # wrong use, so not merely degraded
            index.search("ant")
        with pytest.raises(hybrid.FingerprintError):
            index.add([hybrid.Document("c", "cat")])
        assert (len(index), index.generation) == (2, 1)


def test_an_unknown_model(path):
    with pytest.raises(hybrid.EncoderError, match=r"'hashing' is unknown.*all-MiniLM-L6-v2"):
        hybrid.open(path)


def test_what_is_no_encoder(path):
    with pytest.raises(hybrid.InputError, match="encode_documents"):
        hybrid.open(path, encoders={"hashing": object()})
    odd = Hashing()
    odd.fingerprint = lambda: {"model": ("a", "tuple")}
    with pytest.raises(hybrid.EncoderError, match="strings, whole numbers or booleans"):
        hybrid.create(path.parent / "other", [], PIPELINE, encoders={"hashing": odd})
    assert not (path.parent / "other").exists()


def test_a_registered_encoder(tmp_path):
    hybrid.register_encoder("hashing-registered", Hashing)
    pipeline = hybrid.Pipeline([hybrid.Dense("hashing-registered")])
    hybrid.create(tmp_path / "index", [hybrid.Document("a", "ant")], pipeline).close()
    with hybrid.open(tmp_path / "index") as index:
        assert [hit.id for hit in index.search("ant")] == ["a"]
