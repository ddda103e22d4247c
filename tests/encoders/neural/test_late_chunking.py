"""Late chunking against plain transformers."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid
from hybrid import BM25, Cleaning, Dense, Document, Fixed, Passages, Pipeline
from hybrid.encoders import load
from hybrid.encoders.neural.late_chunking import late_chunks
from hybrid.errors import InputError
from hybrid.index.passages import passages_of
from tests.encoders.checkpoints import save_bert

TEXT = "hello world the cell of the river and music is what the world is"
SPANS = [(0, 11), (12, 34), (34, len(TEXT))]  # words 0-1, 2-6, 7-13


@pytest.fixture(scope="module")
def folder(tmp_path_factory, torch_world):
    return save_bert(tmp_path_factory.mktemp("late") / "base")


@pytest.fixture(scope="module")
def states(folder, torch_world):
    """Return a function from token ids to their vectors, by transformers alone."""
    _, torch, transformers = torch_world
    model = transformers.AutoModel.from_pretrained(str(folder)).eval()

    def run(ids):
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()

    return run


@pytest.fixture(scope="module")
def ids(folder, torch_world):
    """The ids of the text's fourteen words, each one token."""
    tokenizer = torch_world[2].AutoTokenizer.from_pretrained(str(folder))
    found = tokenizer(TEXT, add_special_tokens=False).input_ids
    assert len(found) == 14
    return found, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.convert_tokens_to_ids("what")


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_passages_are_pooled_from_the_whole_text(folder, states, ids):
    words, cls, sep, what = ids
    encoder = load(str(folder), pooling="mean", backend="transformers", document_prefix="what ")
    batch = late_chunks(encoder, TEXT, SPANS, overlap=4)
    rows = states([cls, what, *words, sep])[2:-1]
    want = unit(np.stack([rows[0:2].mean(0), rows[2:7].mean(0), rows[7:14].mean(0)]))
    np.testing.assert_allclose(batch.vectors, want, atol=1e-6)
    assert batch.truncated.tolist() == [False] * 3
    alone = encoder.encode_documents([TEXT[a:b] for a, b in SPANS]).vectors
    assert np.abs(batch.vectors - alone).max() > 1e-3  # the text around matters


def test_a_text_longer_than_the_window_is_read_in_overlapping_windows(folder, states, ids):
    words, cls, sep, _ = ids
    encoder = load(str(folder), pooling="max", backend="transformers", max_tokens=8)
    batch = late_chunks(encoder, TEXT, [*SPANS, (0, len(TEXT))], overlap=2)
    # Windows of 6 words, each 4 further: words 0-5, 4-9, 8-13; the first 2 of a later one were seen.
    windows = [states([cls, *words[start : start + 6], sep])[1:-1] for start in (0, 4, 8)]
    rows = np.concatenate([windows[0], windows[1][2:], windows[2][2:]])
    assert len(rows) == 14
    want = [rows[0:2], rows[2:7], rows[7:14], rows]
    np.testing.assert_allclose(batch.vectors, unit(np.stack([r.max(0) for r in want])), atol=1e-6)


def test_no_spans_no_vectors(folder):
    encoder = load(str(folder), pooling="mean", backend="transformers")
    assert late_chunks(encoder, TEXT, [], overlap=2).vectors.shape == (0, 32)


@pytest.mark.parametrize(
    ("text", "spans", "overlap", "message"),
    [
        (TEXT, [(3, 3)], 2, r"span \(3, 3\) is not within the text of 64 characters, or is empty"),
        (TEXT, [(0, 65)], 2, r"span \(0, 65\)"),
        (TEXT, [(-1, 5)], 2, r"span \(-1, 5\)"),
        ("a   b", [(1, 3)], 2, r"span \(1, 3\) holds no token"),
        ("", [], 38, "overlap is 38, and the window of 'base' has 38 tokens"),
        (TEXT, SPANS, -1, "from 0 to 37"),
    ],
)
def test_what_cannot_be_done(folder, text, spans, overlap, message):
    encoder = load(str(folder), pooling="mean", backend="transformers")
    with pytest.raises(InputError, match=message):
        late_chunks(encoder, text, spans, overlap=overlap)


def test_a_model_that_pools_one_token_is_refused(folder):
    encoder = load(str(folder), pooling="cls", backend="transformers")
    with pytest.raises(InputError, match="pools 'cls'; late chunking needs a model that pools 'mean'"):
        late_chunks(encoder, TEXT, SPANS)


@pytest.mark.parametrize("cut", ["all", "long"])
def test_an_index_pools_passages_from_whole_documents(folder, tmp_path, cut):
    encoder = load(str(folder), pooling="mean", backend="transformers")
    documents = [Document("a", TEXT, "music"), Document("b", "river"), Document("c", "", "cell")]
    passages = Passages(Fixed(7), cut=cut)
    pipeline = Pipeline([BM25(), Dense("m", late=True, passages=passages)])
    assert hybrid.parse_recipe(hybrid.format_recipe(pipeline)) == pipeline
    with hybrid.create(tmp_path / "i", documents, pipeline, encoders={"m": encoder}) as index:
        snapshot = index._store.snapshot
        (view,) = snapshot.segments
        vectors = view.segment["dense/vectors"]
        found = passages_of(snapshot, "passages.dense")
        for docnum, document in enumerate(documents):
            _, numbers = found.of(np.array([docnum]))
            spans = [found.span(n)[:2] for n in numbers.tolist()]
            if document.text:
                before = len(document.content) - len(document.text)
                moved = [(a + before, b + before) for a, b in spans]
                want = late_chunks(encoder, document.content, moved, overlap=16).vectors
            else:
                want = encoder.encode_documents([document.content]).vectors
            np.testing.assert_allclose(vectors[numbers], want, atol=1e-6)
        assert len(vectors) > (3 if cut == "all" else 2)
        assert index.stats().truncated == {"dense": 0}


def test_late_chunking_needs_passages_and_token_vectors(tmp_path):
    for wrong in ({"passages": None}, {"cleaning": Cleaning()}):
        with pytest.raises(hybrid.PipelineError, match="has late=True"):
            Pipeline([Dense("m", late=True)], **wrong)
    with pytest.raises(hybrid.EncoderError, match="late chunking needs the token vectors"):
        hybrid.create(tmp_path / "i", [Document("a", "x")], Pipeline([Dense(late=True)]))
