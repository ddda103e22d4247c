"""A Stack Exchange data dump: every post of Posts.xml is a document, streamed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hybrid.corpus.files.found import FoundFile, Part
from hybrid.corpus.files.markup import html_text
from hybrid.corpus.files.report import Note, UnreadableError
from hybrid.corpus.files.xml import stream_starts

_TYPES = {"1": "question", "2": "answer"}
_TAGS = re.compile(r"[<|>]+")
_NUMBERS = {"Score": "score", "ViewCount": "views", "AnswerCount": "answers"}


def read_posts(file: FoundFile, note: Note) -> Iterator[Part]:
    """Yield questions, answers and other posts; the key is the post's Id.

    Metadata: ``post`` (question, answer or other), ``score``, ``date``, ``tags``, ``views``, ``answers``;
    of an answer ``question``, the Id of its question; of a question ``accepted``, the Id of its answer.

    Raises:
        UnreadableError: the XML is not well-formed, or declares entities.
    """
    waiting: list[Part] = []

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        if tag != "row":
            return
        try:
            waiting.append(_post(attributes))
        except UnreadableError as error:
            note(attributes.get("Id", "?"), str(error))

    with file.path.open("rb") as stream:
        step = stream_starts(stream, start)
        while step():
            yield from waiting
            waiting.clear()
    yield from waiting


def _post(row: Mapping[str, str]) -> Part:
    if "Id" not in row:
        raise UnreadableError("the post has no Id")
    metadata: dict[str, Any] = {"post": _TYPES.get(row.get("PostTypeId", ""), "other")}
    metadata |= {
        name: int(row[key]) for key, name in _NUMBERS.items() if row.get(key, "").lstrip("-").isdecimal()
    }
    tags = [tag for tag in _TAGS.split(row.get("Tags", "")) if tag]
    other = {"date": row.get("CreationDate"), "tags": tags, "question": row.get("ParentId")}
    metadata |= {
        name: value for name, value in (other | {"accepted": row.get("AcceptedAnswerId")}).items() if value
    }
    return Part(html_text(row.get("Body", ""))[1], row.get("Title", ""), row["Id"], metadata)
