"""Rerank stages tuned on scores computed once, against searches that really rerank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import hybrid
from hybrid.evaluation import Grid, Run, Scores, evaluate, settings, tune
from hybrid.evaluation.reranking import measure_reranked, reranked

SMALL = Grid(
    steps=4, normalizers=(hybrid.TM2C2(),), rrf_k=(60,), k1=(), b=(), tops=(3, 25), shares=(0.0, 0.3, 1.0)
)
WEIGHTED = hybrid.Weighted(alpha=0.6)


class Judge:
    """A reranker that knows the judgements, with errors; equal scores are frequent."""

    def __init__(self, queries, qrels, errors):
        self.grades = {query.text: qrels[qid] for qid, query in queries}
        self.errors, self.asked = errors, []

    def score(self, query, documents):
        self.asked.append([document.id for document in documents])
        noise = [np.random.default_rng(abs(hash_(query + d.id))).normal(0, self.errors) for d in documents]
        known = self.grades[query]
        return np.round([known.get(d.id, 0) + n for d, n in zip(documents, noise, strict=True)], 1)


class Listwise:
    """A reranker that orders the list that it sees: the score is the place from the end."""

    def score(self, query, documents):
        return np.arange(len(documents), 0, -1, dtype=np.float32)


def hash_(text):
    return int.from_bytes(text.encode()[-7:], "big")


def opened(index, rerankers, *stages, fusion=WEIGHTED):
    pipeline = replace(index.pipeline, fusion=fusion, rerank=stages)
    return hybrid.open(index.path, pipeline=pipeline, rerankers=rerankers)


def searched(reader, setting, rerankers, queries, qrels, k=50):
    pipeline = setting.pipeline(reader.pipeline, reader.pipeline.branches)
    taken = {branch.name for branch in pipeline.branches}
    asked = [
        hybrid.Query(q.text, {name: v for name, v in q.vectors.items() if name in taken}) for _, q in queries
    ]
    with hybrid.open(reader.path, pipeline=pipeline, rerankers=rerankers) as other:
        results = other.search_many(asked, k)
    # By place: scores below a stage's top are shifted, and may become equal by rounding.
    run = {qid: {h.id: float(-h.rank) for h in r} for (qid, _), r in zip(queries, results, strict=True)}
    return evaluate(Run("run", run), qrels, ["nDCG@10", "R@50"])


@pytest.mark.parametrize("stages", [1, 2])
def test_the_table_is_what_searches_return(collection, stages):
    index, queries, qrels = collection
    judges = {"first": Judge(queries, qrels, 1.0), "second": Judge(queries, qrels, 0.3)}
    chosen = [hybrid.Rerank("first", 10, 0.5), hybrid.Rerank("second", 4, 0.7)][:stages]
    with opened(index, judges, *chosen) as reader:
        first = settings(reader.pipeline, reader.pipeline.branches, SMALL)
        tried = reranked(reader.pipeline, first, SMALL)
        assert len(tried) == (2 + 3 + 1) * 7**stages
        scores = Scores.of(reader, queries, qrels, depth=150)
        texts = [query for _, query in queries]
        for judge in judges.values():
            judge.asked.clear()
        table = measure_reranked(reader, texts, scores, tried, "nDCG@10")
        assert [len(judges[s.model].asked) for s in chosen] == [len(queries) + 1] * stages
        recall = measure_reranked(reader, texts, scores, tried, "R@50")
        for at in range(0, len(tried), 5 if stages == 1 else 29):
            found = searched(reader, tried[at], judges, queries, qrels)
            assert table[at] == pytest.approx(found.values["nDCG@10"], abs=1e-12), tried[at]
            assert recall[at] == pytest.approx(found.values["R@50"], abs=1e-12), tried[at]


def test_a_good_reranker_is_recommended_with_its_top_and_weight(collection):
    index, queries, qrels = collection
    judges = {"judge": Judge(queries, qrels, 0.3)}
    with opened(index, judges, hybrid.Rerank("judge", 5, 0.1)) as reader:
        tuned = tune(reader, queries, qrels, grid=SMALL)
        (stage,) = tuned.pipeline.rerank
        assert (stage.model, stage.top) == ("judge", 25)
        assert stage.weight >= 0.3
        assert f"reranked by rerank:judge top=25 weight={stage.weight:g}: +" in tuned.sentence
        assert tuned.families[-1].name == "reranked"
        assert tuned.held_out > tuned.families[1].held_out + 0.1
        assert tuned.settings == sum(family.settings for family in tuned.families)


def test_a_reranker_that_knows_nothing_is_left_out(collection):
    index, queries, qrels = collection
    blind = {"judge": Judge(queries, {qid: {} for qid in qrels}, 1.0)}
    with opened(index, blind, hybrid.Rerank("judge", 20, 1.0)) as reader:
        tuned = tune(reader, queries, qrels, grid=SMALL)
        assert tuned.pipeline.rerank == ()
        assert "reranked" not in tuned.sentence
        with opened(index, {}) as plain:
            assert tuned.held_out == pytest.approx(tune(plain, queries, qrels, grid=SMALL).held_out)


def test_stages_are_left_as_they_are_on_request(collection):
    index, queries, qrels = collection
    judge = Judge(queries, qrels, 0.3)
    with opened(index, {"judge": judge}, hybrid.Rerank("judge", 5, 0.1)) as reader:
        tuned = tune(reader, queries, qrels, grid=replace(SMALL, tops=()))
    assert tuned.pipeline.rerank == (hybrid.Rerank("judge", 5, 0.1),)
    assert judge.asked == []


def test_models_that_order_lists_are_refused(collection):
    index, queries, qrels = collection
    with (
        opened(index, {"list": Listwise()}, hybrid.Rerank("list", 5)) as reader,
        pytest.raises(hybrid.InputError, match=r"rerank:list scores a document by what else is in the list"),
    ):
        tune(reader, queries, qrels, grid=SMALL)


def test_late_interaction_is_tuned_on_stored_token_vectors(tmp_path, collection):
    index, queries, qrels = collection
    rng = np.random.default_rng(2)
    directions = {document.id: rng.standard_normal(4) for document in index.documents()}
    documents = [
        replace(d, vectors={**d.vectors, "maxsim": [directions[d.id].tolist()]}) for d in index.documents()
    ]
    asked = [
        (qid, replace(q, vectors={**q.vectors, "maxsim": [directions[d].tolist() for d in qrels[qid]]}))
        for qid, q in queries
    ]
    pipeline = replace(
        index.pipeline, fusion=WEIGHTED, rerank=(hybrid.MaxSim(dimension=4, top=9, weight=0.2),)
    )
    with hybrid.create(tmp_path / "tokens", documents, pipeline) as tokens:
        tuned = tune(tokens, asked, qrels, grid=SMALL)
        stage = tuned.pipeline.rerank[0]
        assert (stage.name, stage.top) == ("maxsim", 25)
        with hybrid.open(tokens.path, pipeline=tuned.pipeline) as reader:
            results = reader.search_many([query for _, query in asked], 10)
    run = {qid: {h.id: h.score for h in r} for (qid, _), r in zip(asked, results, strict=True)}
    assert tuned.fitted == pytest.approx(evaluate(Run("run", run), qrels).mean("nDCG@10"), abs=1e-12)
