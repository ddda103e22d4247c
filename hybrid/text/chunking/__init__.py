"""Chunking: long texts cut into passages, where the text itself has its seams."""

from hybrid.text.chunking.chunkers import Chunker, Fixed, Headings, Recursive, Sentences
from hybrid.text.chunking.code import Code
from hybrid.text.chunking.documents import split, titled_passages
from hybrid.text.chunking.nested import Nested
from hybrid.text.chunking.passage import Passage
from hybrid.text.chunking.semantic import Semantic
from hybrid.text.chunking.units import Units, Words

CHUNKERS: dict[
    str,
    type[Code]
    | type[Fixed]
    | type[Headings]
    | type[Nested]
    | type[Recursive]
    | type[Semantic]
    | type[Sentences],
] = {
    "fixed": Fixed,
    "recursive": Recursive,
    "sentences": Sentences,
    "headings": Headings,
    "code": Code,
    "semantic": Semantic,
    "nested": Nested,
}

__all__ = [
    "CHUNKERS", "Chunker", "Code", "Fixed", "Headings", "Nested", "Passage", "Recursive", "Semantic",
    "Sentences", "Units", "Words", "split", "titled_passages",
]  # fmt: skip
