"""Decoders as rerankers, as FlagEmbedding made them: bge-reranker-v2-gemma and v2-minicpm-layerwise.

The model reads ``A: query``, ``B: passage`` and a question whether the passage answers the query. Its score
is made of the last token's state: Gemma's logit of "Yes", MiniCPM's one number of a layer's own head.
Prompts, separators and lengths are those of FlagEmbedding's ``FlagLLMReranker`` and
``LayerWiseFlagLLMReranker``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hybrid.encoders.neural import loading
from hybrid.encoders.neural.backbone import batches
from hybrid.encoders.neural.loading import Dtype
from hybrid.errors import EncoderError, InputError
from hybrid.rerankers import minicpm
from hybrid.rerankers.padding import budget, padded, use_threads
from hybrid.rerankers.pairs import Pair, best_passages, checked_passages, contents
from hybrid.types import Document, Floats

PROMPT = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query by "
    "providing a prediction of either 'Yes' or 'No'."
)
"""What the models were trained with."""

MAX_TOKENS = 512
"""The longest query and passage together, unless told: FlagEmbedding's."""

Last = Callable[[Any, Any, Any], Any]
"""Scores token ids, mask and each row's last position, all tensors; returns a tensor of shape (rows,)."""


class DecoderReranker:
    """A decoder that says how well a passage answers a query. May be used from several threads.

    Of a long document the score is that of the best passage (MaxP), each half a window after the one before.
    """

    def __init__(
        self, last: Last, tokenizer: Any, *, name: str, device: str, max_tokens: int, passages: int
    ) -> None:
        """Put what scores and its tokenizer together; see `load`."""
        self.name, self.max_tokens, self.passages = name, max_tokens, passages
        self._last, self._device = last, device
        self._tokenizer = loading.cutting(tokenizer, None)
        self._padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        begins = tokenizer.bos_token_id
        self._begin = [] if begins is None or begins == tokenizer.pad_token_id else [int(begins)]
        self._between, self._question = self._ids("\n"), self._ids(PROMPT)

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
        layer: int | None = None,
    ) -> DecoderReranker:
        """Load the decoder in a folder: Gemma's, or FlagEmbedding's layerwise MiniCPM.

        ``max_tokens``: of query and passage together, without the question; 512 unless told. ``layer``: after
        which layer a layerwise model stops, None for its last.

        Raises:
            EncoderError: the folder holds no such model.
            InputError: the window, device, dtype, layer or number of passages cannot be had.
            MissingDependencyError: torch or transformers, or for MiniCPM FlagEmbedding, is not installed.
        """
        checked_passages(passages)
        config = loading.read_config(folder)
        device = loading.chosen_device(device)
        with loading.quiet():
            tokenizer = loading.load_tokenizer(folder)
        if minicpm.is_layerwise(config):
            last = minicpm.load(folder, device, dtype, layer)
        elif config.get("model_type") != "gemma":
            raise EncoderError(
                f"{folder} holds a decoder of the type {config.get('model_type')!r}; the decoders that are "
                "known as rerankers are those of bge-reranker-v2-gemma and bge-reranker-v2-minicpm-layerwise"
            )
        elif layer is not None:
            raise InputError(f"layer is {layer!r}, and the model in {folder} has a score at its end only")
        else:
            model = loading.load_model(folder, "causal", device, dtype, trust_remote_code=False)
            last = _yes(model, tokenizer("Yes", add_special_tokens=False)["input_ids"][0])
        limit = MAX_TOKENS if max_tokens is None else max_tokens
        places = config.get("max_position_embeddings") or limit
        if isinstance(limit, bool) or not isinstance(limit, int) or not 16 <= limit <= places:
            raise InputError(f"max_tokens is {limit!r}; give a whole number from 16 to the model's {places}")
        return cls(last, tokenizer, name=name, device=device, max_tokens=limit, passages=passages)

    def score(self, query: str, documents: Sequence[Document]) -> Floats:
        """Return one score per document: float32, shape (documents,), in the order given.

        Raises:
            InputError: a text is not valid Unicode.
            EncoderError: the model failed.
        """
        texts = contents(query, documents)
        asked = self._begin + self._ids(f"A: {query}")[: self.max_tokens * 3 // 4]
        pairs = [pair for n, text in enumerate(texts) for pair in self._pairs(n, asked, text)]
        parts = batches([len(pair.ids) for pair in pairs], budget(self._device))
        return best_passages(pairs, len(texts), parts, self._run)

    def _pairs(self, number: int, asked: list[int], text: str) -> list[Pair]:
        ids = self._ids(f"B: {text}")
        room = min(self.max_tokens, self.max_tokens + len(self._question) - len(asked))
        step = max(1, room // 2)
        starts = [0, *range(step, max(len(ids) - room, 0) + step, step)][: self.passages]
        end = [*self._between, *self._question]
        rows = [asked + self._between + ids[start : start + room] + end for start in starts]
        return [Pair(number, row, []) for row in rows]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _run(self, pairs: Sequence[Pair]) -> Floats:
        torch = loading.torch_library()
        use_threads()
        ids = padded([pair.ids for pair in pairs], self._padding).to(self._device)
        mask = padded([[1] * len(pair.ids) for pair in pairs]).to(self._device)
        try:
            with torch.no_grad():
                found = self._last(ids, mask, mask.sum(dim=1) - 1)
        except Exception as error:  # out of memory, wrong shapes: the library's errors share no public root
            raise EncoderError(
                f"reranker {self.name!r} failed on {len(pairs)} pairs of up to {ids.shape[1]} tokens: {error}"
            ) from error
        scores: Floats = found.float().cpu().numpy()
        return scores


def _yes(model: Any, word: int) -> Last:
    """Return what gives the logit of one word; those of all others (256,000 in Gemma) are not computed."""

    def last(ids: Any, mask: Any, ends: Any) -> Any:
        torch = loading.torch_library()
        states = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        chosen = states[torch.arange(len(ids), device=ids.device), ends]
        return chosen @ model.get_output_embeddings().weight[word]

    return last
