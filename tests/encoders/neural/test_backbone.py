"""The backbone against transformers, and its own promises."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from hybrid.encoders.neural.backbone import Backbone
from hybrid.errors import EncoderError, InputError
from tests.encoders.checkpoints import save_bert, save_xlm_roberta

TEXTS = ["hello world", "", "what is a cell", "x" * 100, "hello", "a b c d e f g h", "river, music!"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("backbones")
    return {
        "bert": save_bert(base / "bert"),
        "mlm": save_bert(base / "mlm", mlm=True),
        "xlm": save_xlm_roberta(base / "xlm"),
    }


@pytest.fixture(scope="module")
def bert(folders):
    return Backbone.load(folders["bert"], name="bert", device="cpu")


def outputs(backbone, ids):
    rows = {}
    for ran in backbone.run(ids):
        for n, position in enumerate(ran.positions.tolist()):
            rows[position] = ran.outputs[n, ran.mask[n]].float().numpy()
    return [rows[n] for n in range(len(ids))]


@pytest.mark.parametrize("name", ["bert", "xlm", "mlm"])
def test_it_computes_what_transformers_computes(folders, name):
    import torch
    import transformers

    head = "mlm" if name == "mlm" else "base"
    backbone = Backbone.load(folders[name], name=name, head=head, device="cpu")
    kind = transformers.AutoModelForMaskedLM if head == "mlm" else transformers.AutoModel
    model = kind.from_pretrained(folders[name]).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[name])
    tokens = backbone.tokenize(TEXTS)
    found = outputs(backbone, tokens.ids)
    for n, text in enumerate(TEXTS):
        one = tokenizer(text, truncation=True, max_length=40, return_tensors="pt")
        assert tokens.ids[n] == one["input_ids"][0].tolist()
        with torch.no_grad():
            given = model(**one)
        expected = (given.logits if head == "mlm" else given.last_hidden_state)[0].numpy()
        np.testing.assert_allclose(found[n], expected, atol=1e-5)
    assert tokens.truncated.tolist() == [len(text) == 100 for text in TEXTS]
    assert found[0].shape[1] == (len(backbone.vocabulary) if head == "mlm" else backbone.hidden)


def test_positions_are_counted_as_each_architecture_counts_them(folders, tmp_path):
    for name in ("bert", "xlm"):
        backbone = Backbone.load(folders[name], name=name, device="cpu")
        assert backbone.max_tokens == 40
        assert len(outputs(backbone, backbone.tokenize(["hello " * 60]).ids)[0]) == 40  # every place exists
        with pytest.raises(
            InputError, match="max_tokens is 41; give a whole number from 2 to the model's 40"
        ):
            Backbone.load(folders[name], name=name, device="cpu", max_tokens=41)
    short = Backbone.load(folders["bert"], name="bert", device="cpu", max_tokens=5)
    assert short.tokenize(["hello world cell river music"]).ids == [
        short.tokenize(["hello world cell"]).ids[0]
    ]


def test_a_prefix_stands_before_the_text(bert):
    assert bert.tokenize(["world"], "hello ").ids == bert.tokenize(["hello world"]).ids
    assert bert.tokenize(["hello"], special=False).ids == [bert.tokenize(["hello"]).ids[0][1:-1]]


def test_the_tokenizer_s_own_cutting_and_padding_play_no_part(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "bert")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {
        "strategy": {"Fixed": 20},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))
    tokens = Backbone.load(folder, name="bert", device="cpu").tokenize(["hello world cell", "hello"])
    assert [len(row) for row in tokens.ids] == [5, 3]
    assert not tokens.truncated.any()


def test_batches_keep_to_the_budget_and_change_nothing(bert, monkeypatch):
    tokens = bert.tokenize(TEXTS)
    whole = outputs(bert, tokens.ids)
    monkeypatch.setattr("hybrid.encoders.neural.backbone._BUDGET", {"cpu": 20})
    sizes = [tuple(ran.mask.shape) for ran in bert.run(tokens.ids)]
    assert sizes[0] == (1, 40)
    assert all(rows * length <= 20 for rows, length in sizes[1:])
    assert [length for _, length in sizes] == sorted((length for _, length in sizes), reverse=True)
    for one, other in zip(outputs(bert, tokens.ids), whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_progress_counts_sequences(bert, monkeypatch):
    monkeypatch.setattr("hybrid.encoders.neural.backbone._BUDGET", {"cpu": 40})
    seen = []
    list(bert.run(bert.tokenize(TEXTS).ids, lambda *step: seen.append(step)))
    assert seen[0] == ("encode bert", 0, 7)
    assert seen[-1] == ("encode bert", 7, 7)
    assert [done for _, done, _ in seen] == sorted({done for _, done, _ in seen})


def test_the_fingerprint_tells_models_apart(folders, bert, tmp_path):
    first = bert.fingerprint()
    assert set(first) == {"model", "architecture", "weights", "tokenizer", "max_tokens", "dtype"}
    assert all(isinstance(value, str | int | bool) for value in first.values())
    other = Backbone.load(save_bert(tmp_path / "other", seed=1), name="bert", device="cpu")
    assert {key for key in first if other.fingerprint()[key] != first[key]} == {"weights"}
    scaled = shutil.copytree(folders["bert"], tmp_path / "scaled")
    config = json.loads((scaled / "config.json").read_text())
    (scaled / "config.json").write_text(
        json.dumps(config | {"layer_norm_eps": 1e-3, "transformers_version": "0"})
    )
    fingerprint = Backbone.load(scaled, name="bert", device="cpu").fingerprint()
    assert {key for key in first if fingerprint[key] != first[key]} == {"architecture"}
    half = Backbone.load(
        folders["bert"], name="bert", device="cpu", dtype="bfloat16", max_tokens=9
    ).fingerprint()
    assert (half["dtype"], half["max_tokens"]) == ("bfloat16", 9)


def test_the_vocabulary_names_each_id_once(folders, tmp_path):
    import transformers

    folder = shutil.copytree(folders["bert"], tmp_path / "padded")
    model = transformers.BertModel.from_pretrained(folder)
    model.resize_token_embeddings(128)
    model.save_pretrained(folder)
    backbone = Backbone.load(folder, name="padded", device="cpu")
    assert len(backbone.vocabulary) == len(set(backbone.vocabulary)) == 128
    assert backbone.vocabulary[4] == "[CLS]"
    assert backbone.vocabulary[127] == "<id 127>"


def test_what_cannot_be_loaded_is_refused(folders, tmp_path):
    with pytest.raises(EncoderError, match=r"cannot read .*config\.json"):
        Backbone.load(tmp_path, name="none", device="cpu")
    with pytest.raises(EncoderError, match=r"lack .* tensors of a BertForMaskedLM, such as 'cls\.pred"):
        Backbone.load(folders["bert"], name="bert", head="mlm", device="cpu")
    with pytest.raises(InputError, match="dtype is 'int8'; accepted: float32"):
        Backbone.load(folders["bert"], name="bert", device="cpu", dtype="int8")
    with pytest.raises(InputError, match="the device 'tpu' cannot be used"):
        Backbone.load(folders["bert"], name="bert", device="tpu")
    damaged = shutil.copytree(folders["bert"], tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(EncoderError, match="cannot load the model in"):
        Backbone.load(damaged, name="damaged", device="cpu")
    mixed = save_bert(tmp_path / "mixed", extra=[f"[extra{n}]" for n in range(9)])
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folders["bert"] / name, mixed / name)
    with pytest.raises(EncoderError, match="do not belong together"):
        Backbone.load(mixed, name="mixed", device="cpu")


@pytest.mark.parametrize("texts", ["hello", ["a", 1], ["a", "\ud800"]])
def test_texts_that_are_none_are_refused(bert, texts):
    with pytest.raises(InputError, match=r"single string|is a int|lone surrogate"):
        bert.tokenize(texts)


def test_a_failure_says_where(bert):
    with pytest.raises(EncoderError, match="model 'bert' failed on 1 texts of up to 1 tokens"):
        list(bert.run([[10**6]]))
