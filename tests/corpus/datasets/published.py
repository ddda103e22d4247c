"""A small collection in the layouts in which collections are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CORPUS = [
    {"_id": "d1", "title": "Cells", "text": "a cell divides"},
    {"_id": "d2", "title": "", "text": "rivers run to the sea"},
    {"_id": "d3", "title": "Keys", "text": "the key of C"},
]
QUERIES = [{"_id": "q1", "text": "how do cells divide"}, {"_id": "q2", "text": "where do rivers run"}]
QRELS = [
    {"query-id": "q1", "corpus-id": "d1", "score": 2},
    {"query-id": "q1", "corpus-id": "d3", "score": 0},
    {"query-id": "q2", "corpus-id": "d2", "score": 1},
]
GRADES = {"q1": {"d1": 2, "d3": 0}, "q2": {"d2": 1}}


def save(folder: Path, configs: dict[str, dict[str, list[dict[str, Any]]]]) -> Path:
    """Write configurations (name -> split -> rows) as the hub would have them: files, and a README."""
    folder.mkdir(parents=True)
    lines = ["---", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, rows in splits.items():
            file = f"{config}-{split}.jsonl"
            (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
            lines += [f"  - split: {split}", f"    path: {file}"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), "utf-8")
    return folder


def save_collection(folder: Path, subset: str = "", qrels: str = "default") -> Path:
    """Write the collection in MTEB's layout: corpus, queries, and judgements of test and of train."""
    before = f"{subset}-" if subset else ""
    return save(
        folder,
        {
            f"{before}corpus": {"corpus": CORPUS},
            f"{before}queries": {"queries": QUERIES},
            f"{before}{qrels}": {"test": QRELS, "train": QRELS[:1]},
        },
    )
