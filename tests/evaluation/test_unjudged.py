"""Tuning on queries made from the collection itself."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

import hybrid
from hybrid.evaluation import make_clozes, tune_unjudged
from hybrid.types import DenseBatch

LONG = (
    "The quick brown fox jumps over the lazy dog. x = f(1, 2); return {x: 3}\n"
    "It was seen by many people there."
)


def test_pieces_are_taken_out_of_their_documents():
    documents = [hybrid.Document(f"d{n}", LONG, "On foxes and on dogs", {"n": n}) for n in range(200)]
    clozes = make_clozes(documents, 100, seed=3)
    assert len({cloze.document.id for cloze in clozes}) == 100
    asked = {cloze.query for cloze in clozes}
    assert asked == {
        "On foxes and on dogs",
        "The quick brown fox jumps over the lazy dog",
        "It was seen by many people there",
    }
    for cloze in clozes:
        assert cloze.query not in cloze.document.content
        others = asked - {cloze.query}
        assert all(other in cloze.document.content for other in others)
        assert cloze.document.metadata == {"n": int(cloze.document.id[1:])}
    assert sum(cloze.query.startswith("On foxes") for cloze in clozes) > 50  # half, and a third of the rest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "too short",
        "a = b; c = d; e = f; g = h + 1",
        "one two three four five " * 8,
        "Only this one sentence here.",
    ],
)
def test_documents_without_a_piece_give_none(text):
    assert make_clozes([hybrid.Document("d", text)], 10) == []


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (
            "黑豹队的防守只丢了很少的分，在联赛中排名第六。太短。職業碗球員入選四次真是太好了！",
            {"黑豹队的防守只丢了很少的分，在联赛中排名第六", "職業碗球員入選四次真是太好了！"},
        ),
        (
            "東京都は日本の首都です。人口はとても多いです。短い。",
            {"東京都は日本の首都です", "人口はとても多いです"},
        ),
        (
            "서울은 대한민국의 수도이고 가장 큰 도시이다. 너무 짧다. 한강은 서울 한가운데를 흐르는 강이다.",
            {"서울은 대한민국의 수도이고 가장 큰 도시이다", "한강은 서울 한가운데를 흐르는 강이다"},
        ),
        (
            "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย\nสั้น\nแม่น้ำเจ้าพระยาไหลผ่านใจกลางเมือง",
            {"กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย", "แม่น้ำเจ้าพระยาไหลผ่านใจกลางเมือง"},
        ),
        (
            "दिल्ली भारत की राजधानी और बड़ा शहर है। छोटा। गंगा उत्तर भारत की सबसे बड़ी नदी है।",
            {"दिल्ली भारत की राजधानी और बड़ा शहर है", "गंगा उत्तर भारत की सबसे बड़ी नदी है"},
        ),
    ],
    ids=["Chinese", "Japanese", "Korean", "Thai", "Hindi"],
)
def test_pieces_of_scripts_without_spaces_or_with_marks(text, pieces):
    clozes = make_clozes([hybrid.Document(str(n), text) for n in range(40)], 40)
    assert {cloze.query for cloze in clozes} == pieces
    assert all(cloze.query not in cloze.document.text for cloze in clozes)


def test_the_draw_is_random_and_repeatable():
    documents = [hybrid.Document(f"d{n}", LONG) for n in range(300)]
    first = make_clozes(iter(documents), 60, seed=1)
    assert first == make_clozes(documents, 60, seed=1)
    assert first != make_clozes(documents, 60, seed=2)
    places = [int(cloze.document.id[1:]) for cloze in first]
    assert min(places) < 50
    assert max(places) > 250


class Topics:
    """An encoder that sees what a text is about, the better the lower its ``noise``; words escape it."""

    dimension = 16
    normalized = True

    def __init__(self, noise):
        self.noise = noise

    def fingerprint(self):
        return {"model": "topics", "noise": str(self.noise)}

    def encode_documents(self, texts, progress=None):
        vectors = np.zeros((len(texts), 16), np.float32)
        for n, text in enumerate(texts):
            for topic in re.findall(r"topic([a-p])", text):
                vectors[n, ord(topic) - 97] += 1
            seed = sum(map(ord, text))
            vectors[n] += self.noise * np.random.default_rng(seed).standard_normal(16) + 1e-3
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return DenseBatch(vectors, np.zeros(len(texts), np.bool_))

    def encode_queries(self, texts):
        return self.encode_documents(texts)


def made(folder, noise, shared):
    """Return an index of 120 documents: sentences share topics, never spelt the same, and some words."""
    rng = random.Random(0)
    documents = []
    for n in range(120):
        topics = rng.sample("abcdefghijklmnop", 4)
        own = ["".join(rng.choices("bcdfg", k=7)) for _ in range(shared)]
        sentences = []
        for _ in range(4):
            words = [f"topic{topic}{''.join(rng.choices('xyz', k=9))}" for topic in topics]
            words += [word for word in own if rng.random() < 0.7]
            words += ["".join(rng.choices("rstuv", k=6)) for _ in range(4)]
            sentences.append(" ".join(rng.sample(words, k=len(words))))
        documents.append(hybrid.Document(f"d{n:03d}", ". ".join(sentences)))
    pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense("topics")])
    return hybrid.create(folder, documents, pipeline, encoders={"topics": Topics(noise)})


def test_weight_goes_to_the_branch_that_knows(tmp_path):
    with made(tmp_path / "index", noise=50.0, shared=2) as index:
        found = tune_unjudged(index, count=100)
        assert [branch.name for branch in found.pipeline.branches] == ["bm25"]
        assert found.sentence.startswith("Keep bm25 alone")
        assert found.weights == {"bm25": 1.0, "dense": 0.0}
        assert found.fused == found.alone["bm25"] > found.alone["dense"] + 0.3
        assert len(index) == 120
        assert index.generation == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index"]  # the copy is gone


def test_branches_that_know_different_things_are_fused(tmp_path):
    with made(tmp_path / "index", noise=0.5, shared=1) as index:
        found = tune_unjudged(index, count=100)
        assert sum(found.weights.values()) == pytest.approx(1)
        assert set(found.pipeline.fusion.weights) == {branch.name for branch in found.pipeline.branches}
        assert found.fused > max(found.alone.values()) + 0.1
        again = tune_unjudged(index, count=100)
        assert (again.pipeline, again.alone) == (found.pipeline, found.alone)


def test_what_cannot_be_asked(tmp_path):
    documents = [hybrid.Document(f"d{n}", "short text") for n in range(100)]
    pipeline = hybrid.Pipeline([hybrid.BM25()])
    with hybrid.create(tmp_path / "index", documents, pipeline) as index:
        with pytest.raises(hybrid.InputError, match="only 0 documents have a sentence"):
            tune_unjudged(index)
        with pytest.raises(hybrid.InputError, match="count is 10"):
            tune_unjudged(index, count=10)
