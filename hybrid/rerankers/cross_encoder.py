"""Cross-encoders: one model reads query and document together and gives one number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hybrid.encoders.neural import loading
from hybrid.encoders.neural.backbone import batches
from hybrid.encoders.neural.loading import Dtype
from hybrid.encoders.texts import checked_texts
from hybrid.errors import EncoderError, InputError
from hybrid.threads import thread_count
from hybrid.types import Document, Floats

_BUDGET = {"cpu": 4096, "other": 32768}
"""How many tokens a batch may hold, padding included, by device."""


class _Pair(NamedTuple):
    """A query with one passage of a document, as token ids; ``types`` says which of the two each is of."""

    document: int
    ids: list[int]
    types: list[int]


class CrossEncoder:
    """A sequence classifier with one output, as bge-reranker and ms-marco-MiniLM are.

    The score is the model's raw output, a logit: a sigmoid would change no order, but make high ones
    equal by rounding. A document longer than the window is read in up to ``passages`` passages, each half a
    window after the one before, and its score is that of the best (MaxP: Dai and Callan 2019); what comes
    after them is not read. A query may take half of the window. May be used from several threads.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str, max_tokens: int, passages: int) -> None:
        """Put a loaded model and tokenizer together; see `load`."""
        self.name, self.max_tokens, self.passages = name, max_tokens, passages
        self._model, self._device = model, str(model.device)
        self._padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self._whole, self._cut = _tokenizers(tokenizer, max_tokens)
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
        if isinstance(passages, bool) or not isinstance(passages, int) or passages < 1:
            raise InputError(f"passages is {passages!r}; give a whole number of at least 1")
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
        texts = [document.content for document in documents]
        checked_texts([query, *texts])
        query = self._shortened(query)
        pairs = [pair for n, text in enumerate(texts) for pair in self._pairs(n, query, text)]
        scores = np.full(len(texts), -np.inf, np.float32)
        budget = _BUDGET["cpu" if self._device == "cpu" else "other"]
        for batch in batches([len(pair.ids) for pair in pairs], budget):
            chosen = [pairs[n] for n in batch]
            np.maximum.at(scores, [pair.document for pair in chosen], self._run(chosen))
        return scores

    def _shortened(self, query: str) -> str:
        """Return what of the query fits into half of the window."""
        encoding = self._whole.encode(query, add_special_tokens=False)
        most = max(1, self.max_tokens // 2)
        return query if len(encoding.ids) <= most else query[: encoding.offsets[most - 1][1]]

    def _pairs(self, number: int, query: str, text: str) -> list[_Pair]:
        first = self._cut.encode(query, text)
        found = [first, *first.overflowing[: self.passages - 1]]
        return [_Pair(number, list(encoding.ids), list(encoding.type_ids)) for encoding in found]

    def _run(self, pairs: Sequence[_Pair]) -> Floats:
        torch = loading.torch_library()
        if torch.get_num_threads() != thread_count():
            torch.set_num_threads(thread_count())
        shape = (len(pairs), max(len(pair.ids) for pair in pairs))
        ids = torch.full(shape, self._padding, dtype=torch.int64)
        mask, types = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)
        for n, pair in enumerate(pairs):
            ids[n, : len(pair.ids)] = torch.tensor(pair.ids)
            types[n, : len(pair.ids)] = torch.tensor(pair.types)
            mask[n, : len(pair.ids)] = 1
        given = {"input_ids": ids, "attention_mask": mask} | (
            {"token_type_ids": types} if self._typed else {}
        )
        try:
            with torch.no_grad():
                outputs = self._model(**{name: tensor.to(self._device) for name, tensor in given.items()})
        except Exception as error:  # out of memory, wrong shapes: the library's errors share no public root
            raise EncoderError(
                f"cross-encoder {self.name!r} failed on {shape[0]} pairs of up to {shape[1]} tokens: {error}"
            ) from error
        logits: Floats = outputs.logits[:, 0].float().cpu().numpy()
        return logits


def _tokenizers(tokenizer: Any, max_tokens: int) -> tuple[Any, Any]:
    """Return the fast tokenizer twice: one that cuts nothing, and one that cuts documents into passages."""
    from tokenizers import Tokenizer

    spelled = tokenizer.backend_tokenizer.to_str()
    whole, cutting = Tokenizer.from_str(spelled), Tokenizer.from_str(spelled)
    for each in (whole, cutting):
        each.no_padding()
        each.no_truncation()
    room = max_tokens - max_tokens // 2 - cutting.num_special_tokens_to_add(is_pair=True)
    if room < 2:
        raise InputError(
            f"the window of {max_tokens} tokens leaves no room for a document; give more max_tokens"
        )
    cutting.enable_truncation(max_tokens, stride=room // 2, strategy="only_second")
    return whole, cutting
