"""Tiny cross-encoders with random weights, in the layouts that published ones have."""

from __future__ import annotations

import shutil
import warnings

from tests.encoders.checkpoints import edit_json, randomised


def classify(folder, labels=1):
    """Turn a saved model into a sequence classifier, as cross-encoders are published."""
    import torch
    import transformers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = transformers.AutoConfig.from_pretrained(folder, num_labels=labels)
        torch.manual_seed(0)
        model = transformers.AutoModelForSequenceClassification.from_config(config)
        randomised(model, 3).save_pretrained(folder)
    return folder


def bge(folder):
    """Name the tokenizer's class as the published models do; FlagEmbedding builds pairs by it."""
    edit_json(folder / "tokenizer_config.json", tokenizer_class="XLMRobertaTokenizer")
    return folder


def export(
    source, folder, *, place="onnx/model.onnx", names=("input_ids", "attention_mask", "token_type_ids")
):
    """Copy a classifier, with its weights as an ONNX file as optimum writes it, and no others."""
    import torch
    import transformers

    class Named(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, *values):
            return self.model(**dict(zip(names, values, strict=True))).logits

    folder = shutil.copytree(source, folder)
    (folder / place).parent.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, attn_implementation="eager"
        ).eval()
        torch.onnx.export(
            Named(model),
            tuple(torch.ones((2, 5), dtype=torch.int64) for _ in names),
            str(folder / place),
            input_names=list(names),
            output_names=["logits"],
            dynamic_axes={name: {0: "batch", 1: "sequence"} for name in names} | {"logits": {0: "batch"}},
            dynamo=False,
        )
    (folder / "model.safetensors").unlink()
    return folder
