"""Tiny decoders with the layouts of FlagEmbedding's rerankers, with random weights."""

from __future__ import annotations

import string
import warnings

from tests.encoders.checkpoints import WORDS, edit_json, randomised

POSITIONS = 512
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
NAMES = ["<pad>", "<eos>", "<bos>", "<unk>", "Yes", "No"]


def save_tokenizer(folder):
    """Save a Unigram tokenizer as Gemma has one: pieces with blanks, and a beginning that callers add."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    pieces = [
        *string.ascii_letters,
        *string.digits,
        *string.punctuation,
        "\n",
        "▁",
        *(f"▁{w}" for w in WORDS),
    ]
    vocabulary = [*((name, 0.0) for name in NAMES), *((piece, -1 / len(piece)) for piece in pieces)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    special = dict(zip(("pad_token", "eos_token", "bos_token", "unk_token"), NAMES, strict=False))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, padding_side="right", **special
    ).save_pretrained(folder)
    return len(vocabulary)


def save_gemma(folder, seed=0):
    """Save what bge-reranker-v2-gemma is made of."""
    import transformers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = transformers.GemmaConfig(
            vocab_size=save_tokenizer(folder), num_hidden_layers=2, num_key_value_heads=1, head_dim=8,
            max_position_embeddings=POSITIONS, pad_token_id=0, eos_token_id=1, bos_token_id=2, **SIZES,
        )  # fmt: skip
        randomised(transformers.GemmaForCausalLM(config), seed).save_pretrained(folder)
    return folder


def save_minicpm(folder, seed=1):
    """Save what bge-reranker-v2-minicpm-layerwise is made of: six layers, heads from the second on."""
    import torch
    from safetensors.torch import save_file

    from hybrid.rerankers import minicpm

    kind, settings = minicpm._classes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = settings(
            vocab_size=save_tokenizer(folder), num_hidden_layers=6, num_key_value_heads=4, start_layer=2,
            max_position_embeddings=POSITIONS, scale_emb=2, dim_model_base=16, scale_depth=1.4,
            head_multi=True, head_type="simple", pad_token_id=0, eos_token_id=1, bos_token_id=2, **SIZES,
        )  # fmt: skip
        model = randomised(kind(config), seed)
    assert not torch.equal(model.lm_head[0].linear_head.weight, model.lm_head[1].linear_head.weight)
    save_file(model.state_dict(), folder / "model.safetensors", {"format": "pt"})
    config.save_pretrained(folder)
    edit_json(
        folder / "config.json",
        architectures=["LayerWiseMiniCPMForCausalLM"],
        rope_parameters=None,
        use_cache=False,
    )
    return folder
