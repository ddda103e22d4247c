"""What the length of a passage is counted in: a model's tokens, or words."""

from __future__ import annotations

import re
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Spans = NDArray[np.int64]
"""Where units stand in a text: int64, shape (n, 2), in characters, ascending."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


class Units(Protocol):
    """A way of counting."""

    @property
    def most(self) -> int:
        """How many units a passage has at most, unless a chunker says less."""
        ...

    def spans(self, text: str) -> Spans:
        """Return where the units of a text stand."""
        ...

    def count(self, text: str) -> int:
        """Return how many units a text has when it stands alone, with all that is added to it."""
        ...


class Words:
    """Words between blanks; of Chinese and Japanese, characters.

    >>> Words(100).count("two words"), Words(100).count("東京 2")
    (2, 3)
    """

    def __init__(self, most: int = 200) -> None:
        self.most = most

    def spans(self, text: str) -> Spans:
        """Return where the words stand."""
        return np.array([found.span() for found in _WORD.finditer(text)], np.int64).reshape(-1, 2)

    def count(self, text: str) -> int:
        """Return how many words there are."""
        return sum(1 for _ in _WORD.finditer(text))
