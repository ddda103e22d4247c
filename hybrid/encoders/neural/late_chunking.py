"""Late chunking: passages that know the text around them.

A long text runs through the model as a whole, and the token vectors of each passage are pooled afterwards
(Günther, Mohr, Williams, Wang and Xiao 2024, https://arxiv.org/abs/2409.04701), so that a passage's vector
carries what "it" and "the city" refer to. For models with long windows and mean pooling, such as Nomic's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import DenseBatch
from hybrid.encoders.neural.dense import NeuralDenseEncoder, check_finite
from hybrid.encoders.neural.pooling import pool
from hybrid.encoders.texts import checked_texts
from hybrid.errors import InputError

Span = tuple[int, int]
"""Where a passage begins in its text and where it ends, in characters."""


def late_chunks(
    encoder: NeuralDenseEncoder, text: str, spans: Sequence[Span], *, overlap: int = 256
) -> DenseBatch:
    """Return one vector for each passage of a text, in order, pooled from what the model sees of the whole.

    A text longer than the model's window is read in windows that overlap by ``overlap`` tokens; each token's
    vector is taken from the first window that has it with as much text before it (the paper's long late
    chunking). The encoder's document prefix stands before every window and is not pooled. A token counts for
    every passage that it touches. ``truncated`` is False everywhere: nothing is left out.

    Raises:
        InputError: a span is empty, lies outside the text or holds no token; the encoder pools the last token
            or cls, of which a passage has none of its own; or the overlap leaves no room for new tokens.
    """
    checked_texts([text])
    pooling = encoder.recipe.pooling
    if pooling not in ("mean", "max"):
        raise InputError(
            f"model {encoder.backbone.name!r} pools {pooling!r}; late chunking needs a model that pools "
            "'mean' or 'max' over all tokens"
        )
    for span in spans:
        if not 0 <= span[0] < span[1] <= len(text):
            raise InputError(f"the span {span} is not within the text of {len(text)} characters, or is empty")
    states, offsets = _states(encoder, text, overlap)
    pooled = [_pooled(encoder, states, offsets, span) for span in spans]
    if not pooled:
        return DenseBatch(np.empty((0, encoder.dimension), np.float32), np.zeros(0, np.bool_))
    import torch

    vectors = encoder.finished(torch.cat(pooled))
    check_finite(vectors, [text[a:b] for a, b in spans], encoder.backbone.name)
    return DenseBatch(vectors, np.zeros(len(spans), np.bool_))


def _states(encoder: NeuralDenseEncoder, text: str, overlap: int) -> tuple[Any, NDArray[np.int64]]:
    """Return a text's token vectors, torch of shape (tokens, hidden), and their characters, (tokens, 2)."""
    import torch

    backbone, prefix = encoder.backbone, encoder.recipe.document_prefix
    first, last = _special(backbone.tokenizer)
    whole = backbone.tokenizer(
        prefix + text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    offsets = np.array(whole.offset_mapping, np.int64).reshape(-1, 2) - len(prefix)
    own = int((offsets[:, 0] < 0).sum())  # the prefix's tokens
    before, ids = [*first, *whole.input_ids[:own]], whole.input_ids[own:]
    room = backbone.max_tokens - len(before) - len(last)
    if not 0 <= overlap < room:
        raise InputError(
            f"overlap is {overlap}, and the window of {backbone.name!r} has {room} tokens for the text; give "
            f"a whole number from 0 to {room - 1}"
        )
    starts = range(0, max(1, len(ids) - overlap), room - overlap)
    rows = [[*before, *ids[start : start + room], *last] for start in starts]
    found: list[Any] = [None] * len(rows)
    for ran in backbone.run(rows):
        for n, position in enumerate(ran.positions.tolist()):
            seen = overlap if position else 0  # by the window before, with more text before it
            found[position] = ran.outputs[n, len(before) + seen : len(rows[position]) - len(last)]
    return torch.cat(found), offsets[own:]


def _special(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the tokens that the tokenizer puts before and after every text."""
    found = tokenizer("a", return_special_tokens_mask=True)
    own = [n for n, special in enumerate(found.special_tokens_mask) if not special]
    return found.input_ids[: own[0]], found.input_ids[own[-1] + 1 :]


def _pooled(encoder: NeuralDenseEncoder, states: Any, offsets: NDArray[np.int64], span: Span) -> Any:
    import torch

    inside = (offsets[:, 0] < span[1]) & (offsets[:, 1] > span[0])
    if not inside.any():
        raise InputError(f"the span {span} holds no token; leave it out")
    mask = torch.from_numpy(inside)[None].to(states.device)
    return pool(states[None], mask, encoder.recipe.pooling)
