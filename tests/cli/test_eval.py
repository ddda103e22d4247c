"""``hybrid eval``: exact output on runs worked by hand."""

from __future__ import annotations

import json

import pytest

from hybrid.cli import main

QRELS = "query-id\tcorpus-id\tscore\nq1\ta\t1\nq2\tb\t1\nq3\tc\t1\n"
GOOD = "q1 Q0 a 1 2 good\nq1 Q0 b 2 1 good\nq2 Q0 b 1 2 good\nq3 Q0 a 1 2 good\nq3 Q0 c 2 1 good\n"
POOR = "q1 Q0 z 1 2 poor\nq1 Q0 a 2 1 poor\nq2 Q0 b 1 2 poor\nq9 Q0 b 1 2 poor\n"


@pytest.fixture
def files(tmp_path):
    for name, text in (("qrels.tsv", QRELS), ("good.run", GOOD), ("poor.run", POOR)):
        (tmp_path / name).write_text(text)
    return tmp_path


def printed(capsys, *arguments, code=0):
    assert main(["eval", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    return err if code else out


def test_means_with_intervals_and_notes(files, capsys):
    lines = printed(
        capsys, files / "qrels.tsv", files / "good.run", files / "poor.run", "-m", "RR"
    ).splitlines()
    assert lines[0].split() == ["3", "queries", "RR", "95%", "interval"]
    assert lines[1].split()[:2] == ["good", "0.8333"]
    assert lines[2].split()[:2] == ["poor", "0.5000"]
    assert lines[3:] == [
        "note: poor lacks 1 judged query (counted as 0): q3",
        "note: poor has 1 query without judgements, left out",
        "note: the judgements know 67% of good's best results and 50% of poor's (Judged@10); what they do "
        "not know counts as irrelevant, so poor may be better than it looks",
    ]


def test_comparison(files, capsys):
    out = printed(
        capsys, files / "qrels.tsv", files / "poor.run", files / "good.run", "-m", "RR", "--compare"
    )
    row = next(line for line in out.splitlines() if line.startswith("good - poor")).split()
    assert row[3:5] == ["RR", "+0.3333"]
    assert row[-1] == "2/0/1"
    assert row[7:9] == ["0.500", "0.500"]  # two moved queries: 2 of 4 sign patterns are as far out
    tail = out.splitlines()[out.splitlines().index("") :]
    assert ["q1", "1.0000", "0.5000", "+0.5000"] in [line.split() for line in tail]
    assert ["q3", "0.5000", "0.0000", "+0.5000"] in [line.split() for line in tail]


def test_by_query_and_json(files, capsys):
    out = printed(capsys, files / "qrels.tsv", files / "good.run", "-m", "RR", "P@1", "--by-query")
    assert ["q3", "0.5000"] in [line.split() for line in out.splitlines()]
    assert ["q3", "0.0000"] in [line.split() for line in out.splitlines()]
    arguments = (files / "qrels.tsv", files / "good.run", files / "poor.run", "-m", "RR", "--by-query")
    found = json.loads(printed(capsys, *arguments, "--json", "--baseline", "poor"))
    assert found["queries"] == 3
    good, poor = found["runs"]
    assert good["queries"] == {"q1": {"RR": 1.0}, "q2": {"RR": 1.0}, "q3": {"RR": 0.5}}
    assert poor["missing"] == ["q3"]
    assert [(c["name"], c["baseline"], c["wins"], c["significant"]) for c in found["comparisons"]] == [
        ("good", "poor", 2, False)
    ]


def test_runs_of_one_name_are_called_by_their_files(files, capsys):
    (files / "b").mkdir()
    (files / "other.run").write_text(GOOD)
    (files / "b" / "good.run").write_text(GOOD)
    out = printed(capsys, files / "qrels.tsv", files / "good.run", files / "other.run")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["good.run", "other.run"]
    out = printed(capsys, files / "qrels.tsv", files / "good.run", files / "b" / "good.run")
    assert [line.split()[0] for line in out.splitlines()[1:]] == [
        str(files / "good.run"),
        str(files / "b" / "good.run"),
    ]
    again = printed(capsys, files / "qrels.tsv", files / "good.run", files / "good.run", code=2)
    assert "given twice" in again


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["-m", "foo"], 2, "'foo' is not a measure"),
        (["--compare"], 2, "needs two"),
        (["--baseline", "x"], 2, "needs two"),
    ],
)
def test_wrong_use(files, capsys, arguments, code, what):
    err = printed(capsys, files / "qrels.tsv", files / "good.run", *arguments, code=code)
    assert what in err
    assert len(err.splitlines()) == 1


def test_a_broken_file_is_named(files, capsys):
    (files / "broken.run").write_text("q Q0 d 1\n")
    assert "broken.run, line 1" in printed(capsys, files / "qrels.tsv", files / "broken.run", code=1)
