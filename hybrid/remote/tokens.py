"""How many tokens a text has, where the tokenizer of a service is not at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

BYTES_PER_TOKEN = 3


def estimated_tokens(text: str) -> int:
    """Return one token for every three bytes of UTF-8, at least 1.

    That is more than English has (four to five bytes a token) and near what Chinese or Japanese has (one
    character, three bytes, a token); batches are cut by it, and a service that finds one too large says so.

    >>> estimated_tokens("hello world"), estimated_tokens("東京"), estimated_tokens("")
    (4, 2, 1)
    """
    return max(1, -(-len(text.encode()) // BYTES_PER_TOKEN))


def batches(texts: Sequence[str], most_texts: int, most_tokens: int, each: int = 0) -> Iterator[slice]:
    """Yield runs of texts, in order: at most so many texts, and tokens unless one text has more.

    ``each``: tokens that every text has besides its own.

    >>> list(batches(["a" * 30, "b" * 30, "c" * 90, "d"], 2, 20))
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    start = tokens = 0
    for position, text in enumerate(texts):
        more = estimated_tokens(text) + each
        if position > start and (position - start >= most_texts or tokens + more > most_tokens):
            yield slice(start, position)
            start, tokens = position, 0
        tokens += more
    if start < len(texts):
        yield slice(start, len(texts))
