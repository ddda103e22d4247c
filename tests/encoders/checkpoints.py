"""Tiny random models, saved in the layouts that real families have."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
WORDS = ("hello", "world", "cell", "river", "music", "the", "of", "and", "what", "is")
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def save_bert(
    folder: Path, *, mlm: bool = False, seed: int = 0, positions: int = 40, extra=(), **config
) -> Path:
    """Save a BERT model and its WordPiece tokenizer, as bert-base-uncased has them."""
    import transformers

    names = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *extra]
    words = [*names, *MARKS, *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]
    tokenizer = transformers.BertTokenizer(
        vocab={word: n for n, word in enumerate(words)}, do_lower_case=True, model_max_length=positions
    )
    shape = transformers.BertConfig(
        vocab_size=len(words), max_position_embeddings=positions, layer_norm_eps=1e-6, **(SIZES | config)
    )
    kind = transformers.BertForMaskedLM if mlm else transformers.BertModel
    return _save(folder, kind, shape, tokenizer, seed)


def save_xlm_roberta(folder: Path, *, seed: int = 0, positions: int = 40, **config) -> Path:
    """Save an XLM-RoBERTa model and its Unigram tokenizer; it has ``positions`` places for tokens."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    first = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [*LETTERS, *MARKS, "▁", *(f"▁{c}" for c in (*LETTERS, *MARKS)), *(f"▁{word}" for word in WORDS)]
    vocabulary = [(token, 0.0) for token in first] + [(piece, -(len(piece) ** -1.0)) for piece in pieces]
    tokenizer = Tokenizer(models.Unigram([*vocabulary, ("<mask>", 0.0)], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    special = {
        "bos": "<s>",
        "cls": "<s>",
        "eos": "</s>",
        "sep": "</s>",
        "unk": "<unk>",
        "pad": "<pad>",
        "mask": "<mask>",
    }
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=positions,
        **{f"{k}_token": v for k, v in special.items()},
    )
    shape = transformers.XLMRobertaConfig(
        vocab_size=len(vocabulary) + 1,
        max_position_embeddings=positions + 2,  # places are counted from behind the padding token's
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        **(SIZES | config),
    )
    return _save(folder, transformers.XLMRobertaModel, shape, fast, seed)


def _save(folder: Path, kind, shape, tokenizer, seed: int) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = randomised(kind(shape), seed)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def randomised(module, seed: int):
    """Give every weight a random value: biases and norms too, because zeros and ones would hide mistakes."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return module


def edit_json(path: Path, **values) -> None:
    """Change keys of a JSON file; None removes a key."""
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def save_bge_m3(folder: Path, *, seed: int = 0, positions: int = 40, token_dimension: int = 32) -> Path:
    """Save the files of BAAI/bge-m3: XLM-RoBERTa, as pytorch_model.bin, and two linear layers in float16."""
    import torch
    import transformers

    save_xlm_roberta(folder, seed=seed, positions=positions)
    model = transformers.XLMRobertaModel.from_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    for n, (file, width) in enumerate([("sparse_linear.pt", 1), ("colbert_linear.pt", token_dimension)], 1):
        layer = randomised(torch.nn.Linear(SIZES["hidden_size"], width), seed + n)
        torch.save(layer.half().state_dict(), folder / file)
    return folder


def save_splade(
    folder: Path, *, activation: str = "relu", pooling: str = "max", seed: int = 0, **options
) -> Path:
    """Save a SPLADE model with sentence-transformers itself; ``options`` are set on the model."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_bert(folder / "mlm", mlm=True, seed=seed)
        transformer = SparseEncoder(str(folder / "mlm"), device="cpu")[0]
        pool = SpladePooling(pooling_strategy=pooling, activation_function=activation)
        model = SparseEncoder(modules=[transformer, pool], device="cpu", **options)
        model.save(str(folder / "splade"), create_model_card=False)
    return folder / "splade"


def save_inference_free(folder: Path, *, seed: int = 0) -> Path:
    """Save a model whose queries are looked up, as sentence-transformers does: a Router of two routes."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_bert(folder / "mlm", mlm=True, seed=seed)
        parts = SparseEncoder(str(folder / "mlm"), device="cpu")
        size = len(parts.tokenizer)
        weight = torch.rand(size, generator=torch.Generator().manual_seed(seed)) * (
            torch.arange(size) % 5 > 0
        )
        static = SparseStaticEmbedding(parts.tokenizer, weight=weight, frozen=True)
        router = Router.for_query_document(query_modules=[static], document_modules=[parts[0], parts[1]])
        SparseEncoder(modules=[router], device="cpu", similarity_fn_name="dot").save(
            str(folder / "router"), create_model_card=False
        )
    return folder / "router"


def save_opensearch_doc(folder: Path, *, seed: int = 0) -> Path:
    """Save the plain files of opensearch-neural-sparse-encoding-doc: a masked language model and idf.json."""
    save_bert(folder, mlm=True, seed=seed)
    weights = {
        word: 1.0 + n / 7 for n, word in enumerate(("hello", "world", "cell", "river", "the", "##a", "?"))
    }
    (folder / "idf.json").write_text(json.dumps(weights))
    return folder


def save_stanford_colbert(folder: Path, *, seed: int = 0, dimension: int = 8, **metadata) -> Path:
    """Save colbert-ir/colbertv2.0's files: a BERT under "bert.", "linear.weight" beside it, and metadata."""
    import torch
    from safetensors.torch import load_file, save_file

    save_bert(folder, seed=seed)
    tensors = {f"bert.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    generator = torch.Generator().manual_seed(seed + 1)
    tensors["linear.weight"] = torch.randn(dimension, SIZES["hidden_size"], generator=generator) * 0.3
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    edit_json(folder / "config.json", architectures=["HF_ColBERT"])
    said = {
        "query_token_id": "[unused0]",
        "doc_token_id": "[unused1]",
        "query_maxlen": 12,
        "doc_maxlen": 24,
        "attend_to_mask_tokens": False,
        "mask_punctuation": True,
        "dim": dimension,
    }
    (folder / "artifact.metadata").write_text(json.dumps(said | metadata))
    return folder


def save_multivector(folder: Path, *, expansion: dict | None, seed: int = 0, dimension: int = 8) -> Path:
    """Save a late-interaction model with sentence-transformers itself, its settings beside the modules."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from torch.nn import Identity

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_bert(folder / "bert", seed=seed)
        transformer = Transformer(
            str(folder / "bert"), query_length=20, document_length=24, query_expansion=expansion
        )
        dense = Dense(
            SIZES["hidden_size"],
            dimension,
            bias=False,
            activation_function=Identity(),
            module_input_name="token_embeddings",
        )
        modules = [
            transformer,
            randomised(dense, seed + 1),
            MultiVectorMask(skiplist_words=list("!?.,"), skiplist_tasks=["document", "query"]),
            Normalize(module_input_name="token_embeddings"),
        ]
        prompts = {"query": "what is ", "document": "the "}
        MultiVectorEncoder(modules=modules, device="cpu", prompts=prompts).save(
            str(folder / "multivector"), create_model_card=False
        )
    return folder / "multivector"


def save_pylate(folder: Path, *, seed: int = 0, dimension: int = 8, **settings) -> Path:
    """Save the files of a model that PyLate 1 saved: two modules, and settings in one file.

    Its markers "[Q] " and "[D] " are tokens with the blank in them, as in lightonai/GTE-ModernColBERT-v1.
    """
    import torch
    import transformers
    from safetensors.torch import save_file

    save_bert(folder, seed=seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["[Q] ", "[D] "])
    tokenizer.save_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.BertModel.from_pretrained(folder)
        model.resize_token_embeddings(len(tokenizer))
        randomised(model, seed).save_pretrained(folder)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": 23, "do_lower_case": False})
    )
    width = SIZES["hidden_size"]
    layer = {
        "in_features": width,
        "out_features": dimension,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (folder / "1_Dense").mkdir()
    (folder / "1_Dense/config.json").write_text(json.dumps(layer))
    weight = torch.randn(dimension, width, generator=torch.Generator().manual_seed(seed + 1)) * 0.3
    save_file({"linear.weight": weight}, folder / "1_Dense/model.safetensors")
    said = {
        "model_type": "ColBERT",
        "prompts": {},
        "similarity_fn_name": "MaxSim",
        "query_prefix": "[Q] ",
        "document_prefix": "[D] ",
        "query_length": 12,
        "document_length": 24,
        "attend_to_expansion_tokens": False,
        "skiplist_words": list("!?.,"),
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps(said | settings))
    return folder
