"""The speed harness: comparisons on cases worked by hand, processes with peers made up for the test."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

EVAL = Path(__file__).resolve().parent.parent / "eval"
sys.path.insert(0, str(EVAL))
compare, environments, inputs, plots, process, protocol, registry, speed, summary = (
    importlib.import_module(name)
    for name in (
        "peers.compare",
        "peers.environments",
        "peers.inputs",
        "plots",
        "peers.process",
        "peers.protocol",
        "peers.registry",
        "speed",
        "peers.summary",
    )
)

LIMITS = {"seconds": 5, "warm_up": 0, "timeout": 60, "memory": 4 << 30, "passes": True}
PEER = """
import os, sys, time
import numpy as np
from peers.protocol import Mode
def build(task):
    (task.folder / "index").write_text(" ".join(task.documents()))
    {build}
def open(task):
    return (task.folder / "index").read_text().split()
def modes(engine, task, k):
    ids = task.ids()
    search = lambda text: [n for n, word in enumerate(engine) if word == text][:k]
    return {{"search": Mode(search, lambda found: [(ids[n], 1.0) for n in found])}}
"""


# --- comparisons -------------------------------------------------------------------------------------


def test_equal_answers_agree() -> None:
    found = compare.agreement([[("a", 2.0), ("b", 1.0)]], [[("a", 4.0), ("b", 2.0)]], scale=2.0)
    assert found["largest relative score difference"] == 0
    assert found["same untied ids"] == 1
    assert found["same length"] == 1


def test_a_wrong_score_is_seen() -> None:
    found = compare.agreement([[("a", 2.0), ("b", 1.0)]], [[("a", 2.0), ("b", 1.1)]])
    assert found["largest relative score difference"] == pytest.approx(0.1)


def test_other_ids_count_only_where_scores_are_untied() -> None:
    ours = [[("a", 2.0), ("b", 1.0)]]
    assert compare.agreement(ours, [[("a", 2.0), ("c", 1.0)]])["same untied ids"] == 1
    assert compare.agreement(ours, [[("c", 2.0), ("b", 1.0)]])["same untied ids"] == 0
    assert compare.agreement(ours, [[]])["same untied ids"] == 0
    assert compare.agreement(ours, [[("a", 2.0)]])["same length"] == 0


def test_recall_is_the_share_of_the_true_ids() -> None:
    truth = [[("a", 2.0), ("b", 1.0)], [("c", 1.0)], []]
    found = compare.recall(truth, [[("a", 9.0), ("x", 8.0)], [("c", 1.0)], [("y", 1.0)]])
    assert found == {"queries": 2, "recall": 0.75}


def test_latencies_pair_queries_over_rounds() -> None:
    ours = [[1_000_000, 3_000_000, 9_000_000], [3_000_000, 5_000_000]]
    assert compare.per_query(ours) == [2.0, 4.0, 9.0]
    assert compare.latency(ours)["median_ms"] == 4.0
    assert compare.latency(ours)["rounds_median_ms"] == [3.0, 4.0]
    theirs = [[2_000_000, 6_000_000], [6_000_000, 10_000_000]]
    assert compare.ratio(theirs, ours) == {"queries": 2, "of_medians": 2.0, "rounds": [2.0, 2.0]}


def test_ndcg_rewards_the_judged_at_the_top() -> None:
    pytest.importorskip("ir_measures")
    answers = [[("a", 2.0), ("b", 1.0)], [("x", 3.0), ("c", 2.0)]]
    qrels = [{"a": 1}, {"c": 1}]
    assert compare.ndcg(answers, qrels) == pytest.approx((1 + 1 / np.log2(3)) / 2, abs=1e-4)


# --- processes ---------------------------------------------------------------------------------------


@pytest.fixture
def task(tmp_path: Path):
    (tmp_path / "inputs").mkdir()
    (tmp_path / "index").mkdir()
    for name, rows in {"ids": "x y z", "documents": "red blue red", "queries": "red green"}.items():
        (tmp_path / "inputs" / f"{name}.txt").write_text("".join(f"{row}\n" for row in rows.split()))
    return protocol.Task(tmp_path / "inputs", tmp_path / "index", (10,))


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes a peer whose build runs a given line."""
    real = process.environment
    monkeypatch.setattr(
        process,
        "environment",
        lambda *given: (
            real(*given) | {"PYTHONPATH": f"{real(*given)['PYTHONPATH']}{os.pathsep}{tmp_path / 'peer'}"}
        ),
    )
    monkeypatch.setattr(process, "MODULES", "")

    def make(build: str = "pass"):
        (tmp_path / "peer").mkdir()
        (tmp_path / "peer" / "madeup.py").write_text(PEER.format(build=build))
        return registry.Peer("madeup", "madeup", None, "equal")

    return make


def test_a_peer_builds_and_answers_in_processes_of_its_own(task, made_up) -> None:
    peer = made_up()
    built = process.run(peer, task, "build", LIMITS)
    assert built["build_seconds"] > 0
    assert built["peak_rss_bytes"] > 1 << 20
    found = process.run(peer, task, "search", LIMITS, answers=True)
    asked = found["passes"]["search k=10"]
    assert asked["answers"] == [[["x", 1.0], ["z", 1.0]], []]
    assert len(asked["nanoseconds"]) == 2
    assert found["since_start_seconds"] > found["open_seconds"]
    again = process.run(peer, task, "search", LIMITS)
    assert again["passes"]["search k=10"]["answers"] == []


@pytest.mark.parametrize("build", ["pass", "raise ValueError('too large')"])
def test_a_kept_index_is_built_once(task, made_up, tmp_path: Path, build: str) -> None:
    peer = made_up(f"os.mkdir(r'{tmp_path}/built'); {build}")  # which a second building could not
    options = argparse.Namespace(keep=tmp_path, threads=1, busy=True)
    found = []
    for _ in range(2):
        measured = summary.Measured(peer)
        speed.prepare(options, measured, task, LIMITS)
        found.append((measured.builds, measured.failure))
    assert (tmp_path / "built").is_dir()
    assert found[0] == found[1]
    builds, failure = found[0]
    if build == "pass":
        assert failure is None
        assert builds[0]["how"]["beside_other_work"] is True
        assert (task.folder / "index").read_text() == "red blue red"
    else:
        assert builds == []
        assert "too large" in failure


def test_a_failing_peer_says_why(task, made_up) -> None:
    with pytest.raises(process.PeerError, match=r"build ended with status 1: .*ValueError: no such luck"):
        process.run(made_up("raise ValueError('no such luck')"), task, "build", LIMITS)


def test_a_peer_over_its_time_is_ended(task, made_up) -> None:
    peer, started = made_up("time.sleep(60)"), time.monotonic()
    with pytest.raises(process.PeerError, match="time limit"):
        process.run(peer, task, "build", LIMITS | {"timeout": 1})
    assert time.monotonic() - started < 30


def test_a_peer_over_its_memory_is_ended(task, made_up) -> None:
    peer = made_up("block = np.ones(40 << 20); time.sleep(60)")
    with pytest.raises(process.PeerError, match="memory limit"):
        process.run(peer, task, "build", LIMITS | {"memory": 256 << 20})


def test_a_peer_has_one_thread_and_one_processor(task, made_up) -> None:
    line = (
        "assert len(os.sched_getaffinity(0)) == 1 and os.environ['HYBRID_THREADS'] == '1'"
        " and os.environ['OMP_NUM_THREADS'] == '1'"
    )
    assert process.run(made_up(line), task, "build", LIMITS)["build_seconds"] > 0


def test_an_environment_that_cannot_be_made_is_reported_and_leaves_nothing(
    task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.txt").write_text("./no-such-package-here\n")
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    monkeypatch.setenv("HYBRID_PEERS", str(tmp_path / "cache"))
    monkeypatch.setattr(environments, "_run", refuse)
    with pytest.raises(process.PeerError, match="cannot be installed: no matching distribution"):
        process.run(registry.Peer("broken", "broken", "broken", "equal"), task, "build", LIMITS)
    assert list((tmp_path / "cache").iterdir()) == []


def refuse(command: list[object]) -> str:
    raise environments.InstallError("no matching distribution")


# --- the registry, the inputs, the results -------------------------------------------------------------


def test_every_peer_has_its_module_and_its_pinned_requirements() -> None:
    for task, peers in registry.TASKS.items():
        assert peers[0].name == registry.OURS, task
        assert len({peer.name for peer in peers}) == len(peers)
        for peer in peers:
            assert (EVAL / "peers" / f"{peer.module}.py").exists(), peer
            assert peer.environment is None or peer.environment in environments.names(), peer
    for path in environments.REQUIREMENTS.glob("*.txt"):
        assert all("==" in line for line in path.read_text().split()), path


def test_lexical_inputs_are_our_terms_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYBRID_PEERS", str(tmp_path / "cache"))
    data = tmp_path / "tiny"
    data.mkdir()
    rows = [
        {"_id": "b", "title": "The Cats", "text": "sat.\nA cat!"},
        {"_id": "a", "title": "", "text": "Dogs"},
    ]
    (data / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (data / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "cats, cat and a dog"}) + "\n")
    folder = inputs.real_terms(data, None)
    assert (folder / "ids.txt").read_text().split() == ["b", "a"]
    assert (folder / "documents.txt").read_text().splitlines() == ["t0 t1 t0", "t2"]
    assert (folder / "queries.txt").read_text().splitlines() == ["t0 t2"]
    assert inputs.about(folder)["documents"] == 2


def test_synthetic_inputs_hold_what_the_generator_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYBRID_PEERS", str(tmp_path))
    task = protocol.Task(inputs.synthetic_terms(50, 4, 0), tmp_path, (10,))
    (chunk,) = inputs.Documents(50).chunks()
    assert list(task.documents()) == [" ".join(f"t{n}" for n in row) for row in chunk.rows()]
    assert len(task.ids()) == 50
    assert len(task.read_queries()) == 4
    sparse = protocol.Task(inputs.synthetic_sparse(30, 4, 0), tmp_path, (10,), queries=3)
    terms, weights = sparse.read_queries()[2].sparse
    assert len(sparse.read_queries()) == 3
    assert len(terms) == len(weights)
    np.testing.assert_array_equal(weights, weights.astype(np.float16))
    assert sparse.array("starts")[-1] == len(sparse.array("terms"))


def measured(name: str, scores: str, nanoseconds: int, ids: str) -> object:
    answers = [[(id, 2.0 - n) for n, id in enumerate(ids)]]
    steps = dict.fromkeys(summary.STEPS, 0.5)
    one = summary.Measured(registry.Peer(name, name, None, scores))
    one.builds = [{"build_seconds": 1.0, "peak_rss_bytes": 1 << 20, "index_bytes": 300}]
    passes = {"search k=10": {"nanoseconds": [nanoseconds], "answers": answers}}
    one.searches = [
        steps | {"peak_rss_bytes": 2 << 20, "passes": passes, "cold": cold} for cold in (True, False)
    ]
    return one


def test_results_and_tables_name_ratios_recall_and_failures(tmp_path: Path) -> None:
    failed = summary.Measured(registry.Peer("lost", "lost", None, "equal"), failure="build: no compiler")
    parts = [
        measured("hybrid", "equal", 1_000_000, "ab"),
        measured("quick", "approximate", 500_000, "ax"),
        failed,
    ]
    about = {"name": "tiny", "documents": 3}
    found = summary.summarise(about, {part.peer.name: part for part in parts}, tmp_path)
    quick = found["peers"]["quick"]["passes"]["search k=10"]
    assert quick["ratio"]["of_medians"] == 0.5
    assert quick["recall"]["recall"] == 0.5
    assert found["peers"]["quick"]["index_bytes_per_document"] == 100
    assert found["failed"] == {"lost": "build: no compiler"}
    record = {
        "task": "bm25",
        "command": "c",
        "revision": "r",
        "date": "d",
        "machine": {"cpu": "cpu", "cores": 2, "memory_gib": 4},
        "settings": {"threads": 1, "runs": 2},
        "collections": [found],
    }
    shown = plots.tables(record)
    assert "| quick | search k=10 | 0.5 | 0.5 | 0.5 | 1 | recall 0.500 |" in shown
    assert "lost failed: build: no compiler" in shown
    assert plots.growth(record) == {"hybrid": [(3, 1.0)], "quick": [(3, 0.5)]}


def test_the_frontier_drops_points_that_another_beats() -> None:
    curve = [(0.9, 2.0, "slow"), (0.9, 1.0, "good"), (0.8, 1.5, "worse"), (1.0, 3.0, "exact")]
    assert [point[2] for point in plots.frontier(curve)] == ["good", "exact"]
