"""Token vectors against PyLate itself, in a process with the older sentence-transformers that it needs."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from hybrid.encoders.neural.colbert import Colbert
from tests.encoders.checkpoints import save_pylate, save_stanford_colbert
from tests.encoders.neural import apart

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


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not apart.packages("pylate").is_dir(),
        reason="PyLate is not there (make test installs it beside the tests)",
    ),
]


def test_the_backend_is_the_same_encoder(tmp_path):
    folder = save_stanford_colbert(tmp_path / "model")
    texts = [*TEXTS, TEXTS[0], "", "x" * 100]
    apart.run("pylate", apart.BACKEND, "pylate", json.dumps(texts), folder)
    apart.check_backend(folder, texts)


@pytest.mark.parametrize("save", [save_stanford_colbert, save_pylate])
def test_vectors_and_scores_are_pylate_s(tmp_path, save):
    folder = save(tmp_path / "model")
    apart.run("pylate", THEIRS, folder, json.dumps(TEXTS))
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
