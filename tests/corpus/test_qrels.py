from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from hybrid.corpus import read_qrels
from hybrid.errors import CorpusError


def written(folder: Path, content: bytes, name: str = "qrels") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_trec(tmp_path: Path) -> None:
    content = b"q2 0 d1 1\n\nq1\t0\td2  -1\r\nq2 Q0 d0 3\n"
    expected = {"q2": {"d1": 1, "d0": 3}, "q1": {"d2": -1}}
    judgements = read_qrels(written(tmp_path, content))
    assert judgements == expected
    assert list(judgements) == ["q2", "q1"]
    assert read_qrels(str(written(tmp_path, gzip.compress(content), "qrels.gz"))) == expected


def test_beir(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfquery-id\tcorpus-id\tscore\r\nq 1\td 1\t2\r\nq 1\td 2\t0\r\n"
    assert read_qrels(written(tmp_path, content)) == {"q 1": {"d 1": 2, "d 2": 0}}


def test_a_file_of_nothing_judges_nothing(tmp_path: Path) -> None:
    assert read_qrels(written(tmp_path, b"\n")) == {}


BEIR = b"query-id\tcorpus-id\tscore\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"q 0 d 1\nq 0 d\n", "line 2: expected 4 columns (query, iteration, document, grade), got 3"),
        (b"q\td\t1\n", "the 3-column form must start with the header 'query-id corpus-id score'"),
        (b"q 0 d 1 x\n", "line 1: expected 4 columns"),
        (b"q 0 d 1.0\n", "line 1: the grade must be an integer, got '1.0'"),
        (b"q 0 d yes\n", "line 1: the grade must be an integer, got 'yes'"),
        ("q 0 d ١\n".encode(), "line 1: the grade must be an integer"),
        (b"q 0 d 1_0\n", "line 1: the grade must be an integer, got '1_0'"),
        (b"q 0 d 1\nq 0 e 1\nq 1 d 2\n", "line 3: document 'd' was already judged for query 'q' on line 1"),
        (BEIR + b"q\td\n", "line 2: expected 3 cells (query-id, corpus-id, score) with tabs between"),
        (BEIR + b"q d 1\n", "line 2: expected 3 cells"),
        (BEIR + b"q\t\t1\n", "line 2: expected 3 cells"),
        (BEIR + b"q\td\t\xff\n", "line 2: invalid UTF-8 at byte offset 4"),
        (BEIR + b"q\td\tx\n", "line 2: the grade must be an integer, got 'x'"),
        (BEIR + b"q\td\t1\nq\td\t1\n", "line 3: document 'd' was already judged for query 'q' on line 2"),
    ],
)
def test_malformed_files_name_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(CorpusError, match=re.escape(message)) as caught:
        read_qrels(path)
    assert str(path) in str(caught.value)


@pytest.mark.data
def test_real_judgements(data_dir: Path) -> None:
    judgements = read_qrels(data_dir / "scifact" / "qrels" / "test.tsv")
    assert len(judgements) == 300
    assert judgements["1"] == {"31715818": 1}
