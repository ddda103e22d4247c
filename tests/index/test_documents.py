"""Which documents are accepted, and how they come back."""

from __future__ import annotations

import json
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.errors import CorruptIndexError, DocumentError, DuplicateIdError
from hybrid.index import DocumentRows, Segment, SegmentWriter, check_documents
from hybrid.index.lives import Lives
from hybrid.index.strings import Strings
from hybrid.types import Document

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ids = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=6)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
documents = st.builds(Document, ids, texts, texts, st.dictionaries(texts, json_values, max_size=4))
batches = st.lists(documents, max_size=6, unique_by=lambda document: document.id)


@given(batches)
@settings(max_examples=60, deadline=None)
def test_accepted_documents_come_back_equal_and_sorted(tmp_path_factory, batch):
    check_documents(batch)
    rows = DocumentRows.from_documents(batch)
    rows = rows.take(rows.order())
    path = tmp_path_factory.mktemp("documents") / "s.seg"
    with SegmentWriter(path) as out:
        rows.write(out, "documents")
    back = DocumentRows.read(Segment.open(path, verify=True), "documents")
    assert [back.document(i) for i in range(len(back))] == sorted(batch, key=lambda document: document.id)


def test_find_agrees_for_few_and_for_many_ids():
    names = sorted(f"d{i}" for i in range(100))
    rows = DocumentRows.from_documents([Document(name) for name in names])
    wanted = ["d7", "absent", "d99", "", "zzz", "d0", "\ud800"]
    expected = [names.index(name) if name in names else -1 for name in wanted]
    assert rows.find(wanted).tolist() == expected
    assert rows.find(wanted * 10).tolist() == expected * 10


def test_order_is_that_of_strings_not_of_utf16():
    names = ["\U0001f600", "\uffee", "é", "e", "Z"]
    rows = DocumentRows.from_documents([Document(name) for name in names])
    assert [names[i] for i in rows.order()] == ["Z", "e", "é", "\uffee", "\U0001f600"]


def test_metadata_is_canonical_and_takes_any_mapping():
    one = Document("a", metadata=MappingProxyType({"b": (1, 2), "a": MappingProxyType({"y": 1, "x": 2})}))
    check_documents([one])
    assert DocumentRows.from_documents([one]).metadata[0] == b'{"a":{"x":2,"y":1},"b":[1,2]}'


@pytest.mark.parametrize("id", ["a b", "ünïcode", "1", "a/b", "E-4021", "C++", " "])
def test_unusual_ids_are_accepted(id):
    check_documents([Document(id)])
    assert DocumentRows.from_documents([Document(id)]).document(0).id == id


@pytest.mark.parametrize("id", ["", "a\nb", "a\tb", "a\0", "\r", "\x85", "\u2028", "\x7f"])
def test_ids_that_run_files_cannot_hold_are_refused(id):
    with pytest.raises(
        DocumentError, match=r"document 1: id .* is not accepted; an id is a non-empty string"
    ):
        check_documents([Document("ok"), Document(id)])


def nested(depth: int, leaf: object = 1) -> object:
    return leaf if depth == 0 else {"k": nested(depth - 1, leaf)}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (Document(7), r"document 0: id must be a string, got int 7"),
        (Document(None), r"document 0: id must be a string, got NoneType None"),
        (Document("\ud800x"), r"document 0: id is not valid Unicode"),
        (
            Document("a", text=b"raw"),
            r"document 0 \('a'\): text must be a string, got bytes b'raw'; decode it",
        ),
        (Document("a", text=None), r"text must be a string, got NoneType None; write '' for none"),
        (Document("a", title=3), r"title must be a string, got int 3"),
        (
            Document("a", text="x\udcffy"),
            r"text is not valid Unicode: it has the lone surrogate .* at position 1",
        ),
        (Document("a", metadata=[1]), r"metadata must be a mapping, got list \[1\]"),
        (Document("a", metadata={"x": float("nan")}), r"metadata 'x' is nan; numbers must be finite"),
        (
            Document("a", metadata={"x": {"y": [1, float("inf")]}}),
            r"metadata 'x.y' is inf; numbers must be finite",
        ),
        (Document("a", metadata={1: 2}), r"a key of metadata '' must be a string, got int 1"),
        (Document("a", metadata={"x": {2: 2}}), r"a key of metadata 'x' must be a string, got int 2"),
        (Document("a", metadata={"x": {1, 2}}), r"metadata 'x' is set \{1, 2\}; accepted are"),
        (Document("a", metadata={"x": b"raw"}), r"metadata 'x' is bytes b'raw'; accepted are"),
        (Document("a", metadata={"x": np.int64(3)}), r"metadata 'x' is int64 .*; accepted are"),
        (Document("a", metadata={"x": "\ud800"}), r"metadata 'x' is not valid Unicode"),
        (Document("a", metadata={"\ud800": 1}), r"a key of metadata '' is not valid Unicode"),
        (Document("a", metadata={"x": 2**2000}), r"metadata 'x' is an integer of over 1024 bits"),
        (Document("a", metadata=nested(17)), r"is over 16 levels deep"),
        ({"id": "a"}, r"document 0: expected a hybrid.Document, got dict .*hybrid.Document\(\*\*fields\)"),
    ],
)
def test_other_documents_are_refused_with_the_reason(document, message):
    with pytest.raises(DocumentError, match=message):
        check_documents([document])


def test_limits_themselves_are_accepted():
    check_documents([Document("a", metadata={"x": 2**1024 - 1, **nested(16)})])


def test_endless_metadata_is_refused():
    endless: dict = {}
    endless["x"] = endless
    with pytest.raises(DocumentError, match="levels deep"):
        check_documents([Document("a", metadata=endless)])


def test_a_repeated_id_names_both_positions():
    batch = [Document("a"), Document("b"), Document("c"), Document("b")]
    with pytest.raises(DuplicateIdError, match=r"'b' appears twice: documents 1 and 3"):
        check_documents(batch)


def test_undecodable_storage_is_corruption():
    broken = DocumentRows(
        *(Strings.of([value]) for value in (b"a", b"", b"\xff", b"{}")), lives=Lives.of([None])
    )
    with pytest.raises(CorruptIndexError, match="document number 0"):
        broken.document(0)
    broken = DocumentRows(*(Strings.of([value]) for value in (b"a", b"", b"", b"{")), lives=Lives.of([None]))
    with pytest.raises(CorruptIndexError, match="document number 0"):
        broken.document(0)


def test_metadata_is_stored_as_json():
    record = {"z": 1, "a": "é", "n": None, "big": 2**70, "f": 0.1}
    stored = DocumentRows.from_documents([Document("a", metadata=record)]).metadata[0]
    assert json.loads(stored) == record
