"""Cleaning as part of a pipeline: recorded, and seen by everything that reads texts."""

from __future__ import annotations

import pytest

import hybrid

DOCUMENTS = [
    hybrid.Document("a", "<p>the cell</p><p>divides &amp; grows</p>", "<b>Biology</b>"),
    hybrid.Document("b", "p script cell"),
]
CLEAN = hybrid.Pipeline([hybrid.BM25()], cleaning=hybrid.Cleaning(html=True), rerank=[hybrid.Rerank("seen")])


class Seen:
    def score(self, query, documents):
        self.texts = {document.id: (document.title, document.text) for document in documents}
        self.query = query
        return [0.0] * len(documents)


def test_branches_and_rerankers_see_clean_texts_and_hits_the_stored_ones(tmp_path):
    seen = Seen()
    with hybrid.create(tmp_path / "i", DOCUMENTS, CLEAN, rerankers={"seen": seen}) as index:
        assert index.retrieve("p").ids == ["b"]  # the tags are no words
        result = index.search("  cell\x07  divides ")
        assert {hit.id for hit in result} == {"a", "b"}
        assert seen.texts["a"] == ("Biology", "the cell divides & grows")
        assert seen.query == "cell divides"
        assert next(hit for hit in result if hit.id == "a").text == DOCUMENTS[0].text
        assert index.get("a") == DOCUMENTS[0]


def test_another_cleaning_is_refused(tmp_path):
    hybrid.create(tmp_path / "i", DOCUMENTS, CLEAN).close()
    other = hybrid.Pipeline([hybrid.BM25()])
    with pytest.raises(hybrid.FingerprintError, match=r"bm25\.cleaning: the index has 'Cleaning\(html=True"):
        hybrid.open(tmp_path / "i", pipeline=other)
    with hybrid.open(tmp_path / "i") as index:
        assert index.pipeline.cleaning == hybrid.Cleaning(html=True)


def test_recipes_hold_it():
    text = hybrid.format_recipe(CLEAN)
    assert "[cleaning]\nhtml = true\ncontrol = true\nwhitespace = true\n" in text
    assert hybrid.parse_recipe(text) == CLEAN
    assert "cleaning" not in hybrid.format_recipe(hybrid.Pipeline([hybrid.BM25()]))
    with pytest.raises(hybrid.PipelineError, match="cleaning has the unknown field 'xml'"):
        hybrid.parse_recipe("[cleaning]\nxml = true")
    with pytest.raises(hybrid.PipelineError, match="cleaning is 'html'; give Cleaning"):
        hybrid.Pipeline([hybrid.BM25()], cleaning="html")
