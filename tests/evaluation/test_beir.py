"""BEIR's evaluator over this engine, against our own measures of the same searches."""

from __future__ import annotations

import random

import pytest

import hybrid
from hybrid.evaluation import Run, evaluate
from hybrid.evaluation.beir import BEIRSearch

WORDS = [f"w{n}" for n in range(50)]


@pytest.mark.filterwarnings("ignore")  # of what beir imports
def test_beirs_evaluator_gives_our_measures(tmp_path):
    from beir.retrieval.evaluation import EvaluateRetrieval

    rng = random.Random(0)
    corpus = {
        f"d{n:02d}": {"title": f"title{n}", "text": " ".join(rng.choices(WORDS, k=rng.randint(5, 30)))}
        for n in range(60)
    }
    queries = {f"q{n}": " ".join(rng.sample(WORDS, 3)) for n in range(25)}
    qrels = {
        query: {document: rng.randint(1, 2) for document in rng.sample(sorted(corpus), 4)}
        for query in queries
    }
    pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple")])
    evaluator = EvaluateRetrieval(BEIRSearch(pipeline), k_values=[5, 10])
    results = evaluator.retrieve(corpus, queries)
    ndcg, _, recall, _ = evaluator.evaluate(qrels, results, evaluator.k_values)
    documents = [hybrid.Document(id, found["text"], found["title"]) for id, found in corpus.items()]
    with hybrid.create(tmp_path / "index", documents, pipeline) as index:
        found = index.search_many(list(queries.values()), 10)
    expected = {q: {hit.id: hit.score for hit in result} for q, result in zip(queries, found, strict=True)}
    assert results == expected
    ours = evaluate(Run("ours", expected), qrels, ["nDCG@10", "R@5"])
    assert ndcg["NDCG@10"] == pytest.approx(ours.mean("nDCG@10"), abs=1e-4)
    assert recall["Recall@5"] == pytest.approx(ours.mean("R@5"), abs=1e-4)
