"""A collection made by chance, in which a dense branch and BM25 know different things."""

from __future__ import annotations

import random

import numpy as np
import pytest

import hybrid

WORDS = [f"w{n}" for n in range(60)]


@pytest.fixture(scope="session")
def collection(tmp_path_factory):
    """Return an index of 150 documents (two segments), 60 queries with vectors, and their qrels.

    A query's words are drawn from its documents, and its vector lies near theirs, both with errors.
    """
    rng, random_ = np.random.default_rng(1), random.Random(1)
    vectors = rng.standard_normal((150, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    documents = [
        hybrid.Document(
            f"d{n:03d}" if n % 2 else f"e{n:03d}",
            " ".join(random_.choices(WORDS, k=random_.randint(4, 30))),
            vectors={"dense": vectors[n].tolist()},
        )
        for n in range(150)
    ]
    queries, qrels = [], {}
    for n in range(60):
        chosen = random_.sample(range(150), random_.randint(1, 3))
        words = " ".join(random_.sample(documents[chosen[0]].text.split(), 3))
        vector = vectors[chosen].sum(axis=0) + 0.6 * rng.standard_normal(8)
        vector /= np.linalg.norm(vector)
        queries.append((f"q{n}", hybrid.Query(words, vectors={"dense": vector.tolist()})))
        qrels[f"q{n}"] = {documents[d].id: random_.randint(1, 2) for d in chosen}
    pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense(dimension=8)])
    index = hybrid.create(tmp_path_factory.mktemp("collection") / "index", documents[:100], pipeline)
    index.add(documents[100:])
    yield index, queries, qrels
    index.close()
