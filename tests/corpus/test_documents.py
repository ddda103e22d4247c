from __future__ import annotations

import re
from typing import Any

import pytest

from hybrid.corpus import to_document
from hybrid.errors import CorpusError
from hybrid.types import Document


@pytest.mark.parametrize(
    ("record", "document"),
    [
        ({"_id": "a", "text": "T"}, Document("a", "T")),
        ({"id": "a", "contents": "T", "title": "H"}, Document("a", "T", "H")),
        ({"id": 12, "text": ""}, Document("12", "")),
        ({"id": -3, "text": ""}, Document("-3", "")),
        (
            {"id": "a", "text": "T", "metadata": {"year": 2024, "tags": ["x", None]}, "lang": "de"},
            Document("a", "T", "", {"year": 2024, "tags": ["x", None], "lang": "de"}),
        ),
        ({"id": "ü \U0001f600", "text": "日本", "title": " "}, Document("ü \U0001f600", "日本", " ")),
    ],
)
def test_a_record_becomes_exactly_this_document(record: dict[str, Any], document: Document) -> None:
    assert to_document(record, "here") == document


def test_vectors_are_kept_and_stand_in_for_text() -> None:
    document = to_document({"id": "a", "vectors": {"dense": [1.0, 2.0]}}, "here")
    assert document == Document("a")
    assert document.vectors == {"dense": [1.0, 2.0]}
    assert document.metadata == {}


def test_the_record_is_not_changed_or_shared() -> None:
    record = {"id": "a", "text": "T", "metadata": {"year": 1}, "lang": "de"}
    document = to_document(record, "here")
    assert record == {"id": "a", "text": "T", "metadata": {"year": 1}, "lang": "de"}
    assert document.metadata is not record["metadata"]


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (["a"], "here: expected an object with 'id' and 'text', got list ['a']"),
        ({"text": "T", "name": "x"}, "here: no id (keys: 'text', 'name'); give each record an 'id' or '_id'"),
        ({}, "here: no id (keys: none)"),
        ({"id": "", "text": "T"}, "here: 'id' is empty ('')"),
        ({"_id": " \t", "text": "T"}, "here: '_id' is empty (' \\t')"),
        ({"id": True, "text": "T"}, "here: 'id' must be a string or an integer, got bool True"),
        ({"id": 1.0, "text": "T"}, "here: 'id' must be a string or an integer, got float 1.0"),
        ({"id": None, "text": "T"}, "here: 'id' must be a string or an integer, got NoneType None"),
        ({"id": "a", "_id": "a", "text": "T"}, "here: both '_id' and 'id' are given; keep one"),
        ({"id": "a", "text": "T", "contents": "T"}, "here: both 'text' and 'contents' are given; keep one"),
        ({"id": "a", "title": "T"}, "here: document 'a' has no 'text' (keys: 'id', 'title')"),
        ({"id": "a", "text": None}, "here: 'text' must be a string, got NoneType None"),
        ({"id": "a", "text": ["T"]}, "here: 'text' must be a string, got list ['T']"),
        ({"id": "a", "contents": 1}, "here: 'contents' must be a string, got int 1"),
        ({"id": "a", "text": "T", "title": 7}, "here: 'title' must be a string, got int 7"),
        ({"id": "a", "text": b"T"}, "here: 'text' must be a string, got bytes b'T'"),
        ({"id": "a", "text": "T", "metadata": []}, "here: 'metadata' must be an object, got list []"),
        ({"id": "a", "text": "T", "vectors": [1]}, "here: 'vectors' must be an object, got list [1]"),
        ({"id": "a", "text": "T", "metadata": {"y": 1}, "y": 1}, "here: 'y' is given both beside 'metadata'"),
        ({"id": "a\ud800", "text": "T"}, "here: 'id' holds half a surrogate pair ('\\ud800' at character 1)"),
        ({"id": "a", "text": "\udfff"}, "here: 'text' holds half a surrogate pair"),
        ({"id": "a", "text": "T", "metadata": {"x": {"y": ["\ud800"]}}}, "here: 'x.y' holds half"),
        ({"id": "a", "text": "T", "x": {"\ud800": 1}}, "here: 'a key of x' holds half"),
        ({"id": "a", "text": "T", "x": {1: 1}}, "here: the keys of 'x' must be strings, got int 1"),
        ({"id": "a", "text": "T", 1: 1}, "here: the keys of 'metadata' must be strings, got int 1"),
        ({"id": "a", "text": "T", "x": float("nan")}, "here: 'x' is nan, which JSON cannot hold"),
        (
            {"id": "a", "text": "T", "x": [float("-inf")]},
            "here: 'x' is -inf, which JSON cannot hold",
        ),
        ({"id": "a", "text": "T", "x": {1, 2}}, "here: 'x' must be a JSON value"),
        ({"id": "a", "text": "T", "x": nested(65)}, "here: 'x' is nested deeper than 64 levels"),
    ],
)
def test_a_wrong_record_is_refused(record: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=re.escape(message)):
        to_document(record, "here")


def test_metadata_may_be_nested_to_the_limit() -> None:
    assert to_document({"id": "a", "text": "", "x": nested(64)}, "here").metadata == {"x": nested(64)}
