"""Run files: what is read, what is refused, and in which order results stand."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hybrid
from hybrid.evaluation import Run, read_run, write_run

LINES = "q2 Q0 d1 1 0.5 mine\nq1 Q0 b 1 2 mine\n\nq1 Q0 c 7 2.0 mine\nq1\tQ0 a\t3  3e0 mine\r\n"


def written(tmp_path, text, name="some.run"):
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def test_order_is_by_score_then_id_whatever_the_ranks_say(tmp_path):
    run = read_run(written(tmp_path, LINES))
    assert run.name == "mine"
    assert list(run.results) == ["q2", "q1"]
    assert list(run.results["q1"].items()) == [("a", 3.0), ("b", 2.0), ("c", 2.0)]
    assert run.ranking("q1") == ["a", "b", "c"]
    assert run.ranking("no such query") == []


def test_names(tmp_path):
    assert read_run(written(tmp_path, LINES), "other").name == "other"
    mixed = "q Q0 d 1 1 one\nq Q0 e 1 1 two\n"
    assert read_run(written(tmp_path, mixed, "bm25.k1.run")).name == "bm25"


def test_gzip(tmp_path):
    path = tmp_path / "a.run.gz"
    path.write_bytes(gzip.compress(LINES.encode()))
    assert read_run(path) == read_run(written(tmp_path, LINES))


def test_beir_json(tmp_path):
    path = written(tmp_path, json.dumps({"q1": {"b": 2, "a": 2.0, "c": 3}, "q2": {}}), "bm25.json")
    run = read_run(path)
    assert run == Run("bm25", {"q1": {"c": 3.0, "a": 2.0, "b": 2.0}, "q2": {}})
    assert run.ranking("q1") == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("q Q0 d 1 0.5\n", 1, "expected 6 columns"),
        ("q Q0 d 1 0.5 t\nq Q0 a document 2 0.4 t\n", 2, "got 7"),
        ("q Q0 d 1 nan t\n", 1, "finite number, got 'nan'"),
        ("q Q0 d 1 inf t\n", 1, "finite number, got 'inf'"),
        ("q Q0 d 1 1e999 t\n", 1, "finite number, got '1e999'"),
        ("q Q0 d 1 0x10 t\n", 1, "finite number, got '0x10'"),
        ("q Q0 d 1 1_0 t\n", 1, "finite number, got '1_0'"),
        ("q Q0 d 1 1 t\n\nq Q0 d 2 0 t\n", 3, "'d' stands twice under query 'q'"),
    ],
)
def test_malformed_lines_are_named(tmp_path, text, line, what):
    path = written(tmp_path, text)
    with pytest.raises(hybrid.CorpusError, match=rf"some\.run, line {line}: .*") as caught:
        read_run(path)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "not JSON"),
        ("[]", "expected an object"),
        ('{"q": 1}', "expected an object"),
        ('{"q": {"d": "1"}}', "'1'; give a finite number"),
        ('{"q": {"d": true}}', "True; give a finite number"),
        ('{"q": {"d": NaN}}', "nan; give a finite number"),
        ('{"q": {"d": 1, "d": 2}}', "'d' stands twice"),
        ('{"q": {}, "q": {}}', "'q' stands twice"),
        ('{"q": {"d": 1}', "not JSON"),
    ],
)
def test_malformed_json_is_refused(tmp_path, text, what):
    with pytest.raises(hybrid.CorpusError, match="run\\.json") as caught:
        read_run(written(tmp_path, text, "run.json"))
    assert what in str(caught.value)


def test_an_empty_file_is_no_run(tmp_path):
    with pytest.raises(hybrid.CorpusError, match="no results"):
        read_run(written(tmp_path, "\n"))
    with pytest.raises(hybrid.CorpusError, match="cannot be read"):
        read_run(tmp_path / "absent.run")


@pytest.mark.parametrize(
    ("results", "what"),
    [
        ({1: {"d": 1.0}}, "query id 1 is of type int"),
        ({"q": {7: 1.0}}, "document id 7 is of type int"),
        ({"q": {"d": float("nan")}}, "score nan"),
        ({"q": {"d": "1"}}, "score '1'"),
        ({"q": {"d": True}}, "score True"),
    ],
)
def test_types_are_checked(results, what):
    with pytest.raises(hybrid.InputError, match=what):
        Run("r", results)


@pytest.mark.parametrize(
    ("run", "what"),
    [
        (Run("r", {"a b": {"d": 1.0}}), "query id 'a b'"),
        (Run("r", {"q": {"d\t": 1.0}}), "document id"),
        (Run("", {"q": {"d": 1.0}}), "name ''"),
    ],
)
def test_what_a_file_cannot_express_is_refused_before_it_is_touched(tmp_path, run, what):
    path = written(tmp_path, "old")
    with pytest.raises(hybrid.InputError, match=what):
        write_run(run, path)
    assert path.read_text() == "old"


WORD = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=4)
SCORE = st.floats(allow_nan=False, allow_infinity=False)


@given(
    results=st.dictionaries(
        WORD, st.dictionaries(WORD, SCORE, min_size=1, max_size=5), min_size=1, max_size=4
    )
)
def test_what_is_written_is_read(tmp_path_factory, results):
    path = tmp_path_factory.mktemp("runs") / "a.run"
    run = Run("tag", results)
    write_run(run, path)
    found = read_run(path)
    assert found == run
    assert [list(found.results[q]) for q in found.results] == [list(run.results[q]) for q in run.results]
