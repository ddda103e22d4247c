"""One engine under change, in a process of its own: see `updates.py`, which starts this.

Every engine makes each commit durable as far as it offers that: ours and tantivy fsync, SQLite is asked to
(synchronous=FULL, WAL), LanceDB writes new files and a manifest.
"""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BASE = 20_000
DIMENSION = 64
WORDS = 20_000
LENGTH = 60
QUERIES = 200

Batch = list[tuple[str, str, Any]]


class Documents:
    """Made-up documents: id, text, vector; the same for every engine."""

    def __init__(self) -> None:
        self.random = random.Random(0)
        self.words = [f"word{n}" for n in range(WORDS)]
        self.chances = [*itertools.accumulate(1 / (n + 1) for n in range(WORDS))]

    def text(self, length: int) -> str:
        """Return so many words, drawn by Zipf's law."""
        return " ".join(self.random.choices(self.words, cum_weights=self.chances, k=length))

    def vector(self) -> list[float]:
        """Return a vector in any direction."""
        return [self.random.gauss(0, DIMENSION**-0.5) for _ in range(DIMENSION)]

    def batch(self, first: int, count: int) -> Batch:
        """Return new documents."""
        return [(f"d{n}", self.text(LENGTH), self.vector()) for n in range(first, first + count)]

    def upserts(self, first: int, count: int, there: int) -> Batch:
        """Half of them (of one: every second batch) have ids that are there."""
        old = count // 2 if count > 1 else first % 2
        batch = self.batch(first, count - old)
        ids = self.random.sample(range(there), old)
        return [*batch, *((f"d{n}", self.text(LENGTH), self.vector()) for n in ids)]


def percentile(values: list[float], p: float) -> float:
    """Return the value that p percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))]


def ours(folder: Path, dense: bool) -> tuple[Callable[[Batch], Any], Callable[[], int]]:
    """Our engine: BM25, and exact search of given vectors if asked."""
    import hybrid

    branches: list[Any] = [hybrid.BM25(analyzer="simple")]
    if dense:
        branches.append(hybrid.Dense(model=None, dimension=DIMENSION))
    index = hybrid.create(folder / "index", pipeline=hybrid.Pipeline(branches=branches))

    def put(batch: Batch) -> None:
        index.update(
            [
                hybrid.Document(id, text, vectors={"dense": vector} if dense else {})
                for id, text, vector in batch
            ]
        )

    return put, lambda: len(index)


def sqlite(folder: Path) -> tuple[Callable[[Batch], Any], Callable[[], int]]:
    """SQLite's FTS5; ids in a table of their own."""
    database = sqlite3.connect(folder / "fts.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE documents (number INTEGER PRIMARY KEY, id TEXT UNIQUE)")
    database.execute("CREATE VIRTUAL TABLE texts USING fts5(text)")

    def put(batch: Batch) -> None:
        database.execute("BEGIN")
        for id, text, _ in batch:
            found = database.execute("SELECT number FROM documents WHERE id = ?", (id,)).fetchone()
            if found is None:
                number = database.execute("INSERT INTO documents (id) VALUES (?)", (id,)).lastrowid
                database.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (number, text))
            else:
                database.execute("UPDATE texts SET text = ? WHERE rowid = ?", (text, found[0]))
        database.execute("COMMIT")

    return put, lambda: int(database.execute("SELECT count(*) FROM texts").fetchone()[0])


def tantivy(folder: Path) -> tuple[Callable[[Batch], Any], Callable[[], int]]:
    """tantivy, one commit a batch."""
    import tantivy as library

    builder = library.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("text", stored=True, tokenizer_name="default", index_option="freq")
    index = library.Index(builder.build(), path=str(folder))
    writer = index.writer(heap_size=256 << 20, num_threads=2)

    def put(batch: Batch) -> None:
        for id, text, _ in batch:
            writer.delete_documents("id", id)
            writer.add_document(library.Document(id=id, text=text))
        writer.commit()

    def count() -> int:
        index.reload()
        return int(index.searcher().num_docs)

    return put, count


def lancedb(folder: Path) -> tuple[Callable[[Batch], Any], Callable[[], int]]:
    """LanceDB; its full-text index is made once, and reads what came later by going through it."""
    import lancedb as library
    import pyarrow as pa

    kind = pa.list_(pa.float32(), DIMENSION)
    schema = pa.schema([("id", pa.string()), ("text", pa.string()), ("vector", kind)])
    table: list[Any] = []

    def put(batch: Batch) -> None:
        ids, texts, vectors = zip(*batch, strict=True)
        flat = pa.FixedSizeListArray.from_arrays(
            pa.array([*itertools.chain(*vectors)], pa.float32()), DIMENSION
        )
        rows = pa.table([pa.array(ids), pa.array(texts), flat], schema=schema)
        if not table:
            table.append(library.connect(str(folder)).create_table("documents", rows))
            table[0].create_scalar_index("id")
            table[0].create_fts_index("text")
            return
        table[0].merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)

    return put, lambda: int(table[0].count_rows())


def opened(engine: str, folder: Path) -> tuple[Callable[[Batch], Any], Callable[[], int]]:
    """Return how an engine takes a batch, and how many documents it says are there."""
    if engine.startswith("hybrid"):
        return ours(folder, engine.endswith("dense"))
    return {"sqlite-fts5": sqlite, "tantivy": tantivy, "lancedb": lancedb}[engine](folder)


def commits(engine: str, size: int, count: int, folder: Path) -> dict[str, Any]:
    """Upsert so many commits of one size into a collection of 20,000."""
    documents = Documents()
    put, total = opened(engine, folder)
    put(documents.batch(0, BASE))
    there, times = BASE, []
    for _ in range(count):
        batch = documents.upserts(there, size, there)
        there += sum(int(id[1:]) >= there for id, _, _ in batch)
        started = time.perf_counter()
        put(batch)
        times.append(time.perf_counter() - started)
    if total() != there:
        raise SystemExit(f"{total()} documents are there, and not {there}")
    return {
        "documents_per_second": round(size * count / sum(times), 1),
        "commit_ms": {f"p{p}": round(percentile(times, p) * 1e3, 2) for p in (50, 90, 99)}
        | {"max": round(max(times) * 1e3, 2)},
        "commits": count,
        "documents_before": BASE,
        "vectors": engine in ("lancedb", "hybrid-bm25+dense"),
    }


def grow(count: int, folder: Path) -> dict[str, Any]:
    """Make so many commits of one document, and beside it an index of the same documents built at once."""
    import hybrid

    whole = _singles(count)
    changed = hybrid.create(folder / "changed", pipeline=_pipeline())
    times = []
    for document in whole:
        started = time.perf_counter()
        changed.add([document])
        times.append(time.perf_counter() - started)
    hybrid.create(folder / "fresh", whole, _pipeline()).close()
    return {
        "commit_ms": {f"p{p}": round(percentile(times, p) * 1e3, 2) for p in (50, 90, 99, 99.9)}
        | {"mean": round(sum(times) / count * 1e3, 2), "max": round(max(times) * 1e3, 2)},
        "commits": count,
        "segments": changed.stats().segments,
    }


def ask(count: int, folder: Path) -> dict[str, Any]:
    """Search both indexes that `grow` has made, in turn; every answer must be the same."""
    import hybrid

    documents = Documents()
    documents.random.seed(1)
    queries = [hybrid.Query(documents.text(4), {"dense": documents.vector()}) for _ in range(QUERIES)]
    indexes = {name: hybrid.open(folder / name) for name in ("changed", "fresh")}
    if {len(index) for index in indexes.values()} != {count}:
        raise SystemExit(f"an index does not hold {count} documents")
    times: dict[str, list[float]] = {name: [] for name in indexes}
    hits: dict[str, Any] = {}
    for warm in (True, False, False, False, False, False):
        for query in queries:
            for name, index in indexes.items():
                begun = time.perf_counter()
                result = index.search(query)
                if not warm:
                    times[name].append(time.perf_counter() - begun)
                hits[name] = result.hits
            if hits["changed"] != hits["fresh"]:
                raise SystemExit(f"{query.text!r}: another answer after the commits")
    figures: dict[str, Any] = {
        name: {f"p{p}_ms": round(percentile(found, p) * 1e3, 3) for p in (50, 99)}
        for name, found in times.items()
    }
    ratios = {
        f"ratio_p{p}": round(figures["changed"][f"p{p}_ms"] / figures["fresh"][f"p{p}_ms"], 3)
        for p in (50, 99)
    }
    return {**figures, **ratios, "searches": len(times["fresh"])}


def _singles(count: int) -> list[Any]:
    import hybrid

    batch = Documents().batch(0, count)
    return [hybrid.Document(id, text, vectors={"dense": vector}) for id, text, vector in batch]


def _pipeline() -> Any:
    import hybrid

    branches = [hybrid.BM25(analyzer="simple"), hybrid.Dense(model=None, dimension=DIMENSION)]
    return hybrid.Pipeline(branches=branches)


def main() -> None:
    """Run what the arguments say, and print what was found."""
    part, engine, size, count, folder = sys.argv[1:]
    if part == "commits":
        found = commits(engine, int(size), int(count), Path(folder))
    else:
        found = {"grow": grow, "ask": ask}[part](int(count), Path(folder))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
