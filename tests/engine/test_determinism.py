"""The same order for any thread count, any segmentation and any hash seed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import hybrid

ROOT = Path(__file__).resolve().parents[2]
WORDS = [f"w{n}" for n in range(60)]
SCRIPT = """
import json, sys
import hybrid
with hybrid.open(sys.argv[1]) as index:
    queries = json.loads(sys.argv[2])
    asked = [hybrid.Query(text, {"dense": vector}) for text, vector in queries]
    found = []
    for fusion in (hybrid.Weighted(), hybrid.RRF(), hybrid.CombMNZ(normalizer="minmax")):
        for result in index.search_many(asked, 20, fusion=fusion):
            found.append([(hit.id, hit.score, sorted(hit.scores.items())) for hit in result])
    explained = index.search(asked[0], 5).explain(3)
    parts = explained.branches
    found.append([[p.name, p.raw, p.rank, p.rank_without, [t.term for t in p.terms]] for p in parts])
    print(json.dumps([found, index.stats().fields]))
"""


def collection(seed=3, n=400):
    rng = random.Random(seed)
    for number in range(n):
        text = " ".join(rng.choices(WORDS, weights=[1 / (w + 1) for w in range(60)], k=rng.randint(0, 12)))
        vector = [rng.choice([-1.0, 0.0, 0.5, 1.0]) for _ in range(8)]  # coarse, so that many scores tie
        metadata = {rng.choice("abc"): number % 7, "even": number % 2 == 0}
        yield hybrid.Document(f"{rng.randrange(10**6):06}-{number}", text, "", metadata, {"dense": vector})


PIPELINE = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense(model=None, dimension=8)], depth=10)


def answers(folder, seed="0", threads="2"):
    rng = random.Random(1)
    queries = [[" ".join(rng.choices(WORDS, k=3)), [rng.uniform(-1, 1) for _ in range(8)]] for _ in range(25)]
    environment = {**os.environ, "PYTHONHASHSEED": seed, "HYBRID_THREADS": threads}
    command = [sys.executable, "-c", SCRIPT, str(folder), json.dumps(queries)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    folder = tmp_path_factory.mktemp("single") / "index"
    hybrid.create(folder, collection(), PIPELINE).close()
    return folder


def test_one_and_seven_segments(single, tmp_path):
    documents = list(collection())
    with hybrid.create(tmp_path / "seven", [], PIPELINE, merging=None) as index:
        for part in range(7):
            index.add(documents[part::7])
        assert index.stats().segments == 7
        expected = answers(single)
        assert answers(tmp_path / "seven") == expected
        index.add([hybrid.Document("doomed", "w0 w1 w2", vectors={"dense": [9.0] * 8})])
        index.delete(["doomed"])
        assert answers(tmp_path / "seven") == expected
        index.optimize()
        assert index.stats().segments == 1
        assert answers(tmp_path / "seven") == expected


def test_threads_and_hash_seeds(single):
    expected = answers(single, "0", "1")
    for seed, threads in (("0", "2"), ("1", "2"), ("12345", "1")):
        assert answers(single, seed, threads) == expected


def test_the_scores_are_not_all_alike(single):
    """The comparison above would mean nothing if every list were empty or constant."""
    found, _ = answers(single)
    assert all(len(hits) == 20 for hits in found[:-1])
    assert len({hit[0] for hits in found[:-1] for hit in hits}) > 100


def test_a_history_of_changes_equals_a_fresh_build(tmp_path):
    documents = list(collection())
    with hybrid.create(tmp_path / "old", [], PIPELINE) as index:
        for part in range(5):
            batch = documents[part::5]
            index.add([hybrid.Document(d.id, "stale w0", vectors={"dense": [3.0] * 8}) for d in batch])
            index.update(batch)
            index.delete([d.id for d in batch[:10]])
        assert index.stats().deleted > 0
    live = [d for part in range(5) for d in documents[part::5][10:]]
    hybrid.create(tmp_path / "fresh", live, PIPELINE).close()
    assert answers(tmp_path / "old") == answers(tmp_path / "fresh")
