"""Token vectors against PyLate itself, in a process with the older sentence-transformers that it needs."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hybrid
from hybrid.encoders.neural.colbert import Colbert
from tests.encoders.checkpoints import save_pylate, save_stanford_colbert

PYLATE = Path(sys.prefix) / "pylate"
"""Where ``make test`` puts PyLate and its sentence-transformers."""

TEXTS = [
    "hello world",
    "what is a cell? the cell, the river and the music.",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "hello!",
]

THEIRS = """
import json, sys, warnings
warnings.simplefilter("ignore")
import numpy, torch
from pylate import models, scores

folder, texts = sys.argv[1], json.loads(sys.argv[2])
model = models.ColBERT(folder, device="cpu")
made = {side: model.encode(texts, is_query=side == "query") for side in ("query", "document")}
matrices = {f"{side}{n}": numpy.asarray(m) for side in made for n, m in enumerate(made[side])}
padded = [
    torch.nn.utils.rnn.pad_sequence([torch.tensor(numpy.asarray(m)) for m in made[side]], batch_first=True)
    for side in ("query", "document")
]
numpy.savez(folder + ".npz", scores=scores.colbert_scores(*padded).numpy(), **matrices)
"""


BACKEND = """
import json, sys, warnings
warnings.simplefilter("ignore")
import numpy
import hybrid

folder, texts = sys.argv[1], json.loads(sys.argv[2])
encoder = hybrid.load_encoder(folder, backend="pylate", device="cpu")
steps = []
documents = encoder.encode_documents(texts, lambda *step: steps.append(step))
queries = encoder.encode_queries(texts)
assert [done for _, done, _ in steps] == [0, len(set(texts))]
assert len(encoder.encode_documents([])) == 0
assert encoder.spell("hello world", "document")
pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.MaxSim("m", storage="float32")])
given = [hybrid.Document(str(n), text) for n, text in enumerate(texts)]
with hybrid.create(folder + "-index", given, pipeline, encoders={"m": encoder}) as index:
    found = index.search("hello cell", k=9, strict=True)
numpy.savez(
    folder + "-backend.npz",
    fingerprint=json.dumps(dict(encoder.fingerprint()), sort_keys=True),
    ids=[hit.id for hit in found],
    scores=[hit.score for hit in found],
    document=documents.vectors, query=queries.vectors, truncated=documents.truncated,
    documents=documents.indptr, queries=queries.indptr,
)
"""


def in_its_own_process(script, folder, texts):
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), json.dumps(texts)],
        env={**os.environ, "PYTHONPATH": f"{PYLATE}{os.pathsep}{root}"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYLATE.is_dir(), reason="PyLate is not there (make test installs it beside the tests)"
    ),
]


def test_the_backend_is_the_same_encoder(tmp_path):
    folder, texts = save_stanford_colbert(tmp_path / "model"), [*TEXTS, TEXTS[0], "", "x" * 100]
    in_its_own_process(BACKEND, folder, texts)
    theirs = np.load(f"{folder}-backend.npz")
    ours = hybrid.load_encoder(str(folder), device="cpu")
    assert json.loads(str(theirs["fingerprint"])) == dict(ours.fingerprint())
    for side, call in (("document", ours.encode_documents), ("query", ours.encode_queries)):
        batch = call(texts)
        assert theirs[f"{side[:-1]}ies" if side == "query" else "documents"].tolist() == batch.indptr.tolist()
        np.testing.assert_allclose(theirs[side], batch.vectors, atol=1e-5)
    assert theirs["truncated"].tolist() == ours.encode_documents(texts).truncated.tolist()
    pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.MaxSim("m", storage="float32")])
    with hybrid.open(f"{folder}-index", pipeline=pipeline, encoders={"m": ours}) as index:
        found = index.search("hello cell", k=9, strict=True)
    assert [hit.id for hit in found] == theirs["ids"].tolist()
    np.testing.assert_allclose([hit.score for hit in found], theirs["scores"], atol=1e-4)


@pytest.mark.parametrize("save", [save_stanford_colbert, save_pylate])
def test_vectors_and_scores_are_pylate_s(tmp_path, save):
    folder = save(tmp_path / "model")
    in_its_own_process(THEIRS, folder, TEXTS)
    theirs = np.load(f"{folder}.npz")
    encoder = Colbert.from_folder(folder, device="cpu")
    ours = {}
    for side, call in (("query", encoder.encode_queries), ("document", encoder.encode_documents)):
        batch = call(TEXTS)
        for n, (a, b) in enumerate(itertools.pairwise(batch.indptr.tolist())):
            ours[f"{side}{n}"] = batch.vectors[a:b]
            np.testing.assert_allclose(batch.vectors[a:b], theirs[f"{side}{n}"], atol=1e-5)
    found = [
        [(ours[f"query{i}"] @ ours[f"document{j}"].T).max(axis=1).sum() for j in range(len(TEXTS))]
        for i in range(len(TEXTS))
    ]
    np.testing.assert_allclose(found, theirs["scores"], atol=1e-4)
