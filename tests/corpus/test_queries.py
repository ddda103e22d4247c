from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from hybrid.corpus import read_queries
from hybrid.errors import CorpusError


@pytest.mark.parametrize(
    ("name", "content", "queries"),
    [
        (
            "q.jsonl",
            '{"_id": "b", "text": "x", "metadata": 1}\n\n{"id": 7, "text": ""}\n',
            [("b", "x"), ("7", "")],
        ),
        ("q.ndjson", '\ufeff{"_id": "b", "text": "é"}', [("b", "é")]),
        ("q.tsv", 'b\tone "two"\r\n\na\t\n', [("b", 'one "two"'), ("a", "")]),
        ("q.txt", "first\n\n  third \n", [("1", "first"), ("3", "  third ")]),
    ],
)
def test_queries_in_file_order(
    tmp_path: Path, name: str, content: str, queries: list[tuple[str, str]]
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert read_queries(path) == queries
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    assert read_queries(str(packed)) == queries


def test_a_beir_folder_is_its_queries_file(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"this folder holds no queries\.jsonl\(\.gz\)"):
        read_queries(tmp_path)
    (tmp_path / "queries.jsonl").write_text('{"_id": "b", "text": "x"}', "utf-8")
    assert read_queries(tmp_path) == [("b", "x")]
    (tmp_path / "queries.jsonl.gz").write_bytes(b"")
    with pytest.raises(CorpusError, match="this folder holds both"):
        read_queries(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "q.jsonl",
            b'{"_id": "1", "text": "x"}\n{"_id": "1", "text": "y"}',
            "line 2: query id '1' was already used",
        ),
        ("q.jsonl", b'{"_id": "1"}', "line 1: query '1' has no 'text'"),
        ("q.jsonl", b'{"text": "x"}', "line 1: no id"),
        ("q.jsonl", b'\n{"_id": "1", "text": 2}', "line 2: 'text' must be a string, got int 2"),
        ("q.jsonl", b"\n\n{", "line 3: malformed JSON"),
        ("q.tsv", b"1\ta\n1\tb\n", "line 2: query id '1' was already used on line 1"),
        ("q.tsv", b"1\ta\n2\n", "line 2: expected a query id, one tab and the text, got 1 cells in '2'"),
        ("q.tsv", b"1\ta\tb\n", "line 1: expected a query id, one tab and the text, got 3 cells"),
        ("q.tsv", b" \ta\n", "line 1: expected a query id"),
        ("q.txt", b"a\n\xff\n", "line 2: invalid UTF-8 at byte offset 0"),
        ("q.txt.gz", b"a\n", "line 1: the gzip stream is damaged"),
        ("q.csv", b"a,b\n", "not a file of queries; give a .jsonl"),
    ],
)
def test_malformed_files_name_the_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=re.escape(message)) as caught:
        read_queries(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CorpusError, match=r"missing\.tsv: cannot be read \(No such file"):
        read_queries("missing.tsv")


@pytest.mark.data
def test_real_queries(data_dir: Path) -> None:
    queries = read_queries(data_dir / "scifact")
    assert len(queries) == 1109
    assert queries[0] == ("0", "0-dimensional biomaterials lack inductive properties.")
