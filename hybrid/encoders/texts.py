"""The texts that encoders are given: checked, and each different one only once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Distinct:
    """The different texts among some texts.

    ``texts``: in the order of their first appearance. ``source``: int64, shape (texts given,), the position
    in ``texts`` of each text that was given.
    """

    texts: list[str]
    source: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Distinct:
        """Check the texts and find the different ones.

        Raises:
            InputError: see `checked_texts`.
        """
        first: dict[str, int] = {}
        source = np.array([first.setdefault(text, len(first)) for text in checked_texts(texts)], np.int64)
        return cls(list(first), source)

    @property
    def repeats(self) -> NDArray[np.int64]:
        """How often each of ``texts`` was given."""
        return np.bincount(self.source, minlength=len(self.texts))


def checked_texts(texts: Sequence[str]) -> Sequence[str]:
    """Return the texts after checking each one.

    Raises:
        InputError: they are one string, or one of them is not a string, or not valid Unicode.
    """
    if isinstance(texts, str):
        raise InputError(f"texts is the single string {texts[:80]!r}; give a list of strings")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"text {position} is a {type(text).__name__}; give a string")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"text {position} holds the lone surrogate {text[error.start]!r} at character "
                f"{error.start}, which is not valid Unicode; remove or replace it"
            ) from error
    return texts
