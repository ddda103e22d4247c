"""The default: what is longer than a model reads is cut for it, and nothing else changes."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

import hybrid
from hybrid import (
    BM25,
    MMR,
    Dense,
    Document,
    MaxSim,
    Multivector,
    Neighbours,
    Passages,
    Pipeline,
    Recursive,
    Rerank,
    Sentences,
    Sparse,
)
from hybrid.branches.passages import LONG
from tests.engine.test_passages import MOST, Joint, corpus, created, parts_of, text

BRANCHES = [BM25(analyzer="simple"), Dense("m"), Sparse("m"), Multivector("m", storage="float32")]


def short_corpus():
    rng = random.Random(3)
    return [Document(f"d{n:02}", text(rng, 1)[: MOST * 4], "", {"part": n % 3}) for n in range(40)]


def figures(result):
    return [(hit.id, hit.score, dict(hit.scores), hit.passages) for hit in result], result.exact


def test_short_documents_are_found_as_if_nothing_could_be_cut(tmp_path):
    stages = [MaxSim("m", top=7), MMR(branch="dense", top=5)]
    long, whole = (Pipeline(BRANCHES, rerank=stages, passages=how) for how in (LONG, None))
    with (
        created(tmp_path / "a", short_corpus(), long) as one,
        created(tmp_path / "b", short_corpus(), whole) as two,
    ):
        for query in ("ant", "bee cat fox.", "gnu"):
            for where in (None, {"part": 1}):
                assert figures(one.search(query, 9, where)) == figures(two.search(query, 9, where))
            assert str(one.explain(query, "d05").branches) == str(two.explain(query, "d05").branches)
            ours, theirs = one.retrieve(query, 50, branch="dense"), two.retrieve(query, 50, branch="dense")
            assert (ours.ids, ours.scores.tolist()) == (theirs.ids, theirs.scores.tolist())
        assert one.stats().branches == two.stats().branches
        assert one.stats().truncated == dict.fromkeys(("dense", "sparse", "multivector", "maxsim"), 0)


def test_long_documents_lose_nothing(tmp_path):
    documents = corpus()
    with created(tmp_path / "whole", documents, Pipeline(BRANCHES, passages=None)) as whole:
        lost = whole.stats().truncated["dense"]
        bm25 = whole.search("ant bee", 40, branches=["bm25"])
    with created(tmp_path / "i", documents, Pipeline(BRANCHES)) as index:
        stats = index.stats()
        assert stats.truncated == dict.fromkeys(("dense", "sparse", "multivector"), 0)
        assert lost > 0
        assert stats.branches["dense"]["passages"] > len(documents)
        assert "passages" not in stats.branches["bm25"]
        assert figures(index.search("ant bee", 40, branches=["bm25"])) == figures(bm25)
        for hit in index.search("ant bee", 40):
            content = " ".join(filter(None, (hit.title, hit.text)))
            assert bool(hit.passages) == (len(content.split()) > MOST)
            for passage in hit.passages:
                assert passage.text == hit.text[passage.start : passage.end]
                assert len(f"{hit.title} {passage.text}".split()) <= MOST


def test_a_documents_score_is_the_mean_of_its_best_two_passages(tmp_path):
    """Of its parts and its opening; a document that is read whole is the only passage it has."""
    documents = [*corpus(4)[:20], *(replace(d, text=d.text.replace(". ", ".\n")) for d in corpus(4)[20:])]
    pieces = {
        d.id: parts_of(d, LONG) if len(d.content.split()) > MOST else [replace(d, id=f"{d.id}#0")]
        for d in documents
    }
    assert any("opening" in each[-1].id for each in pieces.values())
    with (
        created(tmp_path / "i", documents, Pipeline([Dense("m")])) as index,
        created(
            tmp_path / "j", [p for each in pieces.values() for p in each], Pipeline([Dense("m")])
        ) as split,
    ):
        best: dict[str, list[float]] = {}
        for id, score in zip(*vars_of(split.retrieve("ant fox", 500)), strict=True):
            best.setdefault(id.split("#")[0], []).append(score)
        found = dict(zip(*vars_of(index.retrieve("ant fox", 500)), strict=True))
        assert found == pytest.approx({id: sum(s[:2]) / len(s[:2]) for id, s in best.items()}, rel=1e-6)


def vars_of(found):
    return found.ids, found.scores.tolist()


def test_stages_that_read_vectors_take_the_beginning_of_what_is_cut(tmp_path):
    near = [Rerank("r", top=5, expand=Neighbours(branch="dense", k=3)), MMR(branch="dense", top=9)]

    class Length:
        def score(self, query, documents):
            return [float(len(d.text)) for d in documents]

    with hybrid.create(
        tmp_path / "i",
        corpus(),
        Pipeline(BRANCHES, rerank=near),
        encoders={"m": Joint()},
        rerankers={"r": Length()},
    ) as index:
        result = index.search("ant bee", 10)
        assert result.degraded == ()
        assert len(result) == 10
    with pytest.raises(hybrid.PipelineError, match="which holds passages"):
        Pipeline(BRANCHES, rerank=near, passages=Passages())


def test_rerankers_read_the_best_passage_of_what_is_cut_and_the_whole_of_the_rest(tmp_path):
    read = []

    class Reading:
        def score(self, query, documents):
            read.extend((d.id, d.content) for d in documents)
            return [0.0] * len(documents)

    documents = {d.id: d for d in corpus()}
    with hybrid.create(
        tmp_path / "i",
        documents.values(),
        Pipeline(BRANCHES, rerank=[Rerank("r", top=40)]),
        encoders={"m": Joint()},
        rerankers={"r": Reading()},
    ) as index:
        index.search("ant bee", 40)
    assert len(read) == 40
    for id, content in read:
        assert content == documents[id].content or content.removeprefix("Fox ") in documents[id].text
        assert len(content.split()) <= MOST
        assert content == documents[id].content or len(documents[id].content.split()) > MOST


def test_what_cannot_be_cut_stays_whole(tmp_path):
    class Silent(Joint):
        units = None

    long = Document("long", "ant bee cat dog elk fox gnu hen.")
    with hybrid.create(tmp_path / "a", [long], Pipeline([Dense("m")]), encoders={"m": Silent()}) as index:
        assert index.stats().truncated == {"dense": 1}
    brought = replace(long, vectors={"dense": [1.0, 0, 0, 0, 0]})
    with created(tmp_path / "b", [brought, replace(long, id="b")], Pipeline([Dense("m")])) as index:
        assert (
            index.stats().branches["dense"]["passages"] == 4
        )  # the one, and of the other two parts and an opening
        result = index.search(hybrid.Query("x", vectors={"dense": [1.0, 0, 0, 0, 0]}))
        assert {hit.id: hit.scores["dense"] for hit in result}["long"] == 1.0


def test_history_and_old_indexes(tmp_path):
    documents, chosen = corpus(1), Pipeline(BRANCHES)
    with created(tmp_path / "i", documents[:20], chosen) as index:
        index.add(documents[20:])
        index.update([replace(d, text=d.text + " Fox gnu. Hen hen hen.") for d in documents[:7]])
        index.delete([d.id for d in documents[5:30:4]])
        with created(tmp_path / "fresh", list(index.documents()), chosen) as fresh:
            for _ in ("as it is", "merged"):
                for query in ("ant", "bee cat fox"):
                    assert figures(index.search(query)) == figures(fresh.search(query))
                index.optimize()
    with created(tmp_path / "old", documents, replace(chosen, passages=None)) as index:
        assert index.pipeline.passages is None
    with hybrid.open(tmp_path / "old", check_encoders=False) as index:
        assert index.pipeline.passages is None
    with pytest.raises(
        hybrid.FingerprintError, match=r"dense.cut: the index has None, the pipeline has 'long'"
    ):
        hybrid.open(tmp_path / "old", pipeline=chosen, encoders={"m": Joint()})


def test_several_granularities_are_fused_as_branches_are(tmp_path):
    documents = corpus(2)
    fine = Dense("m", name="sentences", passages=Passages(Sentences(1, 0, size=3)))
    whole = BM25(analyzer="simple", name="wholes")
    coarse = BM25(analyzer="simple", name="parts", passages=Passages(Recursive(5), best=2))
    chosen = Pipeline([whole, coarse, Dense("m"), fine])
    with created(tmp_path / "i", documents[:25], chosen) as index:
        index.add(documents[25:])
        figures_of = index.stats().branches
        assert figures_of["sentences"]["passages"] > figures_of["dense"]["passages"] > len(documents)
        together = index.search("ant fox", 8)
        assert together.exact
        for branch in chosen.branches:
            alone = Pipeline([branch])
            with created(tmp_path / branch.name, documents, alone) as single:
                ours, theirs = (i.retrieve("ant fox", 50, branch=branch.name) for i in (index, single))
                assert vars_of(ours) == vars_of(theirs)
        for hit in together:
            spans = [(p.start, p.end) for p in hit.passages]
            assert spans
            assert all(p.text == hit.text[p.start : p.end] for p in hit.passages)
        index.optimize()
        assert figures(index.search("ant fox", 8)) == figures(together)
        assert [d.id for d in index.documents()] == sorted(d.id for d in documents)
