"""The commands, run as a person runs them: in their own process."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import hybrid
from hybrid.cli import main, show

ROOT = Path(__file__).resolve().parents[2]
CORPUS = [
    {
        "_id": "a",
        "title": "Errors",
        "text": "error code E-4021: the disk is full",
        "metadata": {"year": 2024},
    },
    {"_id": "b", "title": "Disks", "text": "how to make room on a disk", "metadata": {"year": 2023}},
    {"_id": "c", "title": "Cats", "text": "cats sleep all day"},
]
RECIPE = 'name = "words"\n[[branches]]\ntype = "bm25"\nanalyzer = "english"\n'


def run(*arguments, code=0, **options):
    """Run ``hybrid``; check the exit code and that stderr is a clear line at most."""
    done = subprocess.run(
        [sys.executable, "-m", "hybrid", *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, check=False, **options,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    if "--debug" not in arguments:
        assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in CORPUS))
    (tmp_path / "words.toml").write_text(RECIPE)
    return path


@pytest.fixture
def index(tmp_path, corpus):
    run("create", tmp_path / "index", corpus, "--recipe", tmp_path / "words.toml")
    return tmp_path / "index"


def test_create_and_search(index, tmp_path, corpus):
    out = run("search", index, "e-4021", "-k", 2)
    assert out.startswith("  1  Errors  a  ")
    assert "error code E-4021" in out
    assert "1 hit in" in out
    assert "exact" in out
    error = run("create", index, corpus, "--recipe", tmp_path / "words.toml", code=1)
    assert error.count("\n") == 1
    assert "overwrite" in error
    run("create", index, corpus, "--recipe", tmp_path / "words.toml", "--overwrite")


def test_search_json_and_filter_and_explain(index):
    found = json.loads(run("search", index, "disk", "--json", "--explain", "--where", '{"year": 2023}'))
    (hit,) = found["hits"]
    assert (hit["id"], hit["rank"], hit["metadata"]) == ("b", 1, {"year": 2023})
    assert hit["explanation"]["branches"][0]["terms"][0]["term"] == "disk"
    assert (found["exact"], found["degraded"], found["generation"]) == (True, [], 1)
    text = run("search", index, "disk", "--explain")
    assert "rank without" in text
    assert "bm25 terms" in text


def test_add_delete_stats_optimize_export(index, tmp_path):
    more = tmp_path / "more.jsonl"
    more.write_text('{"_id": "d", "text": "dogs"}\n{"_id": "a", "text": "changed"}\n')
    assert "already in the index" in run("add", index, more, code=1)
    assert "2 documents written; 4 in all" in run("add", index, more, "--update")
    assert "1 document deleted; 3 left" in run("delete", index, "c")
    assert "'c'" in run("delete", index, "c", code=1)
    assert "0 documents deleted" in run("delete", index, "c", "--missing-ok")
    stats = json.loads(run("stats", index, "--json"))
    assert (stats["documents"], stats["deleted"], stats["segments"]) == (3, 2, 2)
    assert "analyzer" in run("stats", index)
    assert "space of 2 deleted documents won back" in run("optimize", index)
    assert "nothing to do" in run("optimize", index)
    exported = run("export", index)
    assert run("export", index, "-o", "-") == exported
    rows = [json.loads(row) for row in exported.splitlines()]
    assert [row["_id"] for row in rows] == ["a", "b", "d"]
    assert rows[1] == CORPUS[1]
    run("export", index, "-o", tmp_path / "all.jsonl.gz")
    assert [d.id for d in hybrid.read(tmp_path / "all.jsonl.gz")] == ["a", "b", "d"]


def test_run(index, tmp_path):
    queries = tmp_path / "queries.jsonl"
    queries.write_text(
        '{"_id": "q1", "text": "disk"}\n{"_id": "q2", "text": "zebra"}\n{"_id": "q3", "text": "cats"}\n'
    )
    assert "3 queries, 3 lines" in run("run", index, queries, "-k", 5, "-o", tmp_path / "out.run")
    lines = [row.split() for row in (tmp_path / "out.run").read_text().splitlines()]
    assert [(row[0], row[1], row[3], row[5]) for row in lines] == [
        ("q1", "Q0", "1", "words"), ("q1", "Q0", "2", "words"), ("q3", "Q0", "1", "words"),
    ]  # fmt: skip
    with hybrid.open(index) as opened:
        for row, hit in zip(lines, [*opened.search("disk"), *opened.search("cats")], strict=True):
            assert (row[2], float(row[4])) == (hit.id, pytest.approx(hit.score, rel=1e-8))
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq3\tc\t1\n")
    out = run(
        "run", index, queries, "-o", tmp_path / "two.run", "--qrels", tmp_path / "qrels.tsv", "--tag", "x"
    )
    assert "1 query, 1 line in" in out
    assert (tmp_path / "two.run").read_text().endswith(" x\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["search", "INDEX", "x", "--where", "{year"], 2, "--where"),
        (["search", "INDEX", "x", "--where", "[1]"], 2, "object"),
        (["search", "INDEX", "x", "--where", '{"a": {"$no": 1}}'], 2, "$no"),
        (["search", "INDEX", "x", "-k", "0"], 2, "at least 1"),
        (["search", "INDEX", "x", "--branches", "dense"], 2, "'dense'"),
        (["search", "INDEX", "x", "--recipe", "missing.toml"], 2, "missing.toml"),
        (["search", "INDEX", "x", "--where", "[" * 100_000], 2, "--where"),
        (["search", "INDEX", "x", "--recipe", "OTHER"], 1, "bm25.analyzer"),
        (["run", "INDEX", "QUERIES", "-o", "MISSING/x"], 1, "No such file"),
        (["run", "INDEX", "QUERIES", "-o", "KEPT", "--where", "{"], 2, "--where"),
        (["run", "INDEX", "QUERIES", "-o", "KEPT", "--tag", "a b"], 2, "white space"),
        (["export", "INDEX", "-o", "INDEX"], 2, "must end in .jsonl"),
        (["nothing"], 2, "nothing"),
        (["search", "MISSING", "x"], 1, "MISSING"),
        (["add", "INDEX", "MISSING"], 1, "MISSING"),
        (["add", "INDEX", "BAD"], 1, "line 2"),
        (["run", "INDEX", "MISSING", "-o", "x"], 1, "MISSING"),
    ],
)
def test_errors(index, tmp_path, arguments, code, words):
    (tmp_path / "bad.jsonl").write_text('{"_id": "z", "text": "z"}\n{"_id": \n')
    (tmp_path / "queries.tsv").write_text("q\tdisk\n")
    (tmp_path / "other.toml").write_text(RECIPE.replace("english", "simple"))
    (tmp_path / "kept.run").write_text("kept")
    places = {"INDEX": index, "MISSING": tmp_path / "MISSING", "BAD": tmp_path / "bad.jsonl"}
    places |= {"QUERIES": tmp_path / "queries.tsv", "OTHER": tmp_path / "other.toml"}
    places |= {"MISSING/x": tmp_path / "MISSING" / "x", "KEPT": tmp_path / "kept.run"}
    error = run(*[places.get(a, a) for a in arguments], code=code)
    assert words in error
    assert error.startswith("usage:") or error.count("\n") == 1
    assert (tmp_path / "kept.run").read_text() == "kept"
    with hybrid.open(index) as opened:
        assert (opened.generation, len(opened)) == (1, 3)


def test_debug_shows_the_traceback(tmp_path):
    assert "Traceback" in run("--debug", "search", tmp_path / "none", "x", code=1)
    assert "Traceback" in run("search", "--debug", tmp_path / "none", "x", code=1)


def test_a_branch_that_fails(tmp_path, capsys, monkeypatch):
    """A search answers and says so in one line; a run, which cannot say so, is refused."""

    def fail(*arguments):
        raise RuntimeError("out of\nmemory")

    pipeline = hybrid.Pipeline([hybrid.BM25(), hybrid.Dense(dimension=2)])
    hybrid.create(tmp_path / "i", [hybrid.Document("a", "ant", vectors={"dense": [1, 0]})], pipeline).close()
    (tmp_path / "queries.tsv").write_text("q\tant\n")
    monkeypatch.setattr(hybrid.Dense, "encode_queries", fail)
    assert main(["search", str(tmp_path / "i"), "ant"]) == 0
    out, error = capsys.readouterr()
    assert "DEGRADED: dense" in out
    assert "dense: out of memory" in out  # why, on one line
    assert error == "hybrid: branch 'dense' failed: out of memory; the other branches answer\n"
    assert main(["run", str(tmp_path / "i"), str(tmp_path / "queries.tsv"), "-o", str(tmp_path / "r")]) == 1
    assert capsys.readouterr().err == "hybrid: branch 'dense' failed: out of memory\n"
    assert not (tmp_path / "r").exists()


def test_runs_are_searched_in_batches(index, tmp_path, monkeypatch):
    (tmp_path / "queries.txt").write_text("disk\ncats\n" * 5)
    run("run", index, tmp_path / "queries.txt", "-o", tmp_path / "whole.run")
    monkeypatch.setattr("hybrid.cli.commands._RUN_BATCH", 3)
    assert main(["run", str(index), str(tmp_path / "queries.txt"), "-o", str(tmp_path / "cut.run")]) == 0
    assert (tmp_path / "cut.run").read_text() == (tmp_path / "whole.run").read_text()
    assert len((tmp_path / "cut.run").read_text().splitlines()) == 15


def test_documents_cannot_steer_the_terminal(tmp_path):
    document = hybrid.Document("a", "clear \x1b[31mred\x07", "Two\nlines\x9b")
    hybrid.create(tmp_path / "i", [document], hybrid.Pipeline([hybrid.BM25()])).close()
    out = run("search", tmp_path / "i", "clear", "--explain")
    assert "clear  [31mred" in out
    assert out.startswith("  1  Two lines")
    assert not {character for character in out if unicodedata.category(character) == "Cc"} - {"\n"}


def test_a_reader_that_goes_away(index):
    done = subprocess.run(
        f"{sys.executable} -m hybrid export {index} | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert json.loads(done.stdout)["_id"] == "a"
    assert "Traceback" not in done.stderr


def test_snippets_show_where_the_words_are():
    text = "\n".join(["first"] * 5 + ["the needles are here", "after"] + ["last"] * 5)
    words = show.query_words("Where is the needle?")
    assert words.findall("Needles, where? A pinneedle.") == ["Needles", "where"]
    assert show.snippet(text, words, 80) == ["first", "the needles are here"]
    assert show.snippet("", words, 80) == []
    nothing = show.query_words("the !!! (")
    assert nothing.findall("the first") == []
    assert show.snippet("one\ntwo\nthree", nothing, 80) == ["one", "two"]
    assert show.query_words("C++ [a-z]").findall("c++ [a-z]") == ["c++", "z"]


def test_run_lines_refuse_white_space():
    hit = hybrid.Hit(1, "two words", 1.0, "", "", {}, {})
    with pytest.raises(hybrid.InputError, match="white space"):
        show.run_line("q", hit, "tag")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_500_000, "2.5 MB"), (3e9, "3.0 GB")]
)
def test_sizes(count, text):
    assert show.size(count) == text
