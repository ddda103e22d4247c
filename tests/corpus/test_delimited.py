from __future__ import annotations

import csv
import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.corpus import read
from hybrid.errors import CorpusError
from hybrid.types import Document


def written(folder: Path, content: str | bytes, name: str = "corpus.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_columns_become_fields_and_metadata(tmp_path: Path) -> None:
    path = written(tmp_path, 'year,_id,text,title\n2024,a,"one, ""two""\nthree",T\n\n,b,,\n')
    assert list(read(path)) == [
        Document("a", 'one, "two"\nthree', "T", {"year": "2024"}),
        Document("b", "", "", {"year": ""}),
    ]


def test_tabs_byte_order_mark_crlf_and_gzip(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbfid\tcontents\r\n1\tsay "hi", x\r\n2\t"tab\there"\r\n'
    expected = [Document("1", 'say "hi", x'), Document("2", "tab\there")]
    assert list(read(written(tmp_path, content, "c.tsv"))) == expected
    assert list(read(written(tmp_path, gzip.compress(content), "c.tsv.gz"))) == expected


def test_long_cells_are_read_and_the_process_limit_is_left_alone(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    long = "word " * 60_000
    assert len(long) > before
    documents = read(written(tmp_path, f"id,text\n1,{long}\n2,x\n"))
    assert next(documents) == Document("1", long)
    assert csv.field_size_limit() == before
    assert next(documents) == Document("2", "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty; the first line must name the columns, such as id,text"),
        (
            "name,text\n",
            "line 1: no id column (columns: name, text); the first line must name one '_id' or 'id'",
        ),
        ("id,body\n", "line 1: no text column (columns: id, body); the first line must name one 'text' or"),
        ("id,,text\n", "line 1: column 2 has no name"),
        ("\n\nid,text,id\n", "line 3: two columns are named 'id'"),
        ("id,text,metadata\n", "line 1: a column cannot be named 'metadata'"),
        ("id,text,vectors\n", "line 1: a column cannot be named 'vectors'"),
        ("id,_id,text\n1,1,x\n", "line 2: both '_id' and 'id' are given"),
        ("id,text\n1,a,b\n", "line 2: 3 cells for 2 columns (id, text)"),
        ('id,text\n1,"x\ny"\n2\n', "line 4: 1 cells for 2 columns"),
        ("id,text\n,a\n", "line 2: 'id' is empty"),
        ('id,text\n1,"x\ny"\n\n1,b\n', "line 5: id '1' was already used on line 2"),
        ('id,text\n1,a\n2,"never closed\n\n', "line 3: malformed row (unexpected end of data)"),
        ('id,text\n1,"a"b\n', "line 2: malformed row"),
        ("id,text\n1,a\rb\n", "line 2: malformed row"),
    ],
)
def test_malformed_files_name_the_line(tmp_path: Path, content: str, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(CorpusError, match=re.escape(message)) as caught:
        list(read(path))
    assert str(path) in str(caught.value)


def test_invalid_utf8_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="line 2: invalid UTF-8 at byte offset 2 of the line"):
        list(read(written(tmp_path, b"id,text\n1,\xe9\n")))


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20)


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(CELLS.filter(str.strip), CELLS, CELLS, CELLS), max_size=5, unique_by=lambda row: row[0]
    ),
    name=st.sampled_from(["c.csv", "c.tsv"]),
)
def test_rows_written_by_the_csv_module_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, str]], name: str
) -> None:
    path = tmp_path_factory.mktemp("round") / name
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="," if name == "c.csv" else "\t")
        writer.writerows([("id", "title", "text", "note"), *rows])
    assert list(read(path)) == [Document(row[0], row[2], row[1], {"note": row[3]}) for row in rows]
