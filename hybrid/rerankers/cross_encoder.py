"""Cross-encoders: one model reads query and document together and gives one number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybrid.encoders.neural import loading
from hybrid.encoders.neural.backbone import batches
from hybrid.encoders.neural.loading import Dtype
from hybrid.errors import EncoderError
from hybrid.rerankers.padding import budget, padded, use_threads
from hybrid.rerankers.pairs import Pair, Pairs, best_passages, checked_passages, contents
from hybrid.types import Document, Floats


class CrossEncoder:
    """A sequence classifier with one output, as bge-reranker and ms-marco-MiniLM are.

    The score is the model's raw output, a logit: a sigmoid would change no order, but make high ones
    equal by rounding. Of a long document it is that of the best passage (`Pairs`). May be used from several
    threads.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str, max_tokens: int, passages: int) -> None:
        """Put a loaded model and tokenizer together; see `load`."""
        self.name, self.max_tokens = name, max_tokens
        self._model, self._device = model, str(model.device)
        self._padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self._pairs = Pairs(tokenizer.backend_tokenizer.to_str(), max_tokens, passages)
        self._typed = int(getattr(model.config, "type_vocab_size", 0) or 0) > 1

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        name: str,
        device: str | None = None,
        dtype: Dtype = "float32",
        max_tokens: int | None = None,
        passages: int = 4,
        trust_remote_code: bool = False,
    ) -> CrossEncoder:
        """Load the classifier in a folder: ``config.json``, weights and tokenizer.

        ``max_tokens``: the window, of query and passage together; None for what tokenizer and model say.
        ``device``: None for cuda where there is one, else cpu.

        Raises:
            EncoderError: the folder holds no such model, or it has another number of outputs than one.
            InputError: the window, the device, the dtype or the number of passages cannot be had.
            MissingDependencyError: torch or transformers is not installed.
        """
        checked_passages(passages)
        loading.read_config(folder)
        device = loading.chosen_device(device)
        tokenizer = loading.load_tokenizer(folder, trust_remote_code=trust_remote_code)
        model = loading.load_model(
            folder, "classification", device, dtype, trust_remote_code=trust_remote_code
        )
        outputs = int(model.config.num_labels)
        if outputs != 1:
            raise EncoderError(
                f"the model in {folder} has {outputs} outputs; a cross-encoder for ranking has 1 (such as "
                "BAAI/bge-reranker-v2-m3)"
            )
        limit = loading.window(tokenizer, model, folder, max_tokens)
        return cls(model, tokenizer, name=name, max_tokens=limit, passages=passages)

    def score(self, query: str, documents: Sequence[Document]) -> Floats:
        """Return one logit per document: float32, shape (documents,), in the order given.

        Raises:
            InputError: a text is not valid Unicode.
            EncoderError: the model failed.
        """
        texts = contents(query, documents)
        pairs = self._pairs.of(query, texts)
        parts = batches([len(pair.ids) for pair in pairs], budget(self._device))
        return best_passages(pairs, len(texts), parts, self._run)

    def _run(self, pairs: Sequence[Pair]) -> Floats:
        torch = loading.torch_library()
        use_threads()
        given = {
            "input_ids": padded([pair.ids for pair in pairs], self._padding),
            "attention_mask": padded([[1] * len(pair.ids) for pair in pairs]),
        }
        if self._typed:
            given["token_type_ids"] = padded([pair.types for pair in pairs])
        try:
            with torch.no_grad():
                outputs = self._model(**{name: tensor.to(self._device) for name, tensor in given.items()})
        except Exception as error:  # out of memory, wrong shapes: the library's errors share no public root
            shape = given["input_ids"].shape
            raise EncoderError(
                f"cross-encoder {self.name!r} failed on {shape[0]} pairs of up to {shape[1]} tokens: {error}"
            ) from error
        logits: Floats = outputs.logits[:, 0].float().cpu().numpy()
        return logits
