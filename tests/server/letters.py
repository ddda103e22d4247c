"""A model of token vectors that needs no weights: words with the same letters are near each other.

Run as a program it is ``hybrid`` with that model known, and with one that fails and one that is slow.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import zlib

import numpy as np

import hybrid
from hybrid.batches import DenseBatch, TokenBatch

SIZE = 48


class Letters:
    """Token vectors: each word is the direction of its groups of three letters."""

    token_dimension = SIZE

    def fingerprint(self):
        return {"model": "letters"}

    def encode_documents(self, texts, progress=None):
        tokens = [self.spell(text, "document") for text in texts]
        indptr = np.concatenate([[0], np.cumsum([len(words) for words in tokens])]).astype(np.int64)
        rows = np.float32([self.vector(word) for words in tokens for word in words]).reshape(-1, SIZE)
        return TokenBatch(indptr, rows, np.zeros(len(texts), np.bool_))

    def encode_queries(self, texts):
        return self.encode_documents(texts)

    @staticmethod
    def vector(word):
        row, padded = np.zeros(SIZE), f"^{word}$"
        for n in range(len(padded) - 2):
            row[zlib.crc32(padded[n : n + 3].encode("utf-8", "replace")) % SIZE] += 1
        return row / max(float(np.linalg.norm(row)), 1e-9)

    def spell(self, text, side):
        return text.lower().split() or ["[empty]"]


class Moody:
    """A dense model that is what its documents are built with; a query says what goes wrong."""

    dimension, normalized = 4, False

    def fingerprint(self):
        return {"model": "moody"}

    def encode_documents(self, texts, progress=None):
        rows = np.float32([[len(text) % 7, len(text) % 5, 1, 0] for text in texts]).reshape(-1, 4)
        return DenseBatch(rows, np.zeros(len(texts), np.bool_))

    def encode_queries(self, texts):
        for text in texts:
            if "fail" in text:
                raise RuntimeError(f"secret place {os.getcwd()}")
            if "slow" in text:
                time.sleep(float(os.environ.get("MOODY_SECONDS", "1")))
        return self.encode_documents(texts)


def register():
    hybrid.register_encoder("letters", Letters, replace=True)
    hybrid.register_encoder("moody", Moody, replace=True)


class Observer:
    """Writes the spans of every search into a file, a line each."""

    def __init__(self, path):
        self.path, self.lock = path, threading.Lock()

    def searched(self, event):
        line = json.dumps([[name, [begun, ended]] for name, begun, ended in event.spans])
        with self.lock, open(self.path, "a", encoding="utf-8") as out:
            out.write(line + "\n")

    def changed(self, event):
        """Changes are not written."""


if __name__ == "__main__":
    register()
    if "OBSERVED" in os.environ:
        hybrid.observe(Observer(os.environ["OBSERVED"]))
    from hybrid.cli import main

    sys.exit(main(sys.argv[1:]))
