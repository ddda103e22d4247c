"""Chunking: long texts cut into passages, where the text itself has its seams."""

from hybrid.text.chunking.chunkers import CHUNKERS, Chunker, Fixed, Headings, Recursive, Sentences
from hybrid.text.chunking.documents import split, titled_passages
from hybrid.text.chunking.passage import Passage
from hybrid.text.chunking.units import Units, Words

__all__ = [
    "CHUNKERS", "Chunker", "Fixed", "Headings", "Passage", "Recursive", "Sentences", "Units", "Words",
    "split", "titled_passages",
]  # fmt: skip
