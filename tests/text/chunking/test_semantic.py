"""Passages that end where the vectors of sentences turn; parts and the small passages in them."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid
from hybrid import BM25, Dense, Document, Nested, Passages, Pipeline, Recursive, Semantic, Sentences
from hybrid.text.chunking import Words
from tests.engine.test_passages import Joint

TEXT = "Ant one. Ant two. Ant three. Bee one. Bee two. Cat one. Cat two."


def first_words(texts):
    return np.array([[text.startswith(word) for word in ("Ant", "Bee", "Cat")] for text in texts], np.float32)


def test_passages_end_where_the_meaning_turns():
    chunker = Semantic(60, around=0).using(first_words)
    found = [passage.of(TEXT) for passage in chunker.passages(TEXT, Words(100))]
    assert found == ["Ant one. Ant two. Ant three. ", "Bee one. Bee two. ", "Cat one. Cat two."]
    short = [
        passage.of(TEXT) for passage in Semantic(60, 0, size=4).using(first_words).passages(TEXT, Words())
    ]
    assert short == ["Ant one. Ant two. ", "Ant three. ", "Bee one. Bee two. ", "Cat one. Cat two."]


def test_the_distances_are_of_windows():
    read = []

    def vectors(texts):
        read.extend(texts)
        return np.ones((len(texts), 2), np.float32)

    assert len(Semantic(around=1).using(vectors).passages("A b. C d. E f.", Words())) == 1
    assert read == ["A b. C d. ", "A b. C d. E f.", "C d. E f."]


def test_an_index_gives_the_chunker_its_model(tmp_path):
    documents = [Document("a", "Ant ant. Ant ant ant. Hen hen. Hen. Fox fox. Fox fox fox.")]
    for n, model in enumerate((None, "m")):
        pipeline = Pipeline([Dense("m"), BM25()], passages=Passages(Semantic(60, 0, model=model)))
        with hybrid.create(tmp_path / str(n), documents, pipeline, encoders={"m": Joint()}) as index:
            shown = index.search("hen", 1)[0].passages
            assert [(p.start, p.end) for p in sorted(shown, key=lambda p: p.start)] == [
                (0, 22),
                (22, 36),
                (36, 57),
            ]
    with pytest.raises(hybrid.EncoderError, match="no branch that compares these passages has a model"):
        hybrid.create(tmp_path / "x", documents, Pipeline([BM25()], passages=Passages(Semantic())))


def test_small_passages_are_searched_and_shown_with_what_is_around(tmp_path):
    text = "Ant one. Bee two. Cat three.\n\nDog four. Elk five. Fox six.\n\nGnu seven. Hen eight."
    chunker = Nested(Recursive(6), Sentences(1, 0))
    for context, expected in [
        (0, "Elk five. "),
        (1, "Dog four. Elk five. Fox six.\n\n"),
        (9, text),
        ("part", "Dog four. Elk five. Fox six.\n\n"),
    ]:
        pipeline = Pipeline([BM25()], passages=Passages(chunker, context=context))
        folder = tmp_path / "i"
        if not folder.exists():
            hybrid.create(folder, [Document("a", text), Document("b", "Other.")], pipeline).close()
        with hybrid.open(folder, "w", pipeline=pipeline) as index:
            best = index.search("elk", 1)[0].passages[0]
            assert best.text == "Elk five. "
            assert text[slice(*best.context)] == expected
            index.optimize()
    with pytest.raises(hybrid.PipelineError, match="context is 'all'"):
        Passages(context="all")


def test_the_chunkers_stand_in_recipes():
    for chunker in (
        Semantic(90, 2, "m", 100),
        Nested(Recursive(300), Semantic()),
        Nested(),
        hybrid.Code("go", 90),
    ):
        pipeline = Pipeline(
            [BM25(), Dense(passages=Passages(chunker, context="part"))], passages=Passages(chunker)
        )
        assert hybrid.parse_recipe(hybrid.format_recipe(pipeline)) == pipeline
