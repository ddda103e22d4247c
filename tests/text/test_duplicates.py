"""Near-duplicates: found as exact comparison finds them, reported, dropped or collapsed in results."""

from __future__ import annotations

import random

import pytest

import hybrid
from hybrid import BM25, Document, NearDuplicates, Parents, Pipeline

WORDS = [f"w{n}" for n in range(400)]
FINDER = NearDuplicates(0.6)


def corpus(seed=0, n=60):
    """Documents, half of them copies of an earlier one with a few words changed."""
    rng = random.Random(seed)
    documents = []
    for k in range(n):
        words = rng.choices(WORDS, k=60)
        if documents and k % 2:
            words = rng.choice(documents).text.split()
            for _ in range(rng.randint(0, 12)):
                words[rng.randrange(len(words))] = rng.choice(WORDS)
        documents.append(Document(f"d{k:02}", " ".join(words)))
    return documents


def test_similarity_by_hand():
    a, b = Document("a", "The cat sat on mats."), Document("b", "the CAT sat on a mat")
    # the cat sat, cat sat on, sat on mats | the cat sat, cat sat on, sat on a, on a mat
    assert NearDuplicates().similarity(a, b) == 2 / 5
    assert NearDuplicates(words=9).similarity(a, a) == 1.0
    assert NearDuplicates().similarity(Document("x"), Document("y")) == 0.0
    assert NearDuplicates().shingles(Document("x", "東京都")) == {"東京 京都"}


@pytest.mark.parametrize("seed", range(3))
def test_what_is_found_is_what_exact_comparison_finds(seed):
    documents = corpus(seed)
    by_id = {d.id: d for d in documents}
    found = {each.id: each for each in FINDER.report(documents)}
    assert 5 < len(found) < 30
    kept = [d for d in documents if d.id not in found]
    for each in found.values():
        exact = FINDER.similarity(by_id[each.id], by_id[each.of])
        assert each.similarity == pytest.approx(exact, abs=0.12)
        assert each.of not in found
        assert each.of < each.id
    for n, document in enumerate(kept):
        assert all(FINDER.similarity(document, other) < 0.6 + 0.12 for other in kept[:n])


def test_distinct_and_marked_agree_with_the_report():
    documents = corpus(4)
    found = {each.id: each.of for each in FINDER.report(iter(documents))}
    assert [d.id for d in FINDER.distinct(documents)] == [d.id for d in documents if d.id not in found]
    marked = list(FINDER.marked(documents))
    assert [d.id for d in marked] == [d.id for d in documents]
    assert {d.id: d.metadata["duplicate_of"] for d in marked if d.metadata} == found
    with pytest.raises(hybrid.DocumentError, match="metadata under 'duplicate_of'"):
        list(FINDER.marked(marked))


def test_results_show_one_of_each_group(tmp_path):
    text = "the quick brown fox jumps over the lazy dog near the river bank today"
    documents = [
        Document("c", text),
        Document("a", f"{text} again"),
        Document("b", "a fox in another story altogether, with a dog"),
        Document("e"),
        Document("f"),
    ]
    pipeline = Pipeline([BM25()], rerank=[Parents("duplicate_of")])
    with hybrid.create(tmp_path / "i", FINDER.marked(documents), pipeline) as index:
        assert [hit.id for hit in index.search("fox dog")] == ["b", "c"]
        assert index.get("a").metadata == {"duplicate_of": "c"}


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": 0}, {"threshold": 1.5}, {"words": 0}, {"permutations": 2}, {"seed": -1}, {"field": ""}],
)
def test_values_are_checked(wrong):
    with pytest.raises(hybrid.InputError, match=next(iter(wrong))):
        NearDuplicates(**wrong)


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasketch", None)
    with pytest.raises(hybrid.MissingDependencyError, match=r"hybrid-retrieval\[duplicates\]"):
        list(NearDuplicates().report([Document("a")]))
