"""An index that cuts documents into passages: branches compare passages, and rank documents."""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hybrid
from hybrid import (
    BM25,
    Dense,
    Document,
    MaxSim,
    Multivector,
    Passages,
    Pipeline,
    Recursive,
    Sentences,
    Sparse,
)
from hybrid.batches import DenseBatch, Encoded, SparseBatch, TokenBatch
from hybrid.engine.completing import complete_stages
from hybrid.index.passages import passages_of
from hybrid.text.chunking import Words

WORDS = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"]
MOST = 6


class Joint:
    """A model of every representation, that reads six words at once."""

    representations = ("dense", "sparse", "tokens")
    dimension, token_dimension, normalized = 5, 5, False
    vocabulary = WORDS
    units = Words(MOST)

    def __init__(self):
        self.read = []

    def fingerprint(self):
        return {"model": "joint"}

    def encode(self, texts, side, representations, progress=None):
        self.read += texts
        words = [[w.strip(".#") for w in text.split()] for text in texts]
        cut = np.array([len(row) > MOST for row in words])
        rows = [[self.vector(word) for word in row or ["-"]] for row in words]
        counts = [{WORDS.index(w): float(row.count(w)) for w in row if w in WORDS} for row in words]
        return Encoded(
            dense=DenseBatch(np.array([np.sum(row, axis=0) for row in rows], np.float32).reshape(-1, 5), cut),
            sparse=SparseBatch(
                np.cumsum([0, *map(len, counts)]),
                np.array([term for row in counts for term in row], np.int32),
                np.array([weight for row in counts for weight in row.values()], np.float32),
                cut,
            ),
            tokens=TokenBatch(
                np.cumsum([0, *map(len, rows)]), np.array([v for row in rows for v in row], np.float32), cut
            ),
        )

    @staticmethod
    def vector(word):
        digest = hashlib.blake2b(word.encode(), digest_size=5).digest()
        return [(byte - 127) / 256 for byte in digest]


def pipeline(passages, **more):
    branches = [BM25(analyzer="simple"), Dense("m"), Sparse("m"), Multivector("m", storage="float32")]
    return Pipeline(branches, passages=passages, **more)


def created(path, documents, chosen):
    return hybrid.create(path, documents, chosen, encoders={"m": Joint()})


def text(rng, sentences):
    return " ".join(" ".join(rng.choices(WORDS, k=rng.randint(1, 4))) + "." for _ in range(sentences))


def corpus(seed=0, n=40):
    rng = random.Random(seed)
    return [
        Document(f"d{k:02}", text(rng, rng.randint(0, 7)), rng.choice(["", "", "Fox"]), {"part": k % 3})
        for k in range(n)
    ]


HOWS = [
    Passages(Recursive()),
    Passages(Recursive(3), best=2),
    Passages(Sentences(2, 1), best=3, aggregate="sum"),
    Passages(Sentences(1, 0, size=3), best=2, opening=True),
]


def parts_of(document, how):
    """Return a document's passages as documents, the opening put together by hand."""
    parts = list(hybrid.split([document], how.chunker, Joint.units))
    words = [word.start() for word in re.finditer(r"\S+", document.text)]
    room = MOST - len(document.title.split())
    end = words[room] if len(words) > room else len(document.text)
    if how.opening and len(parts) > 1:
        parts.append(replace(document, id=f"{document.id}#opening", text=document.text[:end]))
    return parts


@pytest.mark.parametrize("how", HOWS, ids=repr)
@pytest.mark.parametrize("where", [None, {"part": {"$lt": 2}}])
def test_documents_score_what_their_passages_score(tmp_path, how, where):
    """Against an index of the passages as documents, put together by hand."""
    documents = corpus()
    with created(tmp_path / "i", documents[:25], pipeline(how)) as index:
        index.add(documents[25:])
        index.delete(["d03", "d30"])
        live = [d for d in documents if d.id not in ("d03", "d30")]
        flat = [part for d in live for part in parts_of(d, how)]
        single = Pipeline(pipeline(None).branches)
        with created(tmp_path / "flat", flat, single) as passages:
            for query in ("ant bee", "fox", "dog dog hen elk"):
                for branch in ("bm25", "dense", "sparse", "multivector"):
                    found = index.retrieve(query, 100, where, branch=branch)
                    parts = passages.retrieve(query, 10_000, where, branch=branch)
                    by_parent = {}
                    for id, score in zip(parts.ids, parts.scores.tolist(), strict=True):
                        by_parent.setdefault(id.split("#")[0], []).append(score)
                    sizes = {d.id: len(parts_of(d, how)) for d in live}
                    expected = {}
                    for id, scores in by_parent.items():
                        top = sorted([*scores, *[0.0] * (sizes[id] - len(scores))], reverse=True)[: how.best]
                        expected[id] = sum(top) / (len(top) if how.aggregate == "mean" else 1)
                    order = sorted(expected, key=lambda id: (-np.float32(expected[id]), id))
                    assert found.ids == order
                    np.testing.assert_allclose(
                        found.scores, [expected[id] for id in order], rtol=1e-6, atol=1e-6
                    )


@pytest.mark.parametrize("how", HOWS, ids=repr)
def test_every_history_gives_what_a_fresh_build_gives(tmp_path, how):
    documents = corpus(1)
    changed = [
        Document(d.id, text(random.Random(n), 3), d.title, d.metadata) for n, d in enumerate(documents[:9])
    ]
    chosen = pipeline(how, rerank=[MaxSim("m", top=5)])
    with created(tmp_path / "i", documents[:20], chosen) as index:
        index.add(documents[20:])
        index.update(changed)
        index.delete([d.id for d in documents[5:30:4]])
        fresh_documents = list(index.documents())
        with created(tmp_path / "fresh", fresh_documents, chosen) as fresh:
            for stage in ("as it is", "merged"):
                if stage == "merged":
                    assert index.optimize()
                assert list(fresh.documents()) == fresh_documents
                for query in ("ant", "bee cat fox", "gnu hen."):
                    one, other = index.search(query, k=40), fresh.search(query, k=40)
                    assert [(h.id, h.score, h.scores, h.passages) for h in one] == [
                        (h.id, h.score, h.scores, h.passages) for h in other
                    ]
                    assert one.exact


def test_a_hit_shows_its_opening_or_parts_of_it(tmp_path):
    """Never both: they say the same."""
    long = Document("a", "Ant bee. Cat dog. Elk fox gnu. Hen hen.", "Bee")
    how = Passages(Sentences(1, 0), best=2, words=6, opening=True)
    with created(tmp_path / "i", [long], Pipeline([BM25(analyzer="simple")], passages=how)) as index:
        shown = {
            query: [p.text for p in index.search(query)[0].passages]
            for query in ("dog", "ant bee cat dog", "hen")
        }
        terms = index.explain("ant bee", "a").branches[0].terms
    opening = "Ant bee. Cat dog. Elk "
    assert shown["dog"][0] == "Cat dog. "
    assert opening not in shown["dog"]
    assert shown["ant bee cat dog"][0] == opening
    assert set(shown["ant bee cat dog"]) == {opening, "Elk fox gnu. ", "Hen hen."}
    assert shown["hen"][0] == "Hen hen."
    assert [term.term for term in terms] == ["ant", "bee"]


def test_hits_show_their_passages(tmp_path):
    long = "Ant bee. Cat dog. Elk fox gnu. Hen hen. Ant ant ant. Bee cat dog elk."
    documents = [Document("a", long, metadata={"k": 1}), Document("b", "Dog."), Document("c", "", "Elk")]
    with created(
        tmp_path / "i", documents, Pipeline([BM25(analyzer="simple")], passages=Passages())
    ) as index:
        assert len(index) == 3
        hit = index.search("hen").hits[0]
        assert (hit.id, hit.text, hit.metadata) == ("a", long, {"k": 1})
        best = hit.passages[0]
        assert "Hen hen." in best.text
        assert long[best.start : best.end] == best.text
        assert [p.score for p in hit.passages] == sorted((p.score for p in hit.passages), reverse=True)
        assert index.get("a") == documents[0]
        assert index.search("elk", k=3)[0].id == "c"  # a document of a title alone is its own passage
        assert index.search("nothing").hits == ()


def test_nothing_is_truncated(tmp_path):
    with created(tmp_path / "i", corpus(), pipeline(None)) as whole:
        assert whole.stats().truncated["dense"] > 0
    with created(tmp_path / "j", corpus(), pipeline(Passages())) as cut:
        assert set(cut.stats().truncated.values()) == {0}
        read = [t.split() for t in cut._encoders.get("m").encoder.read]
        own = [len(words) for words in read if {w.strip(".") for w in words} <= {*WORDS, "Fox"}]
        assert len(own) > 40  # the rest are probes
        assert max(own) <= MOST


def test_rerankers_read_the_best_passage(tmp_path):
    class Reader:
        def score(self, query, documents):
            self.seen = documents
            return [float(len(d.text)) for d in documents]

    reader = Reader()
    long = "# Animals\nAnt bee. Cat dog.\n## Birds\nHen hen hen. Gnu gnu gnu gnu gnu. Fox."
    documents = [Document("a", long, "Book", {"k": 1}), Document("b", "Hen.")]
    chosen = Pipeline(
        [BM25(analyzer="simple")],
        rerank=[hybrid.Rerank("reader")],
        passages=Passages(hybrid.Headings(size=12), words=12),
    )
    with hybrid.create(tmp_path / "i", documents, chosen, rerankers={"reader": reader}) as index:
        hit = index.search("hen").hits[0]
        assert hit.id == "a"
        read = reader.seen[0] if reader.seen[0].id == "a" else reader.seen[1]
        assert "Hen hen" in read.text
        assert len(read.text) < len(long)
        assert read.metadata == {"k": 1}
        assert read.title == "Book › Animals › Birds"
        assert hit.passages[0].headings == ("Animals", "Birds")
        assert index.explain("hen", "a").stages[0].score == float(len(read.text))


def test_stages_are_completed_over_passages_where_that_can_be(tmp_path):
    chosen = pipeline(Passages(), rerank=[MaxSim("m", top=40)])
    with created(tmp_path / "i", corpus(), chosen) as index:
        hits = index.search("ant bee", k=10).hits
        ids = [hit.id for hit in hits]
        ((scores,),) = complete_stages(index, ["ant bee"], [ids], chosen.rerank)
        assert scores.tolist() == [hit.scores["maxsim"] for hit in hits]
        with pytest.raises(hybrid.PipelineError, match="cannot be known before the fusion"):
            complete_stages(index, ["ant"], [ids], [hybrid.Rerank("reader")])


def test_explanations_speak_of_the_best_passage(tmp_path):
    documents = [Document("a", "Ant bee. Cat. " * 5), Document("b", "Bee.")]
    with created(tmp_path / "i", documents, pipeline(Passages(Recursive(2)))) as index:
        explained = index.explain("ant bee", "a")
        terms = {part.name: [match.term for match in part.terms] for part in explained.branches}
        assert sorted(terms["bm25"]) == ["ant", "bee"]
        assert explained.rank == 1


def test_a_filter_and_exactness(tmp_path):
    with created(tmp_path / "i", corpus(3), pipeline(Passages(), fusion=hybrid.RRF())) as index:
        result = index.search("ant fox", k=5, where={"part": 1})
        assert result.exact
        assert {hit.metadata["part"] for hit in result} == {1}
        many = index.search_many(["ant fox", "bee"], k=5, where={"part": 1})
        assert [h.id for h in many[0]] == [h.id for h in result]


def test_reopened_by_its_recipe(tmp_path):
    chosen = pipeline(Passages(hybrid.Headings("html", size=5, overlap=1), best=2, aggregate="sum"))
    assert hybrid.parse_recipe(hybrid.format_recipe(chosen)) == chosen
    created(tmp_path / "i", corpus(), chosen).close()
    with hybrid.open(tmp_path / "i", encoders={"m": Joint()}) as index:
        assert index.pipeline == chosen
    other = pipeline(Passages(chosen.passages.chunker, best=1))  # how scores are put together may change
    with hybrid.open(tmp_path / "i", pipeline=other, encoders={"m": Joint()}) as index:
        assert index.search("ant").hits
    for wrong in (pipeline(None), pipeline(Passages(Recursive(5)))):
        with pytest.raises(hybrid.FingerprintError, match=r"bm25\.passages: the index has"):
            hybrid.open(tmp_path / "i", pipeline=wrong, encoders={"m": Joint()})


def test_what_cannot_be_cut(tmp_path):
    chosen = pipeline(Passages())
    with created(tmp_path / "i", [], chosen) as index:
        with pytest.raises(hybrid.DocumentError, match="'a' brings vectors, and this index cuts"):
            index.add([Document("a", "x", vectors={"dense": [1.0] * 5})])
        assert len(index) == 0
        assert index.search("ant").hits == ()
    with pytest.raises(hybrid.PipelineError, match=r"passages of 7 units .* reads 6"):
        created(tmp_path / "j", corpus(), pipeline(Passages(Recursive(7))))
    with pytest.raises(hybrid.PipelineError, match="Lucene cannot search passages"):
        Pipeline([hybrid.LuceneBM25()], passages=Passages())

    class Silent(Joint):
        units = None

    with pytest.raises(hybrid.EncoderError, match="does not say how it counts tokens"):
        hybrid.create(tmp_path / "k", corpus(), chosen, encoders={"m": Silent()})
    for wrong in ({"best": 0}, {"words": 0}, {"aggregate": "max"}, {"chunker": Recursive}, {"cut": "some"}):
        with pytest.raises(hybrid.PipelineError):
            Passages(**wrong)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_combined_scores_are_those_of_the_best(data):
    groups = data.draw(st.lists(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=6), max_size=8))
    how = Passages(best=data.draw(st.integers(1, 4)), aggregate=data.draw(st.sampled_from(["mean", "sum"])))
    bounds = np.cumsum([0, *map(len, groups)])
    found = how.combined(np.array([s for g in groups for s in g], np.float32), bounds)
    for group, score in zip(groups, found.tolist(), strict=True):
        top = sorted(group, reverse=True)[: how.best]
        assert score == pytest.approx(sum(top) / (len(top) if how.aggregate == "mean" else 1), abs=1e-6)
        assert score <= how.bound(max(group)) + 1e-6
        assert score >= how.lowest(min(group)) - 1e-6


def test_segments_know_where_passages_stand(tmp_path):
    documents = [Document("b", "Ant. Bee. " * 6), Document("a", "Cat.")]
    with created(tmp_path / "i", documents, Pipeline([Dense("m")], passages=Passages())) as index:
        snapshot = index._store.snapshot
        passages = passages_of(snapshot)
        assert passages is passages_of(snapshot)
        assert passages.bounds.tolist() == [0, 1, 3]  # a has one, b two
        assert passages.homes(np.array([0, 1, 2])).tolist() == [0, 1, 1]
        assert "".join(d.text for d in passages.documents([1, 2])) == documents[0].text
        assert passages.span(1)[:2] == (0, 30)
        assert "".join(index.search("ant", k=2).hits[0].passages[0].text.split()) in documents[
            0
        ].text.replace(" ", "")
