"""``hybrid tune``: from an index, queries and judgements to a recipe that searches."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest

import hybrid
from hybrid.cli import main

WORDS = [f"w{n}" for n in range(40)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder with a BM25 index of 80 documents, 30 queries, and judgements."""
    folder, rng = tmp_path_factory.mktemp("tune"), random.Random(0)
    texts = {f"d{n}": " ".join(rng.choices(WORDS, k=rng.randint(5, 40))) for n in range(80)}
    documents = [hybrid.Document(id, text) for id, text in texts.items()]
    pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple")], name="words")
    hybrid.create(folder / "index", documents, pipeline).close()
    queries = {f"q{n}": rng.choice(sorted(texts)) for n in range(30)}
    asked = [f"{q}\t{' '.join(rng.sample(texts[d].split(), 3))}\n" for q, d in queries.items()]
    (folder / "queries.tsv").write_text("".join(asked))
    (folder / "qrels.txt").write_text("".join(f"{q} 0 {d} 1\n" for q, d in queries.items()))
    return folder


def tuned(files, *extra):
    arguments = [
        "tune",
        files / "index",
        files / "queries.tsv",
        files / "qrels.txt",
        "-o",
        files / "out.toml",
    ]
    return main([str(argument) for argument in [*arguments, *extra]])


def test_a_recipe_and_a_sentence(files, capsys):
    assert tuned(files, "-m", "RR@10") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(("Ship bm25 alone", "Keep bm25 alone"))
    assert lines[2].split() == ["30", "queries", "settings", "RR@10,", "held", "out"]
    assert lines[4].split()[:3] == ["single", "branch", "1"]
    recipe = hybrid.read_recipe(files / "out.toml")
    assert recipe.name == "words"
    with hybrid.open(files / "index", pipeline=recipe) as index:
        assert len(index.search("w1 w2")) > 0


def test_json(files, capsys):
    assert tuned(files, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["queries"] == 30
    assert hybrid.parse_recipe(found["recipe"]) == hybrid.read_recipe(files / "out.toml")
    assert {family["name"] for family in found["families"]} == {"single branch", "single branch, BM25 tuned"}
    assert found["interval"][0] <= found["held_out"] <= found["interval"][1]


def test_wrong_use_leaves_the_recipe_alone(files, capsys):
    (files / "out.toml").write_text("kept")
    assert tuned(files, "-m", "Judged@10") == 2
    assert "the measure to tune is 'Judged@10'" in capsys.readouterr().err
    assert (files / "out.toml").read_text() == "kept"


def test_diagnose(files, capsys):
    arguments = ["diagnose", files / "index", files / "queries.tsv", files / "qrels.txt", "-m", "RR@10"]
    assert main([str(argument) for argument in arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "30",
        "queries",
        "RR@10",
        *(f"R@{d}" for d in (10, 20, 50, 100, 200)),
        "judged@10",
    ]
    assert lines[1].split()[0] == "bm25"
    assert lines[2].split()[1:] == lines[1].split()[2:-1]  # one branch is the union
    assert main([str(argument) for argument in [*arguments, "--json"]]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["branches"][0]["mean"] == found["best_fixed"] == found["oracle"]
    assert found["union_recall"] == found["branches"][0]["recall"]


def test_without_judgements(files, capsys):
    folder = files / "sentences"
    rng = random.Random(1)
    texts = [". ".join(" ".join(rng.choices("abcdefghij", k=6)) for _ in range(3)) for _ in range(60)]
    documents = [hybrid.Document(f"d{n}", text) for n, text in enumerate(texts)]
    hybrid.create(folder, documents, hybrid.Pipeline([hybrid.BM25(analyzer="simple")])).close()
    assert main(["tune", str(folder), "-o", str(files / "unjudged.toml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "Keep bm25 alone: chosen on 60 queries made from the collection; judge real ones to be sure."
    )
    assert [branch.name for branch in hybrid.read_recipe(files / "unjudged.toml").branches] == ["bm25"]
    assert main(["tune", str(folder), "-o", str(files / "unjudged.toml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"] == {"bm25": 1.0}


def test_queries_need_judgements(files, capsys):
    arguments = ["tune", files / "index", files / "queries.tsv", "-o", files / "out.toml"]
    assert main([str(argument) for argument in arguments]) == 2
    assert "give both" in capsys.readouterr().err


class Backwards:
    """A reranker that looks at the text alone."""

    def score(self, query, documents):
        return [float(document.text.count(query.split()[0])) for document in documents]


def test_a_recipe_with_a_rerank_stage(files, tmp_path, capsys):
    hybrid.register_reranker("backwards", Backwards, replace=True)
    with hybrid.open(files / "index") as index:
        pipeline = dataclasses.replace(index.pipeline, rerank=[hybrid.Rerank("backwards", 10, 0.5)])
    hybrid.write_recipe(pipeline, tmp_path / "rerank.toml")
    assert tuned(files, "--recipe", tmp_path / "rerank.toml") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[1] for line in lines if line[:1] == ["reranked"]] == ["40"]
