"""Queries that learn from the collection: RM3 by hand and by plain loops, and words spelt otherwise."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybrid
from hybrid import BM25, RM3, Cleaning, Document, Passages, Pipeline, Recursive
from hybrid.text.spelling import distances

SEARCHER = "io.anserini.search.SimpleSearcher"
WORDS = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "ibis", "jay"]


def corpus(seed=0, n=60):
    rng = random.Random(seed)
    return [
        Document(
            f"d{k:02}",
            " ".join(rng.choices(WORDS, weights=range(1, 11), k=rng.randint(1, 9))),
            metadata={"odd": k % 2},
        )
        for k in range(n)
    ]


def created(path, documents, **how):
    return hybrid.create(path, documents, Pipeline([BM25(analyzer="simple", **how)]))


def test_a_relevance_model_by_hand():
    shares = {"a": 0.05, "b": 0.05, "c": 0.05, "the": 0.9, "x": 0.05}
    documents = [(["aa", "bb", "bb", "the"], 3.0), (["bb", "cc", "cc", "cc"], 1.0)]
    model = RM3(documents=2, terms=2, weight=0.25)
    # p(aa|1) = 1/3, p(bb|1) = 2/3; p(bb|2) = 1/4, p(cc|2) = 3/4; f: aa 1, bb 2.25, cc .75; kept: bb, aa
    found = model.expanded({"aa": 1, "qq": 1}, documents, lambda term: 0.9 if term == "the" else 0.05)
    assert found == pytest.approx({"bb": 0.75 * 2.25 / 3.25, "aa": 0.125 + 0.75 / 3.25, "qq": 0.125})
    assert list(found) == ["bb", "aa", "qq"]
    assert model.expanded({"q": 2}, [], shares.get) == {"q": 2}
    assert RM3(weight=1.0).expanded({"q": 2}, documents, lambda term: 0.05) == {"q": 1.0}


@pytest.mark.parametrize("where", [None, {"odd": 1}])
def test_a_search_is_one_with_the_expanded_query(tmp_path, where):
    documents, model = corpus(), RM3(documents=5, terms=4, weight=0.4, common=0.6)
    with created(tmp_path / "i", documents[:40]) as index:
        index.add(documents[40:])
        plain = index.retrieve("cat dog dog", 5)
        texts = {d.id: d.text.split() for d in documents}
        frequency = Counter(term for terms in texts.values() for term in set(terms))
        expanded = model.expanded(
            {"cat": 1, "dog": 2},
            [(texts[id], score) for id, score in zip(plain.ids, plain.scores.tolist(), strict=True)],
            lambda term: frequency[term] / len(documents),
        )
        assert len(expanded) > 2
        totals: Counter[str] = Counter()
        for term, weight in expanded.items():
            found = index.retrieve(term, 100, where)
            totals.update(
                {id: weight * score for id, score in zip(found.ids, found.scores.tolist(), strict=True)}
            )
    with hybrid.open(tmp_path / "i", pipeline=Pipeline([BM25(analyzer="simple", feedback=model)])) as index:
        found = index.retrieve("cat dog dog", 100, where)
        assert dict(zip(found.ids, found.scores.tolist(), strict=True)) == pytest.approx(
            dict(totals), rel=1e-5
        )
        hit = index.search("cat dog dog", 3, where)[0]
        assert hit.id == found.ids[0]
        assert {term.term for term in index.explain("cat dog dog", hit.id).branches[0].terms} <= set(expanded)


def test_feedback_reads_texts_as_they_were_cleaned(tmp_path):
    documents = [Document("a", "ant <b>bee</b>"), Document("b", "b cat"), Document("c", "bee cat")]
    how = {"feedback": RM3(documents=1, weight=0.0, common=1.0)}
    pipeline = Pipeline([BM25(analyzer="simple", **how)], cleaning=Cleaning(html=True))
    with hybrid.create(tmp_path / "i", documents, pipeline) as index:
        assert {hit.id for hit in index.search("ant", 9)} == {"a", "c"}  # bee, not the tag


def test_feedback_over_passages(tmp_path):
    text = "ant bee. " + "fox gnu hen. " * 5
    pipeline = Pipeline(
        [BM25(analyzer="simple", feedback=RM3(documents=1, common=1.0))], passages=Passages(Recursive(2))
    )
    with hybrid.create(tmp_path / "i", [Document("a", text), Document("b", "bee")], pipeline) as index:
        assert [hit.id for hit in index.search("ant", 9)] == ["a", "b"]


def test_words_that_no_document_has(tmp_path):
    documents = [
        Document("a", "retrieval of documents"),
        Document("b", "retrieve"),
        Document("c", "aunt ant"),
    ]
    with created(tmp_path / "i", documents) as index:
        assert index.search("retreival").hits == ()
    with hybrid.open(tmp_path / "i", pipeline=Pipeline([BM25(analyzer="simple", fuzzy=2)])) as index:
        assert [hit.id for hit in index.search("retreival")] == ["a"]
        assert [hit.id for hit in index.search("documnt xq retreival")] == ["a"]
        assert [hit.id for hit in index.search("antt")] == ["c"]
        assert [hit.id for hit in index.search("ant retreival")] == ["c"]  # a word that is there is enough
        assert index.search("xyzxyz").hits == ()
        assert index.search("").hits == ()
        (part,) = index.explain("retreival", "a").branches
        assert [match.term for match in part.terms] == ["retrieval"]


@given(st.text("abcd", max_size=6), st.lists(st.text("abcd", max_size=7), max_size=5))
def test_distances_are_those_of_plain_recursion(word, others):
    def distance(a, b):
        if not a or not b:
            return len(a) + len(b)
        best = min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0]))
        if len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0]:
            best = min(best, distance(a[2:], b[2:]) + 1)
        return best

    short = [other[:4] for other in others]
    assert distances(word[:4], short).tolist() == [distance(word[:4], other) for other in short]


def test_distances_of_characters_not_bytes():
    assert distances("straße", ["strasse", "straßen", "🙂"]).tolist() == [2, 1, 6]


@pytest.mark.parametrize(
    "make",
    [
        lambda: RM3(documents=0),
        lambda: RM3(terms=True),
        lambda: RM3(weight=1.5),
        lambda: RM3(common=-0.1),
        lambda: BM25(feedback=5),
        lambda: BM25(fuzzy=3),
        lambda: BM25(fuzzy=True),
    ],
)
def test_values_are_checked(make):
    with pytest.raises(hybrid.PipelineError):
        make()


def test_recipes():
    pipeline = Pipeline([BM25(feedback=RM3(5, 20, 0.7), fuzzy=1)])
    assert hybrid.parse_recipe(hybrid.format_recipe(pipeline)) == pipeline
    assert "feedback" not in hybrid.format_recipe(Pipeline())


@pytest.mark.usefixtures("java")
def test_anserini_gives_the_same_scores(tmp_path):
    from hybrid.branches.lucene import jvm

    rng = random.Random(0)
    words = [f"w{n}" for n in range(60)]
    texts = [" ".join(rng.choices(words, weights=range(1, 61), k=rng.randint(3, 30))) for _ in range(300)]
    documents = [Document(f"d{n:03}", text) for n, text in enumerate(texts)]
    (tmp_path / "c").mkdir()
    lines = (json.dumps({"id": d.id, "contents": d.text}) for d in documents)
    (tmp_path / "c" / "c.jsonl").write_text("\n".join(lines))
    options = {"collection": "JsonCollection", "input": str(tmp_path / "c"), "index": str(tmp_path / "x")}
    options |= {"generator": "DefaultLuceneDocumentGenerator", "threads": "1"}
    told = [part for name, value in options.items() for part in (f"-{name}", value)]
    indexing, searching = jvm.java("io.anserini.index.IndexCollection"), jvm.java(SEARCHER)
    analyzer = jvm.java("org.apache.lucene.analysis.core.WhitespaceAnalyzer")
    queries = ("w3 w20", "w1 w2 w2 w45", "w7")
    with jvm.calling():
        indexing.main([*told, "-storeDocvectors", "-pretokenized", "-quiet"])
        searcher = searching(str(tmp_path / "x"))
        searcher.set_analyzer(analyzer())
        searcher.set_bm25(0.9, 0.4)
        searcher.set_rm3(None, 5, 4, 0.4, False, True)
        theirs = [{hit.docid: hit.score for hit in searcher.search(query, 300)} for query in queries]
        searcher.close()
    feedback = RM3(documents=4, terms=5, weight=0.4)
    with created(tmp_path / "i", documents, k1=0.9, b=0.4, feedback=feedback) as index:
        for query, expected in zip(queries, theirs, strict=True):
            found = index.retrieve(query, 300)
            ours = dict(zip(found.ids, found.scores.tolist(), strict=True))
            assert len(ours) > 40
            assert ours == pytest.approx(expected, abs=1e-4)  # Anserini rounds what it returns
