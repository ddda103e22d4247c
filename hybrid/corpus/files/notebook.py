"""Jupyter notebooks: cells in order, code fenced; what they printed is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hybrid.corpus.files.decoding import decode, read_whole
from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.report import Note, UnreadableError
from hybrid.corpus.files.text import first_heading


def read_notebook(file: FoundFile, note: Note) -> Iterator[Part]:
    """Yield a notebook as Markdown, with the ``language`` of its code.

    Raises:
        UnreadableError: it is no notebook of format 4.
    """
    try:
        notebook = json.loads(decode(read_whole(file.path)))
        cells = [_cell(cell["cell_type"], cell["source"]) for cell in notebook["cells"]]
        language = str(notebook.get("metadata", {}).get("kernelspec", {}).get("language", "python"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"it is no notebook of format 4 ({type(error).__name__}: {error})") from error
    text = "\n\n".join(filter(None, cells))
    yield Part.whole(text, first_heading(text), language=language)


def _cell(kind: str, source: Any) -> str:
    text = "".join(source).strip()
    return f"```\n{text}\n```" if kind == "code" and text else text
