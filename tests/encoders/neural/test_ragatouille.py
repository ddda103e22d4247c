"""Token vectors by ragatouille, in a process with the older langchain and transformers that it needs."""

from __future__ import annotations

import json

import numpy as np
import pytest

import hybrid
from hybrid.errors import EncoderError, InputError
from tests.encoders.checkpoints import edit_json, save_bert, save_stanford_colbert
from tests.encoders.neural import apart

TEXTS = [
    "hello world",
    "what is a cell? the cell, the river and the music.",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "hello!",
]

RERANK = """
from colbert.modeling.colbert import ColBERT

assert not hasattr(ColBERT, "loaded_extensions")  # the backend leaves the library as it was
ColBERT.loaded_extensions = True  # here, too, nothing is to be compiled
from ragatouille import RAGPretrainedModel

model = RAGPretrainedModel.from_pretrained(folders[0], verbose=0)
found = model.rerank(query="the cell", documents=texts[:4], k=4)
print(json.dumps([[hit["result_index"], hit["score"]] for hit in found]))
"""

needs_it = pytest.mark.skipif(
    not apart.packages("ragatouille").is_dir(),
    reason="ragatouille is not there (make test installs it beside the tests)",
)


@needs_it
@pytest.mark.slow
def test_the_backend_is_the_same_encoder_and_rerank_gives_our_scores(tmp_path):
    folders = [
        save_stanford_colbert(tmp_path / "wide", query_maxlen=32, doc_maxlen=36),  # as `rerank` cuts texts
        save_stanford_colbert(tmp_path / "narrow"),
        save_stanford_colbert(tmp_path / "other", mask_punctuation=False, attend_to_mask_tokens=True),
    ]
    texts = [*TEXTS, TEXTS[0], "", "x" * 100]  # one process for all: importing the library takes long
    printed = apart.run(
        "ragatouille", apart.BACKEND + RERANK, "ragatouille", json.dumps(texts), *folders
    ).splitlines()
    for folder in folders:
        apart.check_backend(folder, texts)
    theirs = json.loads(printed[-1])
    ours = hybrid.load_encoder(str(folders[0]), device="cpu")
    pipeline = hybrid.Pipeline([hybrid.Multivector("m", storage="float32")], fusion=hybrid.RRF())
    given = [hybrid.Document(str(n), text) for n, text in enumerate(TEXTS)]
    with hybrid.create(tmp_path / "index", given, pipeline, encoders={"m": ours}) as index:
        found = index.search("the cell", k=9)
    assert [hit.id for hit in found] == [str(number) for number, _ in theirs]
    scores = [hit.scores["multivector"] for hit in found]
    np.testing.assert_allclose(scores, [score for _, score in theirs], rtol=1e-6)
    assert len(set(scores)) == len(scores)


def ask(folder, **options):
    return hybrid.load_encoder(str(folder), backend="ragatouille", **options)


def test_what_it_cannot_run_is_refused_before_it_is_looked_for(tmp_path):
    folder = save_stanford_colbert(tmp_path / "model")
    with pytest.raises(InputError, match="dtype is 'float16'; ragatouille chooses it by itself"):
        ask(folder, dtype="float16")
    with pytest.raises(EncoderError, match="not in the layout of Stanford's ColBERT"):
        ask(save_bert(tmp_path / "plain"), family="colbertv2.0")
    edit_json(folder / "config.json", auto_map={"AutoModel": "code.Model"})
    with pytest.raises(EncoderError, match="brings Python code of its own, which ragatouille would run"):
        ask(folder, family="colbertv2.0")


def test_an_environment_that_it_does_not_run_in_is_named(tmp_path, monkeypatch):
    import transformers

    folder = save_stanford_colbert(tmp_path / "model")
    with pytest.raises(hybrid.MissingDependencyError, match=r"pip install 'hybrid-retrieval\[ragatouille\]'"):
        ask(folder)
    (tmp_path / "ragatouille.py").write_text("from langchain.no_such_module import nothing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EncoderError, match=r"transformers is \d.*, and ragatouille runs with 4\.57"):
        ask(folder)
    monkeypatch.setattr(transformers, "__version__", "4.57.6")
    with pytest.raises(EncoderError, match=r"cannot be imported \(No module .*needs langchain<1; give it"):
        ask(folder)
