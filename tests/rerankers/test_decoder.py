"""Decoders as rerankers: against FlagEmbedding's own classes, and their promises."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import hybrid
from hybrid.rerankers.decoder import DecoderReranker
from tests.encoders.checkpoints import edit_json
from tests.rerankers.decoders import save_gemma, save_minicpm

pytestmark = pytest.mark.filterwarnings("ignore:The attention mask API:FutureWarning")  # of MiniCPM's code

QUERY = "what is a cell?"
TEXTS = ["hello world", "", "the cell of a river", "music", "a b c d e f g", "cell " * 9, "Hello, World!"]


def documents(texts=TEXTS):
    return [hybrid.Document(str(n), text) for n, text in enumerate(texts)]


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    return save_gemma(tmp_path_factory.mktemp("gemma"))


@pytest.fixture(scope="module")
def layerwise(tmp_path_factory):
    pytest.importorskip("FlagEmbedding", reason="FlagEmbedding is not installed")
    return save_minicpm(tmp_path_factory.mktemp("minicpm"))


def load(folder, **options):
    return DecoderReranker.load(folder, name="tiny", device="cpu", **options)


def flag(folder, kind, texts, query=QUERY, **options):
    """Return what FlagEmbedding's own reranker gives, one pair at a time (its batches are padded)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import FlagEmbedding

        theirs = getattr(FlagEmbedding, kind)(str(folder), devices="cpu", **options)
        for module in theirs.model.modules():
            if hasattr(module, "_init_rope"):
                module._init_rope()  # transformers 5 leaves MiniCPM's frequencies to chance
        return np.array([theirs.compute_score([(query, text)])[0] for text in texts], np.float32)


LONG = " ".join("abcdefghijklmnopqrstuvwxyz" * 4)


def test_gemma_gives_flag_embedding_s_scores(gemma):
    pytest.importorskip("FlagEmbedding", reason="FlagEmbedding is not installed")
    expected = flag(gemma, "FlagLLMReranker", TEXTS, use_fp16=False)
    scores = load(gemma).score(QUERY, documents())
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert np.ptp(scores) > 0.1
    cut = flag(gemma, "FlagLLMReranker", [LONG], LONG, use_fp16=False, max_length=48)
    np.testing.assert_allclose(
        load(gemma, max_tokens=48, passages=1).score(LONG, documents([LONG])), cut, atol=1e-4
    )


@pytest.fixture
def cured(monkeypatch):
    """FlagEmbedding's class for MiniCPM, made to run with transformers 5."""
    from FlagEmbedding.inference.reranker.decoder_only.models import (
        configuration_minicpm_reranker as configuration,
    )
    from FlagEmbedding.inference.reranker.decoder_only.models import modeling_minicpm_reranker as modeling

    plain = property(lambda config: None, lambda config, value: None)
    monkeypatch.setattr(configuration.LayerWiseMiniCPMConfig, "rope_scaling", plain, raising=False)
    monkeypatch.setattr(modeling.LayerWiseMiniCPMForCausalLM, "_tied_weights_keys", None)


def test_minicpm_gives_flag_embedding_s_scores(layerwise, cured):
    expected = flag(layerwise, "LayerWiseFlagLLMReranker", TEXTS, use_fp16=True, cutoff_layers=[3])
    scores = load(layerwise, layer=3).score(QUERY, documents())
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert np.ptp(scores) > 0.003


def test_layers_differ(layerwise):
    shallow, deep = (load(layerwise, layer=layer).score(QUERY, documents()) for layer in (2, 6))
    np.testing.assert_array_equal(deep, load(layerwise).score(QUERY, documents()))
    assert not np.allclose(shallow, deep, atol=1e-3)


def test_gemma_s_score_is_the_logit_of_yes(gemma):
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(gemma)
    model = transformers.AutoModelForCausalLM.from_pretrained(gemma)
    from hybrid.rerankers.decoder import PROMPT

    ids = tokenizer(
        f"<bos>A: {QUERY}\nB: hello world\n{PROMPT}", add_special_tokens=False, return_tensors="pt"
    )
    with torch.no_grad():
        logit = model(input_ids=ids["input_ids"]).logits[0, -1, tokenizer.convert_tokens_to_ids("Yes")]
    assert load(gemma).score(QUERY, documents(["hello world"]))[0] == pytest.approx(float(logit), abs=1e-4)


def test_a_score_does_not_depend_on_the_others(gemma):
    model = load(gemma)
    together = model.score(QUERY, documents())
    alone = np.concatenate([model.score(QUERY, [document]) for document in documents()])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_long_document_scores_as_its_best_passage(gemma):
    model, first = load(gemma, max_tokens=40), load(gemma, max_tokens=40, passages=1)
    ids = model._ids(f"B: {LONG}")
    starts = [0, 20, 40, 60]  # the question and a short query leave a window of 40 for the passage
    spelled = [model._tokenizer.decode(ids[start : start + 40]) for start in starts]
    assert len(ids) > 100
    whole, cut = (each.score("a", documents([LONG]))[0] for each in (model, first))
    rows = model._pairs(0, model._begin + model._ids("A: a"), LONG)
    assert [len(row.ids) for row in rows] == [len(rows[0].ids)] * 4
    scores = model._run(rows)
    assert whole == pytest.approx(scores.max(), abs=1e-4)
    assert cut == pytest.approx(scores[0], abs=1e-4)
    assert len(set(spelled)) == 4
    for row, start in zip(rows, starts, strict=True):
        assert ids[start : start + 40] == row.ids[-len(model._question) - 41 : -len(model._question) - 1]


def test_many_threads(gemma):
    model = load(gemma)
    expected = model.score(QUERY, documents())
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(lambda _: model.score(QUERY, documents()), range(8)):
            np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_what_is_refused(gemma, layerwise, tmp_path):
    with pytest.raises(hybrid.InputError, match="layer is 3, and the model"):
        load(gemma, layer=3)
    with pytest.raises(hybrid.InputError, match="layer is 1; give a whole number from 2 to 6"):
        load(layerwise, layer=1)
    with pytest.raises(
        hybrid.InputError, match="max_tokens is 513; give a whole number from 16 to the model's 512"
    ):
        load(gemma, max_tokens=513)
    with pytest.raises(hybrid.InputError, match="passages is 0"):
        load(gemma, passages=0)
    for folder in (gemma, layerwise):
        with pytest.raises(hybrid.InputError, match="dtype is 'int4'"):
            load(folder, dtype="int4")
    with pytest.raises(hybrid.InputError, match="lone surrogate"):
        load(gemma).score("\ud800", documents())
    other = tmp_path / "other"
    save_gemma(other)
    edit_json(other / "config.json", model_type="qwen3")
    with pytest.raises(hybrid.EncoderError, match="a decoder of the type 'qwen3'"):
        load(other)


def test_weights_that_do_not_belong_are_refused(layerwise, tmp_path):
    import shutil

    folder = shutil.copytree(layerwise, tmp_path / "m")
    edit_json(folder / "config.json", start_layer=3)
    with pytest.raises(hybrid.EncoderError, match=r"do not belong.*'lm_head.4"):
        load(folder)
    edit_json(folder / "config.json", head_type="raw")
    with pytest.raises(hybrid.EncoderError, match="heads of the type 'raw'"):
        load(folder)
    edit_json(folder / "config.json", head_type="simple", rope_scaling={"type": "linear", "factor": 2.0})
    with pytest.raises(hybrid.EncoderError, match="scales its rotary embedding"):
        load(folder)
