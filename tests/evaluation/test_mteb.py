"""MTEB's evaluator over this engine, and its tasks read by it, against our own measures."""

from __future__ import annotations

import random

import pytest

import hybrid
from hybrid.errors import CorpusError, InputError
from hybrid.evaluation import Run, evaluate
from hybrid.evaluation.mteb import MTEBSearch
from tests.corpus.datasets.published import save

WORDS = [f"w{n}" for n in range(50)]
PIPELINE = hybrid.Pipeline([hybrid.BM25(analyzer="simple")])

pytestmark = pytest.mark.filterwarnings("ignore")  # of what mteb imports, and of metadata left empty


def rows():
    rng = random.Random(0)
    # No two documents have one length, so no two scores are equal: MTEB breaks ties by ids in reverse.
    corpus = [
        {"_id": f"d{n:02d}", "title": f"title{n}", "text": " ".join(rng.choices(WORDS, k=5 + n))}
        for n in range(60)
    ]
    queries = [{"_id": f"q{n}", "text": " ".join(rng.sample(WORDS, 3))} for n in range(25)]
    qrels = [
        {"query-id": query["_id"], "corpus-id": found["_id"], "score": rng.randint(1, 2)}
        for query in queries
        for found in rng.sample(corpus, 4)
    ]
    return corpus, queries, qrels


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A task of MTEB's whose repository is a folder, under a name that MTEB knows."""
    import datasets
    from mteb import get_tasks
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    corpus, queries, qrels = rows()
    root = tmp_path_factory.mktemp("mteb")
    instructions = [{"query-id": query["_id"], "instruction": "w1 w2"} for query in queries]
    plain = {"corpus": {"test": corpus}, "queries": {"test": queries}, "default": {"test": qrels}}
    paths = {
        "MadeRetrieval": save(root / "plain", plain),
        "MadeInstructed": save(root / "instructed", plain | {"instruction": {"test": instructions}}),
    }
    shared = dict.fromkeys(
        ["reference", "date", "domains", "task_subtypes", "license", "annotations_creators", "dialect"]
    )
    made = {
        name: type(
            name,
            (AbsTaskRetrieval,),
            {
                "metadata": TaskMetadata(
                    name=name,
                    description="made",
                    type="Retrieval",
                    category="t2t",
                    modalities=["text"],
                    eval_splits=["test"],
                    eval_langs=["eng-Latn"],
                    main_score="ndcg_at_10",
                    dataset={"path": str(path), "revision": "1"},
                    sample_creation=None,
                    bibtex_citation=None,
                    **shared,
                )
            },
        )
        for name, path in paths.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", root / "cache")
        for name, kind in made.items():
            patch.setitem(get_tasks.__globals__["_TASKS_REGISTRY"], name, kind)
        yield made["MadeRetrieval"]


def searched(tmp_path, source):
    """Return our own run over what we read of a task ourselves, its judgements, and the two together."""
    queries, qrels = hybrid.read_queries(source), hybrid.read_qrels(source)
    with hybrid.create(tmp_path / "index", hybrid.read(source), PIPELINE) as index:
        found = index.search_many([text for _, text in queries], 1000)
    run = {qid: {h.id: h.score for h in r} for (qid, _), r in zip(queries, found, strict=True)}
    return queries, qrels, Run("ours", run)


@pytest.mark.slow  # MTEB imports all of sentence-transformers
def test_mtebs_evaluator_gives_our_measures(tmp_path, task):
    import mteb

    result = mteb.evaluate(MTEBSearch(PIPELINE), task(), cache=None, show_progress_bar=False)
    (scores,) = result.task_results[0].scores["test"]
    queries, qrels, run = searched(tmp_path, "mteb:MadeRetrieval")
    _, asked, judged = rows()
    assert queries == [(row["_id"], row["text"]) for row in asked]
    assert sum(map(len, qrels.values())) == len(judged)
    ours = evaluate(run, qrels, ["nDCG@10", "R@5", "AP@1000", "RR@10"])
    assert 0.05 < scores["ndcg_at_10"] < 0.95
    for theirs, name in (("ndcg_at_10", "nDCG@10"), ("recall_at_5", "R@5"), ("map_at_1000", "AP@1000")):
        assert scores[theirs] == pytest.approx(ours.mean(name), abs=1e-4)
    assert result.model_name == "hybrid/hybrid"


def test_instructions_are_part_of_the_query(task):
    texts = [text for _, text in hybrid.read_queries("mteb:MadeInstructed#test")]
    assert texts == [f"{row['text']} w1 w2" for row in rows()[1]]


def test_tasks_and_splits_that_are_not_there(task):
    with pytest.raises(CorpusError, match=r"mteb:MadeRetrieva: .*MadeRetrieval"):
        hybrid.read("mteb:MadeRetrieva")
    with pytest.raises(CorpusError, match="names 0 sets of queries; add one of #default/test"):
        hybrid.read_queries("mteb:MadeRetrieval#dev")
    with pytest.raises(CorpusError, match="a task of Classification; give one of Retrieval"):
        hybrid.read("mteb:Banking77Classification")


def test_what_cannot_be_searched_is_refused():
    engine = MTEBSearch(PIPELINE)
    with pytest.raises(InputError, match="nothing is indexed; call index"):
        engine.search([{"id": "q", "text": "w1"}], top_k=10)
    with pytest.raises(InputError, match="document 'd' has no text"):
        engine.index([{"id": "d", "image": b""}])
    engine.index([{"id": "d", "text": "w1 w2"}])
    with pytest.raises(InputError, match="reranks documents that are given"):
        engine.search([{"id": "q", "text": "w1"}], top_k=10, top_ranked={"q": ["d"]})
    with pytest.raises(CorpusError, match="query 'q': 'text' must be a string"):
        engine.search([{"id": "q", "text": [{"role": "user", "content": "w1"}]}], top_k=10)
    assert engine.search([{"id": "q", "text": "w1"}], top_k=10).keys() == {"q"}
    engine.close()
    with pytest.raises(InputError, match="nothing is indexed"):
        engine.search([], top_k=10)
