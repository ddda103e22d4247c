from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.corpus import lines, read
from hybrid.errors import CorpusError
from hybrid.types import Document

LINES = b"""{"_id": "b", "title": "Two", "text": "second", "metadata": {"year": 2024}}
{"_id": "a", "text": "first", "lang": "de"}
"""
DOCUMENTS = [
    Document("b", "second", "Two", {"year": 2024}),
    Document("a", "first", "", {"lang": "de"}),
]


def written(folder: Path, content: bytes, name: str = "corpus.jsonl") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize(
    "name", ["c.jsonl", "c.ndjson", "c.jsonl.gz", "c.ndjson.gz", "C.JSONL", "a.b.jsonl.GZ"]
)
def test_files_give_exactly_these_documents_in_order(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(LINES) if name.lower().endswith(".gz") else LINES)
    assert list(read(path)) == DOCUMENTS
    assert list(read(str(path))) == DOCUMENTS


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + LINES,
        LINES.replace(b"\n", b"\r\n"),
        LINES.removesuffix(b"\n"),
        b"\n  \n" + LINES.replace(b"\n", b"\n\t\r\n\n"),
    ],
    ids=["byte order mark", "CRLF", "no last line end", "blank lines"],
)
def test_harmless_variations_read_the_same(tmp_path: Path, content: bytes) -> None:
    assert list(read(written(tmp_path, content))) == DOCUMENTS


def test_only_newlines_end_lines(tmp_path: Path) -> None:
    content = '{"_id": "a", "text": "x\u2028y\u0085z\x1c"}\n'.replace("\x1c", "\\u001c").encode()
    assert list(read(written(tmp_path, content))) == [Document("a", "x\u2028y\x85z\x1c")]


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.jsonl.gz"])
def test_a_file_of_nothing_has_no_documents(tmp_path: Path, name: str) -> None:
    assert list(read(written(tmp_path, b"", name))) == []


GOOD = b'{"_id": "1", "text": ""}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"_id": "2", "text": }', "line 3: malformed JSON at character 22 (Expecting value)"),
        (b'{"_id": "2", "text": "x"} {}', "line 3: malformed JSON at character 27 (Extra data)"),
        (b'{"_id": "2", "text": "x', "line 3: malformed JSON at character 22 (Unterminated string"),
        (b'{"_id": "2", "text": "x", "y": NaN}', "line 3: malformed JSON (NaN is not JSON"),
        (b'{"_id": "2", "text": "x", "y": -Infinity}', "line 3: malformed JSON (-Infinity is not JSON"),
        (b'{"_id": "2", "text": "x", "text": "y"}', "line 3: malformed JSON (the key 'text' is given twice)"),
        (b'{"_id": "2", "text": "", "y": ' + b"[" * 100_000, "line 3: malformed JSON (maximum recursion"),
        (
            b'{"_id": "2", "text": "", "y": ' + b"9" * 5_000 + b"}",
            "line 3: malformed JSON (Exceeds the limit",
        ),
        (b'["2"]', "line 3: expected a JSON object such as"),
        (b'"2"', "got str"),
        (b"null", "got NoneType 'null'"),
        (b'{"text": "x"}', "line 3: no id (keys: 'text')"),
        (b'{"_id": "", "text": "x"}', "line 3: '_id' is empty"),
        (b'{"_id": "2", "text": 5}', "line 3: 'text' must be a string, got int 5"),
        (b'{"_id": "2", "text": "", "title": null}', "line 3: 'title' must be a string, got NoneType"),
        (b'{"_id": "2", "text": "\\ud800"}', "line 3: 'text' holds half a surrogate pair"),
        (b'{"_id": "2", "text": "\xff"}', "line 3: invalid UTF-8 at byte offset 22 of the line"),
        (
            b'{"_id": "2", "text": "\xc3',
            "line 3: invalid UTF-8 at byte offset 22 of the line (unexpected end",
        ),
        (b'{"_id": "1", "text": "again"}', "line 3: id '1' was already used on line 1"),
        (b'{"_id": 1, "text": "again"}', "line 3: id '1' was already used on line 1"),
    ],
)
@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_a_bad_line_is_named_after_the_good_ones_were_given(
    tmp_path: Path, name: str, line: bytes, message: str
) -> None:
    path = written(tmp_path, GOOD + b"\n" + line + b"\n", name)
    documents = read(path)
    assert next(documents) == Document("1")
    with pytest.raises(CorpusError, match=re.escape(message)) as caught:
        next(documents)
    assert str(path) in str(caught.value)


def test_the_byte_order_mark_counts_in_the_offset(tmp_path: Path) -> None:
    path = written(tmp_path, b'\xef\xbb\xbf{"\xff')
    with pytest.raises(CorpusError, match="line 1: invalid UTF-8 at byte offset 5 of the line"):
        list(read(path))


def test_utf16_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="line 1: invalid UTF-8 at byte offset 0"):
        list(read(written(tmp_path, GOOD.decode().encode("utf-16"))))


def test_a_gzip_file_cut_anywhere_gives_whole_documents_and_then_an_error(tmp_path: Path) -> None:
    expected = [Document(str(n), f"text {n * 7919}") for n in range(6)]
    content = b"".join(b'{"_id": "%d", "text": "text %d"}\n' % (n, n * 7919) for n in range(6))
    whole = gzip.compress(content, mtime=0)
    path = tmp_path / "corpus.jsonl.gz"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        got: list[Document] = []
        with pytest.raises(CorpusError, match=r"corpus\.jsonl\.gz.*(cut short|empty file)"):
            got.extend(read(path))
        assert got == expected[: len(got)]
    path.write_bytes(whole)
    assert list(read(path)) == expected


@pytest.mark.parametrize("content", [b"not gzip", b"\x1f\x8b", GOOD])
def test_what_is_not_gzip_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "corpus.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match="line 1: the gzip stream is damaged or cut short"):
        list(read(path))


def test_a_flipped_byte_in_a_gzip_file_is_an_error(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(GOOD * 1, mtime=0))
    whole[-6] ^= 1  # the checksum
    path = tmp_path / "corpus.jsonl.gz"
    path.write_bytes(whole)
    with pytest.raises(CorpusError, match="damaged or cut short"):
        list(read(path))


def test_a_gzip_file_of_several_members_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl.gz"
    path.write_bytes(gzip.compress(LINES[:80]) + gzip.compress(LINES[80:]))
    assert list(read(path)) == DOCUMENTS


def test_a_decompression_bomb_is_refused_without_taking_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "corpus.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=9) as stream:
        for _ in range(64):
            stream.write(b" " * 2**20)
    assert path.stat().st_size < 100_000
    limit = 2**20
    tracemalloc.start()
    try:
        with pytest.raises(CorpusError, match="line 1: longer than 1,048,576 bytes"):
            list(lines.read_lines(path, limit=limit))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * limit


def test_a_line_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, b"abc\nde")
    assert list(lines.read_lines(path, limit=4)) == [(1, "abc"), (2, "de")]
    with pytest.raises(CorpusError, match="line 1: longer than 3 bytes"):
        list(lines.read_lines(path, limit=3))


def test_reading_is_lazy(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    documents = read(path)
    path.write_bytes(b'{"_id": "later", "text": "x"}')
    assert [document.id for document in documents] == ["later"]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
DOCUMENT = st.builds(
    Document,
    id=TEXTS.filter(str.strip),
    text=TEXTS,
    title=TEXTS,
    metadata=st.dictionaries(TEXTS, VALUES, max_size=3),
)


@settings(deadline=None)
@given(
    documents=st.lists(DOCUMENT, max_size=6, unique_by=lambda document: document.id),
    ascii_only=st.booleans(),
    name=st.sampled_from(["corpus.jsonl", "corpus.jsonl.gz"]),
)
def test_any_documents_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory, documents: list[Document], ascii_only: bool, name: str
) -> None:
    content = "".join(
        json.dumps(
            {"_id": item.id, "text": item.text, "title": item.title, "metadata": item.metadata},
            ensure_ascii=ascii_only,
        )
        + "\n"
        for item in documents
    )
    path = written(tmp_path_factory.mktemp("round"), content.encode(), name)
    assert list(read(path)) == documents


@pytest.mark.data
def test_real_collections_have_their_known_sizes(data_dir: Path) -> None:
    sizes = {
        name: len(list(read(data_dir / name)))
        for name in ("scifact", "cranfield", "cosqa", "qmsum-longembed")
    }
    assert sizes == {"scifact": 5183, "cranfield": 1400, "cosqa": 6267, "qmsum-longembed": 197}
