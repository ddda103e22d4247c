"""Dense vectors against sentence-transformers and plain transformers, by pooling, prefix and dtype."""

from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest

import hybrid
from hybrid.encoders import load
from hybrid.encoders.neural.dense import NeuralDenseEncoder
from hybrid.encoders.neural.pooling import normalized, pool
from hybrid.errors import EncoderError, InputError
from tests.encoders.checkpoints import edit_json, save_bert, save_xlm_roberta
from tests.encoders.sentence_folders import WINDOW, save_decoder, save_e5, save_nomic, save_sentence_model

TEXTS = ["hello world", "the cell of a river is music", "a", "", "what is the music of a cell " * 9, "a"]
CUT = [False, False, False, False, True, False]
POOLINGS = {"cls": "cls", "mean": "mean", "max": "max", "last": "lasttoken"}
CLOSE = 1e-6
HALF = {"float16": 2e-3, "bfloat16": 2e-2}
"""How far single numbers may lie apart in these dtypes: other batches, other rounding."""


@pytest.fixture(scope="module")
def bert(tmp_path_factory, torch_world):
    return save_bert(tmp_path_factory.mktemp("bert") / "base")


@pytest.fixture(scope="module")
def folders(bert, tmp_path_factory, torch_world):
    """One BERT under every pooling, with prompts."""
    root = tmp_path_factory.mktemp("poolings")
    prompts = {"query": "what is ", "document": "the "}
    return {
        ours: save_sentence_model(bert, root / ours, theirs, prompts=prompts)
        for ours, theirs in POOLINGS.items()
    }


@pytest.fixture(scope="module")
def decoder(tmp_path_factory, torch_world):
    return save_decoder(tmp_path_factory.mktemp("decoder") / "mistral")


def of_transformers(folder, texts, pooling, torch_world, *, kind="AutoModel", dtype="float32", window=None):
    """Pooled and scaled vectors by plain transformers, one text at a time and so without padding."""
    _, torch, transformers = torch_world
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    model = getattr(transformers, kind).from_pretrained(str(folder), dtype=getattr(torch, dtype)).eval()
    rows = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=window)
        with torch.no_grad():
            states = model(**inputs).last_hidden_state[0].float()
        row = {"cls": states[0], "mean": states.mean(0), "max": states.amax(0), "last": states[-1]}[pooling]
        rows.append(row / row.norm())
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("backend", ["transformers", "sentence-transformers"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_equals_sentence_transformers(folders, pooling, backend, reference):
    encoder, theirs = load(str(folders[pooling]), backend=backend), reference(folders[pooling])
    queries, documents = encoder.encode_queries(TEXTS), encoder.encode_documents(TEXTS)
    assert queries.vectors.dtype == np.float32
    np.testing.assert_allclose(queries.vectors, theirs.encode_query(TEXTS), atol=CLOSE)
    np.testing.assert_allclose(documents.vectors, theirs.encode_document(TEXTS), atol=CLOSE)
    assert queries.truncated.tolist() == documents.truncated.tolist() == CUT
    assert np.abs(queries.vectors - documents.vectors).max() > 1e-3  # the prefixes differ


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_a_plain_model_needs_only_its_pooling(family, pooling, bert, tmp_path, torch_world):
    folder = bert if family == "bert" else save_xlm_roberta(tmp_path / "xlmr")
    encoder = load(str(folder), pooling=pooling, backend="transformers", query_prefix="what is ")
    want = of_transformers(folder, [f"what is {text}" for text in TEXTS], pooling, torch_world, window=40)
    np.testing.assert_allclose(encoder.encode_queries(TEXTS).vectors, want, atol=CLOSE)
    want = of_transformers(folder, TEXTS, pooling, torch_world, window=40)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS).vectors, want, atol=CLOSE)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("backend", ["transformers", "sentence-transformers"])
def test_half_precision(folders, dtype, backend, torch_world):
    folder = folders["mean"]
    encoder = load(str(folder), dtype=dtype, backend=backend)
    found = encoder.encode_documents(TEXTS[:3])
    want = of_transformers(folder, [f"the {t}" for t in TEXTS[:3]], "mean", torch_world, dtype=dtype)
    np.testing.assert_allclose(found.vectors, want, atol=HALF[dtype])
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-6)  # scaled in float32
    assert found.vectors.dtype == np.float32
    assert encoder.fingerprint()["dtype"] == dtype
    exact = load(str(folder)).encode_documents(TEXTS[:3]).vectors
    assert np.abs(found.vectors - exact).max() > 1e-6  # it really computes in fewer bits


def test_e5_as_published_has_its_prefixes_from_what_is_known_of_it(bert, tmp_path, reference):
    folder = save_e5(bert, tmp_path / "e5")
    theirs = reference(folder)
    encoder = load(str(folder), family="e5-base-v2", backend="transformers")
    want = theirs.encode([f"query: {text}" for text in TEXTS])
    np.testing.assert_allclose(encoder.encode_queries(TEXTS).vectors, want, atol=CLOSE)
    want = theirs.encode([f"passage: {text}" for text in TEXTS])
    np.testing.assert_allclose(encoder.encode_documents(TEXTS).vectors, want, atol=CLOSE)
    assert encoder.fingerprint()["max_tokens"] == WINDOW
    embedded = load(str(folder), family="e5-base-v2")
    assert type(embedded).__name__ == "OnnxBertEncoder"
    np.testing.assert_allclose(embedded.encode_documents(TEXTS).vectors, want, atol=CLOSE)
    assert embedded.fingerprint() == encoder.fingerprint()  # built with the one, searched with the other


@pytest.mark.parametrize("batched", [False, True])
def test_e5_mistral_ends_its_texts_and_takes_the_last_token(decoder, batched, torch_world):
    """As on its model card: end token appended, padded to the left, last position."""
    _, torch, transformers = torch_world
    encoder = load(str(decoder), family="e5-mistral-7b-instruct", max_tokens=40)
    assert encoder.dimension == 32
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(decoder))
    assert tokenizer.padding_side == "left"
    rows = [[*tokenizer(t, truncation=True, max_length=39).input_ids, tokenizer.eos_token_id] for t in TEXTS]
    model = transformers.AutoModel.from_pretrained(str(decoder)).eval()
    longest = max(map(len, rows)) if batched else 0
    want = []
    for row in rows:
        padding = max(0, longest - len(row))
        ids = torch.tensor([[tokenizer.pad_token_id] * padding + row])
        mask = torch.tensor([[0] * padding + [1] * len(row)])
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        with torch.no_grad():
            states = model(input_ids=ids, attention_mask=mask, position_ids=positions).last_hidden_state
        want.append(torch.nn.functional.normalize(states[:, -1], dim=1)[0].numpy())
    found = encoder.encode_documents(TEXTS)
    np.testing.assert_allclose(found.vectors, np.array(want), atol=CLOSE)
    assert found.truncated.tolist() == CUT
    assert encoder.recipe.query_prefix.endswith("answer the query\nQuery: ")


def test_a_tokenizer_that_ends_texts_by_itself_is_left_alone(tmp_path, torch_world):
    folder = save_xlm_roberta(tmp_path / "xlmr")
    encoder = load(str(folder), family="e5-mistral-7b-instruct")
    assert encoder.tokens(["hello"], "").ids[0].count(2) == 1


def test_an_end_token_that_does_not_exist_is_an_error(bert):
    with pytest.raises(EncoderError, match="must end with an end token, and its tokenizer has no eos_token"):
        load(str(bert), family="e5-mistral-7b-instruct")


def test_gte_qwen2_sees_both_ways_and_mistral_only_back(tmp_path, decoder, torch_world):
    qwen = load(str(save_decoder(tmp_path / "qwen2", "qwen2")), family="gte-Qwen2-7B-instruct")
    mistral = load(str(decoder), family="e5-mistral")
    for encoder, sees in ((qwen, True), (mistral, False)):
        for rows in ([[5, 6, 7, 8], [5, 6, 7, 9]], [[5, 6, 7, 8], [5, 6, 9]]):  # one batch, padded or not
            first, second = next(encoder.backbone.run(rows)).outputs[:, 0]
            assert bool(abs(first - second).max() > 1e-3) is sees


def test_nomic_has_its_prefixes_and_is_standardised_before_it_is_cut(bert, tmp_path, torch_world):
    _, torch, _ = torch_world
    folder = save_nomic(tmp_path / "nomic", bert)
    whole = load(str(folder), family="nomic-embed-text-v1.5")
    want = of_transformers(folder, [f"search_document: {t}" for t in TEXTS], "mean", torch_world, window=64)
    np.testing.assert_allclose(whole.encode_documents(TEXTS).vectors, want, atol=CLOSE)
    with pytest.raises(InputError, match=r"dimension is 20, and .* 32 numbers; .* 768, 512, 256, 128, 64"):
        load(str(folder), family="nomic-embed-text-v1.5", dimension=20)
    edit_json(folder / "config.json", hidden_size=32)
    encoder = whole.__class__(
        whole.backbone,
        whole.recipe.__class__(
            pooling="mean", document_prefix="search_document: ", layer_norm=True, dimension=8
        ),
    )
    cut = torch.nn.functional.layer_norm(torch.tensor(want), (32,))[:, :8]
    np.testing.assert_allclose(
        encoder.encode_documents(TEXTS).vectors, torch.nn.functional.normalize(cut, dim=1).numpy(), atol=1e-5
    )


@pytest.mark.parametrize("backend", ["transformers", "sentence-transformers"])
def test_vectors_are_cut_and_scaled_again(folders, backend, reference):
    encoder = load(str(folders["mean"]), backend=backend, dimension=8)
    want = reference(folders["mean"]).encode_document(TEXTS, truncate_dim=8, normalize_embeddings=True)
    found = encoder.encode_documents(TEXTS).vectors
    assert encoder.dimension == found.shape[1] == encoder.fingerprint()["dimension"] == 8
    np.testing.assert_allclose(found, want, atol=CLOSE)
    with pytest.raises(InputError, match="dimension is 33, and the vectors of 'mean' have 32 numbers"):
        load(str(folders["mean"]), backend=backend, dimension=33)


def test_labse_has_a_dense_module_and_runs_in_sentence_transformers(bert, tmp_path, torch_world, reference):
    from sentence_transformers.sentence_transformer import modules

    dense = modules.Dense(32, 32)
    folder = save_sentence_model(bert, tmp_path / "labse", "cls", after=[dense])
    encoder = load(str(folder))
    assert type(encoder).__name__ == "SentenceTransformerEncoder"
    np.testing.assert_allclose(
        encoder.encode_documents(TEXTS).vectors, reference(folder).encode(TEXTS), atol=CLOSE
    )
    assert encoder.normalized
    with pytest.raises(EncoderError, match="Transformer, Pooling, Dense, Normalize; only sentence-transf"):
        load(str(folder), backend="transformers")
    before = encoder.fingerprint()["weights"]
    weights = folder / "2_Dense" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert encoder.fingerprint()["weights"] != before  # the module's weights count too


def test_prompts_that_are_left_out_of_the_pooling(bert, tmp_path, torch_world, reference):
    folder = save_sentence_model(bert, tmp_path / "instructor", prompts={"query": "what is ", "document": ""})
    edit_json(folder / "1_Pooling" / "config.json", include_prompt=False)
    encoder = load(str(folder))
    assert type(encoder).__name__ == "SentenceTransformerEncoder"
    np.testing.assert_allclose(
        encoder.encode_queries(TEXTS).vectors, reference(folder).encode_query(TEXTS), atol=CLOSE
    )
    with pytest.raises(EncoderError, match="leaves its prompts out"):
        load(str(folder), backend="transformers")


JINA = """
import torch
from sentence_transformers.sentence_transformer.modules import Transformer


class Adapted(Transformer):
    def forward(self, features, task=None, **kwargs):
        features = super().forward(features, **kwargs)
        shift = {"retrieval.query": 1.0, "retrieval.passage": -2.0}[task]
        features["token_embeddings"] = features["token_embeddings"] + shift
        return features
"""


def test_adapters_by_task_as_jina_v3_has_them(bert, tmp_path, torch_world, reference):
    """Its layout: a module in the repository's own Python file that takes the task as an argument."""
    folder = save_sentence_model(bert, tmp_path / "jina")
    (folder / "custom_st.py").write_text(JINA)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0] |= {"type": "custom_st.Adapted", "kwargs": ["task"]}
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(EncoderError, match="trust_remote_code=True"):
        load(str(folder), family="jina-embeddings-v3")
    encoder = load(str(folder), family="jina-embeddings-v3", trust_remote_code=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sentence_transformers

        theirs = sentence_transformers.SentenceTransformer(
            str(folder), device="cpu", trust_remote_code=True, local_files_only=True
        )
    query = theirs.encode(TEXTS, task="retrieval.query", prompt=encoder._request.query_prefix)
    passage = theirs.encode(TEXTS, task="retrieval.passage", prompt=encoder._request.document_prefix)
    np.testing.assert_allclose(encoder.encode_queries(TEXTS).vectors, query, atol=CLOSE)
    np.testing.assert_allclose(encoder.encode_documents(TEXTS).vectors, passage, atol=CLOSE)
    assert encoder.fingerprint()["tasks"] == '{"document": "retrieval.passage", "query": "retrieval.query"}'


def test_without_a_pooling_nothing_is_guessed(bert):
    with pytest.raises(EncoderError, match=r"give pooling= one of 'cls', 'mean', 'max', 'last'"):
        load(str(bert))
    with pytest.raises(EncoderError, match="would guess its pooling"):
        load(str(bert), backend="sentence-transformers", pooling="mean")


def test_a_pooling_that_only_sentence_transformers_has(bert, tmp_path, torch_world):
    folder = save_sentence_model(bert, tmp_path / "weighted", "weightedmean")
    with pytest.raises(EncoderError, match="'weightedmean', which is not supported"):
        load(str(folder), backend="transformers")


def test_code_of_its_own_is_not_run_and_not_ignored(bert, tmp_path):
    """Jina's v2 says that it is a BERT; as one, it would give wrong vectors without a word."""
    import shutil

    folder = shutil.copytree(bert, tmp_path / "jina-v2")
    auto = {"AutoModel": "jinaai/jina-bert-implementation--modeling_bert.JinaBertModel"}
    edit_json(folder / "config.json", auto_map=auto)
    with pytest.raises(EncoderError, match="brings Python code of its own"):
        load(str(folder), pooling="mean", backend="transformers")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "tensorflow"}, "backend is 'tensorflow'; accepted: auto, onnx"),
        ({"dtype": "int4"}, "dtype is 'int4'; accepted: float32, float16, bfloat16"),
        ({"pooling": "sum"}, "pooling is 'sum'; accepted: None, cls, mean, max, last"),
        ({"max_tokens": 0}, "max_tokens is 0; give a whole number of at least 1"),
        ({"max_tokens": True}, "max_tokens is True"),
        ({"max_tokens": 41, "backend": "transformers"}, "from 2 to the model's 40"),
        ({"max_tokens": 41, "backend": "onnx"}, "from 2 to 40"),
        ({"query_prefix": 3}, "query_prefix is 3; give a string"),
        ({"family": "nonsense"}, "family is 'nonsense', which is not among the known models"),
        ({"device": "tpu", "backend": "transformers"}, "the device 'tpu' cannot be used"),
        ({"dtype": "float16", "backend": "onnx"}, "dtype is 'float16', which ONNX Runtime does not give"),
        ({"pooling": "max", "backend": "onnx"}, 'for that, give backend="transformers"'),
        ({"pooling": "cls", "backend": "sentence-transformers"}, "the modules of 'mean' decide it"),
        ({"revision": "main"}, "is a folder; leave revision out"),
    ],
)
def test_options_that_cannot_be_had(folders, options, message):
    with pytest.raises(InputError, match=message):
        load(str(folders["mean"]), **options)


def test_options_make_another_instance_and_the_same_ones_the_same(folders):
    name = str(folders["mean"])
    assert load(name) is load(name)
    assert load(name, pooling="cls") is not load(name)
    assert load(name, pooling="cls") is load(name, pooling="cls")
    assert load(name, pooling="cls").fingerprint()["pooling"] == "cls"


def test_half_precision_that_overflows_names_the_text(bert, tmp_path, torch_world):
    import shutil

    import safetensors.torch

    folder = shutil.copytree(bert, tmp_path / "large")
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] += 1e6
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    encoder = load(str(folder), pooling="mean", dtype="float16")
    with pytest.raises(EncoderError, match=r"not finite for the text 'hello world'.*try bfloat16"):
        encoder.encode_documents(["hello world"])


def test_poolings_by_hand(torch_world):
    _, torch, _ = torch_world
    tokens = torch.tensor([[[1.0, 8.0], [3.0, 2.0], [9.0, 9.0]], [[7.0, 7.0], [6.0, -4.0], [2.0, 0.0]]])
    right = torch.tensor([[True, True, False], [True, True, True]])
    assert pool(tokens, right, "cls").tolist() == [[1, 8], [7, 7]]
    assert pool(tokens, right, "mean").tolist() == [[2, 5], [5, 1]]
    assert pool(tokens, right, "max").tolist() == [[3, 8], [7, 7]]
    assert pool(tokens, right, "last").tolist() == [[3, 2], [2, 0]]
    left = torch.tensor([[False, True, True], [False, False, True]])
    assert pool(tokens, left, "cls").tolist() == [[3, 2], [2, 0]]
    assert pool(tokens, left, "last").tolist() == [[9, 9], [2, 0]]
    assert normalized(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)],
        [0, 0],
    ]


@pytest.mark.parametrize(("truncate", "accepted"), [(32, True), (16, True), (12, False)])
def test_a_branch_cuts_only_to_lengths_that_the_model_was_trained_for(folders, tmp_path, truncate, accepted):
    whole = load(str(folders["mean"]), backend="transformers")
    recipe = dataclasses.replace(whole.recipe, matryoshka=(32, 16, 8))
    encoders = {"m": NeuralDenseEncoder(whole.backbone, recipe)}
    pipeline = hybrid.Pipeline([hybrid.Dense("m", truncate=truncate)])
    documents = [hybrid.Document("1", "hello world"), hybrid.Document("2", "music")]
    if accepted:
        with hybrid.create(tmp_path / "i", documents, pipeline, encoders=encoders) as index:
            assert len(index.search("hello world")) == 2
            assert index.stats().branches["dense"]["dimension"] == truncate
    else:
        with pytest.raises(InputError, match=r"truncate is 12, .* trained to be cut to 32, 16, 8"):
            hybrid.create(tmp_path / "i", documents, pipeline, encoders=encoders)
