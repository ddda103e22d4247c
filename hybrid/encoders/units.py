"""How many tokens of a model a text has: what passages are measured in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class ModelUnits:
    """Counts a text as the model reads it: behind the document prefix, special tokens included.

    ``most`` is the model's window. Follows the protocol `hybrid.text.chunking.Units`.
    """

    def __init__(self, tokenizer: Any, most: int, prefix: str = "", more: int = 0) -> None:
        """Take a tokenizer of the library tokenizers, of which a copy that cuts nothing is made.

        ``more``: tokens that the encoder adds besides those of the tokenizer.
        """
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.most, self._prefix, self._more = most, prefix, more

    def spans(self, text: str) -> NDArray[np.int64]:
        """Return where the tokens of a text stand: int64, shape (n, 2), in characters."""
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return np.array(offsets, np.int64).reshape(-1, 2)

    def count(self, text: str) -> int:
        """Return how many tokens a text has for the model."""
        return len(self._tokenizer.encode(self._prefix + text).ids) + self._more
