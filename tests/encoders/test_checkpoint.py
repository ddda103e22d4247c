"""Reading a sentence-transformers folder, and refusing what is not supported."""

import json
import shutil

import numpy as np
import pytest

from hybrid.encoders.checkpoint import BertShape, read_checkpoint
from hybrid.encoders.onnx_bert import OnnxBertEncoder
from hybrid.errors import EncoderError


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder(), tmp_path / "tiny")


def test_everything_read_from_a_new_layout(folder):
    checkpoint = read_checkpoint(folder)
    assert checkpoint.name == "tiny"
    assert checkpoint.bert == BertShape(
        layers=2, hidden=32, heads=4, intermediate=48, vocabulary=79, positions=40, epsilon=1e-6
    )
    assert checkpoint.pooling == "mean"
    assert checkpoint.normalize is True
    assert checkpoint.max_tokens == 16
    assert (checkpoint.query_prefix, checkpoint.document_prefix) == ("", "")


def test_the_old_layout_means_the_same(folder, edit, reference):
    new = OnnxBertEncoder.from_folder(folder)
    edit(folder / "tokenizer_config.json", model_max_length=None)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 16, "do_lower_case": false}')
    (folder / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 32, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true,'
        ' "pooling_mode_max_tokens": false, "pooling_mode_mean_sqrt_len_tokens": false}'
    )
    types = ("Transformer", "Pooling", "Normalize")
    paths = ("", "1_Pooling", "2_Normalize")
    (folder / "modules.json").write_text(
        json.dumps(
            [
                {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
                for n, (kind, path) in enumerate(zip(types, paths, strict=True))
            ]
        )
    )
    old = OnnxBertEncoder.from_folder(folder)
    assert old.fingerprint() == new.fingerprint()
    texts = ["abc", "a " * 30]
    expected = reference(folder).encode(texts)
    np.testing.assert_allclose(old.encode_documents(texts).vectors, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("limit", "window"), [(None, 40), (1e30, 40), (7, 7)])
def test_the_window_is_never_longer_than_the_positions(folder, edit, limit, window):
    edit(folder / "tokenizer_config.json", model_max_length=limit)
    assert read_checkpoint(folder).max_tokens == window


def test_a_passage_prompt_serves_documents(folder, edit):
    edit(
        folder / "config_sentence_transformers.json",
        prompts={"query": "query: ", "passage": "passage: "},
        default_prompt_name="query",
    )
    checkpoint = read_checkpoint(folder)
    assert (checkpoint.query_prefix, checkpoint.document_prefix) == ("query: ", "passage: ")


REFUSED = [
    ("config.json", {"model_type": "roberta"}, "model_type is 'roberta'"),
    ("config.json", {"hidden_act": "relu"}, "hidden_act is 'relu'"),
    ("config.json", {"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
    ("config.json", {"is_decoder": True}, "is_decoder is True"),
    ("config.json", {"num_attention_heads": 5}, "num_attention_heads is 5"),
    ("config.json", {"hidden_size": None}, "does not describe a BERT model"),
    ("1_Pooling/config.json", {"pooling_mode": "max"}, "the pooling mode is 'max'"),
    ("1_Pooling/config.json", {"pooling_mode": ["mean", "cls"]}, "the pooling mode is"),
    ("1_Pooling/config.json", {"embedding_dimension": 31}, "the embedding dimension is 31"),
    ("tokenizer_config.json", {"model_max_length": 1}, "the longest sequence is 1"),
    ("sentence_bert_config.json", {"do_lower_case": True}, "do_lower_case is True"),
    ("config_sentence_transformers.json", {"similarity_fn_name": "euclidean"}, "is 'euclidean'"),
    ("config_sentence_transformers.json", {"prompts": {"query": 3}}, "a prompt is 3"),
]


@pytest.mark.parametrize(("file", "values", "message"), REFUSED)
def test_what_would_change_the_vectors_is_refused(folder, edit, file, values, message):
    edit(folder / file, **values)
    with pytest.raises(EncoderError, match=message):
        OnnxBertEncoder.from_folder(folder)


def test_pooling_without_the_prompt_is_refused_only_where_there_is_a_prompt(folder, edit):
    edit(folder / "1_Pooling" / "config.json", include_prompt=False)
    read_checkpoint(folder)
    edit(folder / "config_sentence_transformers.json", prompts={"query": "q: "})
    with pytest.raises(EncoderError, match="include_prompt is False"):
        read_checkpoint(folder)


def test_another_module_is_refused(folder):
    path = folder / "modules.json"
    modules = json.loads(path.read_text())
    modules.append({"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"})
    path.write_text(json.dumps(modules))
    with pytest.raises(EncoderError, match="Dense"):
        read_checkpoint(folder)


@pytest.mark.parametrize("file", ["config.json", "modules.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, file):
    (folder / file).unlink()
    with pytest.raises(EncoderError, match=f"lacks {file}"):
        read_checkpoint(folder)


@pytest.mark.parametrize("content", ["{", "[]", "null"])
def test_a_malformed_file_is_named(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(EncoderError, match=r"config\.json"):
        read_checkpoint(folder)


@pytest.mark.parametrize("content", ["{", "{}", '{"model": 3}'])
def test_a_malformed_tokenizer_is_named(folder, content):
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(EncoderError, match=r"tokenizer\.json"):
        OnnxBertEncoder.from_folder(folder)
