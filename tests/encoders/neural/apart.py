"""Libraries that cannot be beside the others: a process whose own packages come before the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import hybrid

BACKEND = """
import json, sys, warnings
warnings.simplefilter("ignore")
import numpy
import hybrid

backend, texts, *folders = sys.argv[1], json.loads(sys.argv[2]), *sys.argv[3:]
for folder in folders:
    encoder = hybrid.load_encoder(folder, backend=backend, device="cpu")
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
"""Writes what a backend gives for some texts by the models in some folders."""


def packages(name: str) -> Path:
    """Where ``make test`` puts a library and what only it needs."""
    return Path(sys.prefix) / name


def run(name: str, script: str, *arguments: object) -> str:
    """Run a script with a library's packages first; return what it printed."""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{packages(name)}{os.pathsep}{root}"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def check_backend(folder: Path, texts: list[str]) -> None:
    """Check that what `BACKEND` wrote of a model is our vectors, fingerprint and hits."""
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
