"""Comparing systems and reporting, over collections and results made for the test."""

from __future__ import annotations

import importlib
import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import hybrid
from hybrid.evaluation import Run, diagnose, evaluate, write_run

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "eval"))
compare, diagnosis, report, rules, tuning = (
    importlib.import_module(name) for name in ("compare", "diagnosis", "report", "rules", "tuning")
)
WORDS = [f"w{n}" for n in range(40)]
MACHINE = {"cpu": "a cpu", "cores": 2, "memory_gib": 4}
ORIGIN = {"command": "python eval/x.py", "revision": "abc", "uncommitted_changes": True, "date": "today"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with one set in BEIR layout, of 80 documents and 30 queries, and the run of another system."""
    root, rng = tmp_path_factory.mktemp("data"), random.Random(0)
    folder = root / "sets" / "tiny"
    (folder / "qrels").mkdir(parents=True)
    texts = {f"d{n}": " ".join(rng.choices(WORDS, k=rng.randint(5, 40))) for n in range(80)}
    asked = {f"q{n}": rng.choice(sorted(texts)) for n in range(30)}
    lines = [json.dumps({"_id": id, "text": text}) for id, text in texts.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    lines = [
        json.dumps({"_id": q, "text": " ".join(rng.sample(texts[d].split(), 3))}) for q, d in asked.items()
    ]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    rows = "".join(f"{query}\t{document}\t1\n" for query, document in asked.items())
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    other = Run("other", {q: {d: 1.0} if n % 2 else {"d0": 1.0} for n, (q, d) in enumerate(asked.items())})
    write_run(other, root / "tiny.run")
    return root


def compared(data, tmp_path, monkeypatch, *what):
    monkeypatch.setenv("HYBRID_CACHE", "off")
    arguments = [*what, "--data", data / "sets", "--indexes", data, "-o", tmp_path / "out.json"]
    monkeypatch.setattr(sys, "argv", ["compare.py", *map(str, arguments)])
    compare.main()
    return json.loads((tmp_path / "out.json").read_text())


def test_an_experiment_of_systems_and_a_run(data, tmp_path, monkeypatch, capsys):
    (tmp_path / "bm25.toml").write_text(
        f"""
        sets = ["tiny"]
        index = "bm25.toml"
        measures = ["nDCG@10", "RR"]
        baseline = "ours"
        [systems.ours]
        [systems.flat]
        bm25 = {{ k1 = 0.1, b = 0.0 }}
        [systems.other]
        run = "{data}/{{set}}.run"
        """
    )
    record = compared(data, tmp_path, monkeypatch, tmp_path / "bm25.toml")
    found = record["results"]["tiny"]
    folder = data / "sets" / "tiny"
    qrels, queries = hybrid.read_qrels(folder / "qrels" / "test.tsv"), hybrid.read_queries(folder)
    stored = hybrid.read_recipe(ROOT / "indexes" / "recipes" / "bm25.toml").branches[0]
    for name, branch in (("ours", stored), ("flat", replace(stored, k1=0.1, b=0.0))):
        pipeline = hybrid.Pipeline([branch])
        with hybrid.open(data / "tiny", pipeline=pipeline) as index:
            results = index.search_many([text for _, text in queries], 100)
        run = {q: {h.id: h.score for h in r} for (q, _), r in zip(queries, results, strict=True)}
        expected = evaluate(Run(name, run), qrels, ["nDCG@10"])
        assert found["systems"][name]["nDCG@10"] == round(expected.mean("nDCG@10"), 4)
        assert found["systems"][name]["median_ms"] > 0
    assert found["systems"]["other"] == {
        "nDCG@10": 0.5,
        "RR": 0.5,
        "Judged@10": pytest.approx(found["systems"]["other"]["Judged@10"]),
        "intervals": found["systems"]["other"]["intervals"],
        "median_ms": None,
    }
    assert {(pair["name"], pair["baseline"]) for pair in found["comparisons"]} == {
        ("flat", "ours"),
        ("other", "ours"),
    }
    shown = capsys.readouterr().out
    assert f"| other | 0.5000 | 0.5000 | [{found['systems']['other']['intervals']['nDCG@10'][0]:.4f}" in shown
    assert record["name"] == "bm25"


def test_recipes_and_run_files_without_an_experiment(data, tmp_path, monkeypatch):
    recipe = ROOT / "indexes" / "recipes" / "bm25.toml"
    with (
        hybrid.open(data / "tiny")
        if (data / "tiny").exists()
        else hybrid.create(data / "tiny", hybrid.read(data / "sets" / "tiny"), hybrid.read_recipe(recipe))
    ):
        pass
    record = compared(data, tmp_path, monkeypatch, recipe, data / "tiny.run", "--sets", "tiny")
    assert list(record["results"]["tiny"]["systems"]) == ["bm25", "tiny"]
    with pytest.raises(SystemExit, match="two systems of other names"):
        compare.read_experiment([recipe])


@pytest.mark.parametrize(
    "path", sorted((ROOT / "eval" / "configs").glob("*.toml")), ids=lambda path: path.stem
)
def test_every_experiment_can_be_read(path, tmp_path, monkeypatch):
    experiment = compare.read_experiment([path])
    assert len(experiment.systems) > 1
    assert experiment.baseline in experiment.systems
    (tmp_path / "index").mkdir()
    monkeypatch.setattr(compare.hybrid, "open", lambda path, pipeline: pipeline)
    pipelines = [
        compare.opened(experiment, what, tmp_path, tmp_path / "index") for what in experiment.systems.values()
    ]
    assert len(set(map(repr, pipelines))) == len(pipelines)


def test_what_is_reported_of_a_diagnosis_and_a_comparison(tmp_path, data, monkeypatch):
    documents = [hybrid.Document(f"d{n}", f"w{n} w{n % 3}", vectors={"dense": [n, 1.0]}) for n in range(30)]
    pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense(dimension=2)])
    queries = [(f"q{n}", hybrid.Query(f"w{n}", vectors={"dense": [1.0, -n]})) for n in range(10)]
    qrels = {f"q{n}": {f"d{n}": 1} for n in range(10)}
    with hybrid.create(tmp_path / "index", documents, pipeline) as index:
        found = diagnosis.figures(diagnose(index, queries, qrels, depths=(1, 10, 100)))
    assert [point["alpha"] for point in found["curve"]][:2] == [0.95, 0.9]
    assert found["union recall"]["100"] == 1.0
    shared = ORIGIN | {"machine": MACHINE}
    systems = {
        name: {"nDCG@10": value, "intervals": {"nDCG@10": [0.1, 0.9]}, "median_ms": time}
        for name, value, time in (("a", 0.5, 1.0), ("b", 0.625, None), ("c", 0.25, 12.5))
    }
    pair = {"name": "b", "baseline": "a", "measure": "nDCG@10", "difference": 0.125, "significant": True}
    one = {"queries": 1234, "systems": systems, "comparisons": [pair], "note": "beware"}
    records = {
        "diagnosis": shared | {"measure": "nDCG@10", "results": {"tiny": found}},
        "compare-made": shared | {"name": "made", "measures": ["nDCG@10"], "results": {"tiny": one}},
    }
    results = tmp_path / "results"
    results.mkdir()
    for name, record in records.items():
        (results / f"{name}.json").write_text(json.dumps(record))
    arguments = ["report.py", "--results", results, "-o", tmp_path / "REPORT.md"]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    report.main()
    text = (tmp_path / "REPORT.md").read_text()
    for name in ("alpha-curves", "recall-by-depth", "compare-made-latency"):
        assert f"![{name}](results/plots/{name}.svg)" in text
        assert "<svg" in (results / "plots" / f"{name}.svg").read_text()
    assert (
        "`python eval/x.py` at revision abc, with uncommitted changes, today; a cpu, 2 cores, 4 GiB." in text
    )
    assert "| b | 0.6250 | [0.1000, 0.9000] | +0.1250* (a) |  |" in text
    assert "| c | 0.2500 | [0.1000, 0.9000] |  | 12.50 |" in text
    assert "Note: beware" in text
    assert "## Tuned" not in text


def test_one_fusion_for_all_is_chosen_on_the_other_sets():
    flat = [0.5] * 21
    peak = [0.5 + 0.01 * min(n, 20 - n) for n in range(21)]
    skewed = [0.5 + 0.002 * n for n in range(21)]
    ways = list(rules.WAYS)
    sets = {
        "one": dict.fromkeys(ways, peak),
        "two": dict.fromkeys(ways, flat) | {ways[1]: peak},
        "odd": dict.fromkeys(ways, skewed),
    }
    arrays = {
        name: {way: rules.np.array(curve) for way, curve in found.items()} for name, found in sets.items()
    }
    found = rules.fixed(arrays)
    assert found["mean"]["odd"] == {"way": ways[1], "alpha": 0.5, "gain": pytest.approx(-0.02)}
    assert found["mean"]["one"]["way"] == ways[1]
    assert found["curves"]["one"][ways[0]][10] == 0.6


def test_the_timed_grid_has_ten_thousand_settings():
    pipeline = hybrid.Pipeline()
    grid = tuning.Grid(steps=81)
    assert len(tuning.settings(pipeline, tuning.variants(pipeline, grid), grid)) >= 10_000
