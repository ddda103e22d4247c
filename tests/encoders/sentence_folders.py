"""Tiny random models in the layouts that sentence-transformers writes and families publish."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

WINDOW = 16


def save_sentence_model(
    base: Path,
    folder: Path,
    pooling: str = "mean",
    *,
    normalize: bool = True,
    after=(),
    hidden: int = 32,
    **kw,
) -> Path:
    """Put sentence-transformers' modules around a saved transformer: as its releases 5 and 6 write them."""
    import sentence_transformers
    from sentence_transformers.sentence_transformer import modules

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = [
            modules.Transformer(str(base), max_seq_length=WINDOW),
            modules.Pooling(hidden, pooling),
            *after,
            *([modules.Normalize()] if normalize else []),
        ]
        sentence_transformers.SentenceTransformer(modules=parts, device="cpu", **kw).save(
            str(folder), create_model_card=False
        )
    return folder


def save_e5(base: Path, folder: Path) -> Path:
    """Add the files that intfloat/e5-base-v2 has: the layout of sentence-transformers 2, without prompts."""
    import shutil

    shutil.copytree(base, folder)
    kinds = ("Transformer", "Pooling", "Normalize")
    paths = ("", "1_Pooling", "2_Normalize")
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    flags = {"cls_token": False, "mean_tokens": True, "max_tokens": False, "mean_sqrt_len_tokens": False}
    pooling = {"word_embedding_dimension": 32, **{f"pooling_mode_{key}": on for key, on in flags.items()}}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": WINDOW, "do_lower_case": False})
    )
    return folder


def save_decoder(
    folder: Path, kind: str = "mistral", *, seed: int = 0, positions: int = 64, **config
) -> Path:
    """Save a Mistral or Qwen2 with a byte-level tokenizer that adds no end token, as their families have."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    from tests.encoders.checkpoints import SIZES, _save

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, **{letter: n + 3 for n, letter in enumerate(letters)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        padding_side="left",
        model_max_length=positions,
    )
    shapes = {"mistral": transformers.MistralConfig, "qwen2": transformers.Qwen2Config}
    kinds = {"mistral": transformers.MistralModel, "qwen2": transformers.Qwen2Model}
    shape = shapes[kind](
        vocab_size=len(vocabulary),
        max_position_embeddings=positions,
        num_key_value_heads=2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        **(SIZES | config),
    )
    return _save(folder, kinds[kind], shape, fast, seed)


def save_nomic(folder: Path, base: Path, *, seed: int = 0) -> Path:
    """Save a NomicBert (rotary positions, gated) with the tokenizer of a saved BERT."""
    import transformers

    from tests.encoders.checkpoints import SIZES, _save

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(base))
    shape = transformers.NomicBertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **SIZES)
    tokenizer.model_max_length = 64
    return _save(folder, transformers.NomicBertModel, shape, tokenizer, seed)
