"""The life of an index: search, explain, degrade, rerank, reopen."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import hybrid
from hybrid.engine.candidates import Candidates, Source

DOCUMENTS = [
    hybrid.Document("ant", "ant ant bee", "", {"legs": 6, "wings": False}, {"dense": [1.0, 0.0]}),
    hybrid.Document("bee", "bee bee cat", "", {"legs": 6, "wings": True}, {"dense": [0.8, 0.6]}),
    hybrid.Document("cat", "cat dog elk elk", "", {"legs": 4}, {"dense": [0.0, 1.0]}),
    hybrid.Document("dog", "dog", "", {"legs": 4}, {"dense": [-1.0, 0.0]}),
]
BRANCHES = [hybrid.BM25(analyzer="simple"), hybrid.Dense(model=None, dimension=2)]
QUERY = hybrid.Query("bee cat", {"dense": [1.0, 0.0]})


def make(tmp_path, fusion=None, **options):
    pipeline = hybrid.Pipeline(BRANCHES, fusion or hybrid.RRF(k=60), **options.pop("pipeline", {}))
    return hybrid.create(tmp_path / "index", DOCUMENTS, pipeline, **options)


def test_scores_by_hand(tmp_path):
    """RRF of two rankings that can be worked out: bm25 bee, ant|cat…; dense ant, bee, cat, dog."""
    with make(tmp_path) as index:
        result = index.search(QUERY, k=4)
        lexical = [hit.id for hit in index.search(QUERY, k=4, branches=["bm25"])]
        assert lexical == ["bee", "ant", "cat"]  # two terms; one of 3 words; one of 4 words
        expected = {
            "ant": 1 / 62 + 1 / 61,
            "bee": 1 / 61 + 1 / 62,
            "cat": 1 / 63 + 1 / 63,
            "dog": 1 / 64,
        }
        assert [hit.id for hit in result] == ["ant", "bee", "cat", "dog"]
        for hit in result:
            assert hit.score == float(np.float32(expected[hit.id]))
        assert [hit.scores["dense"] for hit in result] == [1.0, float(np.float32(0.8)), 0.0, -1.0]
        assert result[3].scores["bm25"] == 0.0
        assert [hit.rank for hit in result] == [1, 2, 3, 4]
        assert result.exact
        assert result.gap == 0
        assert result.degraded == ()
        assert set(result.timings) >= {"filter", "bm25", "dense", "fuse", "documents", "total"}


def test_filters_reach_every_branch(tmp_path):
    with make(tmp_path) as index:
        result = index.search(QUERY, k=10, where={"legs": 4})
        assert [hit.id for hit in result] == ["cat", "dog"]
        everywhere = {hit.id: hit.scores["bm25"] for hit in index.search(QUERY, k=10)}
        assert {hit.id: hit.scores["bm25"] for hit in result} == {id: everywhere[id] for id in ("cat", "dog")}
        assert len(index.search(QUERY, where={"legs": 8})) == 0
        assert [hit.id for hit in index.search(QUERY, where={"wings": {"$exists": True}})] == ["ant", "bee"]


def test_explain(tmp_path):
    with make(tmp_path, hybrid.Weighted(alpha=0.5)) as index:
        result = index.search(QUERY, k=2)
        assert [hit.id for hit in result] == ["bee", "ant"]
        explanation = result.explain(1)
        assert (explanation.id, explanation.rank, explanation.fused_rank) == ("bee", 1, 1)
        bm25, dense = explanation.branches
        assert (bm25.name, bm25.rank, bm25.normalized, bm25.weight) == ("bm25", 1, 1.0, 0.5)
        assert (dense.name, dense.rank, dense.weight) == ("dense", 2, 0.5)
        assert dense.normalized == pytest.approx(1.8 / 2)
        assert bm25.contribution + dense.contribution == pytest.approx(result[0].score)
        assert [match.term for match in bm25.terms] == ["bee", "cat"]
        assert sum(match.score for match in bm25.terms) == pytest.approx(bm25.raw, rel=1e-6)
        assert (bm25.rank_without, dense.rank_without) == (2, 1)
        last = index.explain(QUERY, "dog", k=2)
        assert (last.rank, last.branches[0].rank, last.branches[1].rank) == (4, None, 4)
        assert (last.branches[0].rank_without, last.branches[1].rank_without) == (4, None)
        text = str(explanation)
        for word in ("bee", "bm25", "dense", "rank without", "adds", "ms"):
            assert word in text
        with pytest.raises(IndexError, match="1 to 2"):
            result.explain(3)
        with pytest.raises(hybrid.NotFoundError, match="'fly'"):
            index.explain(QUERY, "fly")
        with pytest.raises(hybrid.NotFoundError, match="filter"):
            index.explain(QUERY, "dog", where={"legs": 6})


class Broken:
    """A reranker, or an encoder, that fails."""

    dimension, normalized = 2, True

    def __init__(self, works=0):
        self.works = works

    def fingerprint(self):
        return {"model": "broken"}

    def encode_documents(self, texts, progress=None):
        return hybrid.DenseBatch(np.tile(np.float32([1, 0]), (len(texts), 1)), np.zeros(len(texts), bool))

    def encode_queries(self, texts):
        if "boom" in texts:
            raise RuntimeError("out of memory")
        return self.encode_documents(texts)

    def score(self, query, documents):
        raise RuntimeError("gone")


def test_a_failing_branch_degrades(tmp_path):
    pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense("broken")])
    documents = [hybrid.Document("a", "boom"), hybrid.Document("b", "bang")]
    with hybrid.create(tmp_path / "i", documents, pipeline, encoders={"broken": Broken()}) as index:
        assert index.search("bang").degraded == ()
        result = index.search("boom")
        assert ([hit.id for hit in result], result.degraded) == (["a"], ("dense",))
        assert result[0].scores.keys() == {"bm25", "fused"}
        assert result.explain(1).degraded == ("dense",)
        assert [r.degraded for r in index.search_many(["bang", "boom"])] == [(), ("dense",)]
        with pytest.raises(hybrid.BranchError, match=r"dense.*out of memory"):
            index.search("boom", strict=True)
        with pytest.raises(hybrid.BranchError, match="every branch"):
            index.search("boom", branches=["dense"])


class ByLength:
    """A reranker that likes long texts."""

    def score(self, query, documents):
        return np.float32([len(document.text) for document in documents])


def test_reranking(tmp_path):
    stage = hybrid.Rerank("length", top=3)
    options = {"pipeline": {"rerank": [stage]}, "rerankers": {"length": ByLength()}}
    with make(tmp_path, **options) as index:
        result = index.search(QUERY, k=4)
        assert [hit.id for hit in result] == ["cat", "ant", "bee", "dog"]  # dog is below the top 3
        assert [hit.scores.get("rerank:length") for hit in result] == [15.0, 11.0, 11.0, None]
        explanation = result.explain(1)
        assert (explanation.rank, explanation.fused_rank) == (1, 3)
        (part,) = explanation.stages
        assert (part.rank_before, part.rank_after, part.score) == (3, 1, 15.0)
        assert [hit.id for hit in index.search(QUERY, k=1)] == ["cat"]


def test_reranking_interpolates(tmp_path):
    stage = hybrid.Rerank("length", top=4, weight=0.25)
    options = {"pipeline": {"rerank": [stage]}, "rerankers": {"length": ByLength()}}
    with make(tmp_path, hybrid.Weighted(alpha=1.0), **options) as index:
        result = index.search(QUERY, k=4)
        # dense, normalised over the four: 1, .9, .5, 0; lengths 11, 11, 15, 3 give 2/3, 2/3, 1, 0
        expected = {"ant": 0.75 + 0.25 * 2 / 3, "bee": 0.675 + 0.25 * 2 / 3, "cat": 0.375 + 0.25, "dog": 0.0}
        assert {hit.id: hit.score for hit in result} == pytest.approx(expected, rel=1e-6)


def test_a_failing_reranker_degrades(tmp_path):
    options = {"pipeline": {"rerank": [hybrid.Rerank("bad")]}, "rerankers": {"bad": Broken()}}
    with make(tmp_path, **options) as index:
        result = index.search(QUERY, k=2)
        assert ([hit.id for hit in result], result.degraded) == (["ant", "bee"], ("rerank:bad",))
        with pytest.raises(hybrid.BranchError, match="gone"):
            index.search(QUERY, strict=True)
    with hybrid.open(tmp_path / "index") as index, pytest.raises(hybrid.PipelineError, match="rerankers="):
        index.search(QUERY)


class Descending:
    """A reranker that keeps the order, with scores far below every fused one."""

    def score(self, query, documents):
        return np.float32([-5 - n for n in range(len(documents))])


def test_a_stage_sees_further_than_the_one_before(tmp_path):
    """The first stage's scores lie far below the fused ones of what it did not see, which stays below."""
    for weight, expected in ((0.0, ["ant", "bee", "cat", "dog"]), (0.01, ["ant", "cat", "bee", "dog"])):
        stages = [hybrid.Rerank("first", top=2), hybrid.Rerank("second", top=4, weight=weight)]
        options = {"pipeline": {"rerank": stages}, "rerankers": {"first": Descending(), "second": ByLength()}}
        with make(tmp_path, hybrid.Weighted(alpha=1.0), overwrite=True, **options) as index:
            result = index.search(QUERY, k=4)
            assert [
                hit.id for hit in result
            ] == expected  # of bee and cat nothing says how far apart they are
            (first, second) = index.explain(QUERY, "bee").stages
            after = expected.index("bee") + 1
            assert (first.rank_after, second.rank_before, second.rank_after) == (2, 2, after)


def test_explaining_what_is_not_exact(tmp_path):
    """A result that was cut short is explained as it came out; the true fused rank stands beside it."""
    documents = [
        hybrid.Document(f"{n}", "bee " * (n + 1), vectors={"dense": [1 - (n / 10) ** 4, 0]})
        for n in range(10)
    ]  # good in both branches are those in the middle, which neither lists
    pipeline = hybrid.Pipeline(BRANCHES, hybrid.Weighted(alpha=0.5), depth=2, max_depth=2)
    with hybrid.create(tmp_path / "index", documents, pipeline) as index:
        result = index.search(hybrid.Query("bee", {"dense": [1.0, 0.0]}), k=2)
        assert not result.exact
        assert result.gap > 0
        explained = [result.explain(hit.rank) for hit in result]
        assert [e.rank for e in explained] == [1, 2]
        assert min(e.fused_rank for e in explained) > 2
        assert [e.id for e in explained] == [hit.id for hit in result]
        index._pipeline = hybrid.Pipeline(BRANCHES, hybrid.Weighted(alpha=0.5))
        everything = [hit.id for hit in index.search(hybrid.Query("bee", {"dense": [1.0, 0.0]}), k=10)]
        assert [everything.index(e.id) + 1 for e in explained] == [e.fused_rank for e in explained]


def test_an_explanation_leaves_out_what_the_result_did(tmp_path):
    """Although the branch would answer now."""
    encoder = Broken()
    pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense("broken")])
    documents = [hybrid.Document("a", "boom"), hybrid.Document("b", "bang")]
    with hybrid.create(tmp_path / "i", documents, pipeline, encoders={"broken": encoder}) as index:
        result = index.search("boom")
        encoder.encode_queries = encoder.encode_documents
        assert index.search("boom").degraded == ()
        explanation = result.explain(1)
        assert (explanation.degraded, [part.name for part in explanation.branches]) == (("dense",), ["bm25"])
        assert explanation.fused == result[0].score


def test_a_branch_that_cannot_be_explained(tmp_path, monkeypatch):
    def fail(*arguments):
        raise MemoryError("too much")

    with make(tmp_path) as index:
        result = index.search(QUERY)
        for method in ("matches", "ranks"):
            with monkeypatch.context() as patch:
                patch.setattr(f"hybrid.index.sparse.scorer.SparseScorer.{method}", fail)
                with pytest.raises(hybrid.BranchError, match=r"cannot explain 'dog'.*bm25.*too much"):
                    index.explain(QUERY, "dog")
        assert result.explain(1).id == result[0].id


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (np.float32([[1, 0]]), r"shape \(1, 2\) for 2 texts"),
        (np.float32([[1], [1]]), r"\(2, 2\) is needed"),
        (np.float32([[1, 0], [np.nan, 0]]), r"not finite for document 'd'"),
        (np.float32([[3, 0], [1, 0]]), r"length 3.0000 for document 'c'"),
    ],
)
def test_an_encoder_that_gives_nonsense(tmp_path, vectors, words):
    encoder = Broken()
    pipeline = hybrid.Pipeline([hybrid.Dense("broken")])
    with hybrid.create(tmp_path / "i", [], pipeline, encoders={"broken": encoder}) as index:
        encoder.encode_documents = lambda texts, progress=None: hybrid.DenseBatch(vectors, np.zeros(2, bool))
        with pytest.raises(hybrid.EncoderError, match=words):
            index.add([hybrid.Document("c", "c"), hybrid.Document("d", "d")])
        encoder.encode_queries = lambda texts: hybrid.DenseBatch(vectors[:0], np.zeros(0, bool))
        with pytest.raises(hybrid.BranchError, match=r"every branch failed.*gave 0 of them for 1 texts"):
            index.search("one text")
        assert (len(index), index.generation) == (0, 1)


def test_readers_keep_their_generation(tmp_path):
    with make(tmp_path) as writer, hybrid.open(tmp_path / "index") as reader:
        writer.delete(["ant"])
        writer.update([hybrid.Document("bee", "elk", vectors={"dense": [0, 1]})])
        writer.optimize()
        assert (reader.generation, len(reader), reader.get("bee").text) == (1, 4, "bee bee cat")
        assert [hit.id for hit in reader.search(QUERY)] == ["ant", "bee", "cat", "dog"]
        assert reader.refresh()
        assert not reader.refresh()
        assert (len(reader), reader.get("bee").text) == (3, "elk")


def test_query_time_settings_may_change(tmp_path):
    make(tmp_path).close()
    flat = hybrid.Pipeline([hybrid.BM25(k1=0.0, b=0.0, analyzer="simple")])
    with hybrid.open(tmp_path / "index", pipeline=flat) as index:
        scores = [hit.score for hit in index.search("bee")]
        assert scores[0] == scores[1]  # k1 = 0: how often a term occurs does not count
    with pytest.raises(hybrid.PipelineError, match="leaves out dense"):
        hybrid.open(tmp_path / "index", "w", flat)
    with pytest.raises(hybrid.FingerprintError, match=r"analyzer.*simple.*english"):
        hybrid.open(tmp_path / "index", pipeline=hybrid.Pipeline([hybrid.BM25()]))
    with pytest.raises(hybrid.PipelineError, match=r"no branch 'other'.*bm25, dense"):
        hybrid.open(tmp_path / "index", pipeline=hybrid.Pipeline([hybrid.BM25(name="other")]))


def test_many_threads_search_while_one_writes(tmp_path):
    with make(tmp_path) as index:
        failures, stop = [], threading.Event()

        def read():
            while not stop.is_set():
                result = index.search(QUERY, k=50)
                if len(result) not in (4, 14) or not result.exact:
                    failures.append(result)

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for _ in range(10):
            extra = [hybrid.Document(f"x{n}", "bee", vectors={"dense": [0, 1]}) for n in range(10)]
            index.add(extra)
            index.delete([d.id for d in extra])
        stop.set()
        for reader in readers:
            reader.join()
        assert failures == []


def test_closing_while_others_search(tmp_path):
    """A search under way ends as if nothing had happened."""
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with make(tmp_path) as index, ThreadPoolExecutor(3) as pool:
            searches = [pool.submit(index.search, QUERY) for _ in range(600)]
            while not all(search.done() for search in searches):
                index.close()
            assert {len(search.result()) for search in searches} == {4}
    finally:
        sys.setswitchinterval(switching)


def test_stats(tmp_path):
    with make(tmp_path) as index:
        index.delete(["dog"])
        stats = index.stats()
        assert (stats.documents, stats.deleted, stats.segments, stats.generation) == (3, 1, 1, 2)
        assert stats.fields == ("legs", "wings")
        assert stats.branches["bm25"] == {"terms": 10, "average_length": 10 / 3}
        assert stats.truncated == {"dense": 0}
        assert stats.bytes == sum(p.stat().st_size for p in (index.path / "segments").iterdir())


def test_search_many_equals_search(tmp_path):
    with make(tmp_path) as index:
        queries = [
            hybrid.Query(text, {"dense": v}) for text in ("", "bee", "elk dog") for v in ([1, 0], [0, 1])
        ]
        assert [r.hits for r in index.search_many(queries, 3)] == [index.search(q, 3).hits for q in queries]
        assert index.search_many([]) == []
        assert index.search(queries[0]) == index.search(queries[0])
        told = []
        index.search_many(queries * 50, progress=lambda stage, done, total: told.append((done, total)))
        assert told == [(n + 1, 300) for n in range(300)]


def test_scores_never_rise_whatever_the_reranker_says(tmp_path):
    """What a stage did not see is shifted below what it saw, and keeps its distances."""
    options = {"pipeline": {"rerank": [hybrid.Rerank("low", top=2)]}, "rerankers": {"low": Logits()}}
    with make(tmp_path, hybrid.Weighted(alpha=1.0), **options) as index:
        result = index.search(QUERY, k=4)
        assert [hit.id for hit in result] == ["bee", "ant", "cat", "dog"]
        scores = [hit.score for hit in result]
        assert scores == sorted(scores, reverse=True)
        assert scores[:2] == [-8.0, -9.0]
        assert scores[2] - scores[3] == pytest.approx(0.5, rel=1e-5)
        assert [hit.scores["fused"] for hit in result] == pytest.approx([0.9, 1.0, 0.5, 0.0], abs=1e-6)


class Logits:
    """A reranker whose scores are all far below 0."""

    def score(self, query, documents):
        return np.float32([-9.0 if document.id == "ant" else -8.0 for document in documents])


def test_a_result_without_a_branch_is_not_exact(tmp_path):
    pipeline = hybrid.Pipeline(
        [hybrid.BM25(analyzer="simple"), hybrid.Dense("broken")],
        hybrid.RRF(weights={"bm25": 0, "dense": 1}),
    )
    documents = [hybrid.Document("a", "x"), hybrid.Document("b", "boom boom"), hybrid.Document("c", "boom x")]
    with hybrid.create(tmp_path / "i", documents, pipeline, encoders={"broken": Broken()}) as index:
        result = index.search("boom")
        assert (result.degraded, result.exact, result.gap) == (("dense",), False, float("inf"))
        assert [hit.id for hit in result] == [
            "b",
            "c",
        ]  # the branch that is left counts, though its weight is 0
        assert [hit.id for hit in index.search("boom", branches=["bm25"])] == ["b", "c"]


def test_a_reader_refuses_an_index_that_was_replaced_by_another_kind(tmp_path):
    documents = [hybrid.Document("a", "running")]
    hybrid.create(tmp_path / "i", documents, hybrid.Pipeline([hybrid.BM25(analyzer="simple")])).close()
    with hybrid.open(tmp_path / "i") as reader:
        hybrid.create(
            tmp_path / "i",
            documents * 1,
            hybrid.Pipeline([hybrid.BM25(k1=2, analyzer="simple")]),
            overwrite=True,
        ).close()
        assert reader.refresh()
        hybrid.create(
            tmp_path / "i", documents, hybrid.Pipeline([hybrid.BM25(analyzer="english")]), overwrite=True
        ).close()
        with pytest.raises(hybrid.FingerprintError, match="open the index again"):
            reader.refresh()
        assert (len(reader.search("running")), reader.generation) == (1, 2)


def test_ready_made_vectors_come_back(tmp_path):
    with make(tmp_path) as index:
        again = index.get("bee")
        assert again == DOCUMENTS[1]
        assert again.vectors["dense"].tolist() == np.float32([0.8, 0.6]).tolist()
        before = index.search(QUERY).hits
        index.update(list(index.documents()))
        assert index.search(QUERY).hits == before


def test_the_bound_by_hand(tmp_path):
    """An unseen document can at best stand right below each list: rank 2 in both, by RRF 1/62 + 1/62."""
    with make(tmp_path) as index:
        snapshot = index._store.snapshot
        mask = snapshot.mask()
        encoded = [b.encode_queries([QUERY], index._encoders)[0] for b in BRANCHES]
        sources = [
            Source(b.name, b.kind, b.scorer(snapshot, q, mask))
            for b, q in zip(BRANCHES, encoded, strict=True)
        ]
        lists = {source.name: source.scorer.top(1) for source in sources}
        candidates = Candidates(sources, hybrid.RRF(k=60), snapshot, lists, 1)
        assert candidates.pool.bound == float(np.float32(2 / 62))
        weighted = Candidates(sources, hybrid.Weighted(alpha=0.5), snapshot, lists, 1)
        last = [float(lists[name].scores[-1]) for name in ("bm25", "dense")]
        assert last[1] == 1.0
        assert weighted.pool.bound == 1.0  # both lists' last scores are their maxima
        assert candidates.deepen(lambda pool: False).bound == -np.inf


def test_many_small_commits_do_not_use_up_file_descriptors(tmp_path):
    with make(tmp_path) as made:
        path = made.path
    with hybrid.open(path, "w", merging=None) as index:
        index.add([hybrid.Document("x", "bee", vectors={"dense": [0, 1]})])
        before = len(list(Path("/proc/self/fd").iterdir()))
        for n in range(30):
            index.add([hybrid.Document(f"x{n}", "bee", vectors={"dense": [0, 1]})])
        assert index.stats().segments == 32
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
