"""Write what the peers are given: once, into a cache folder, in the format that `peers.protocol` says.

Every function returns a folder; ``about.json`` in it says what it holds. Lexical peers get terms that
our analyzer made and that are then numbered (``t17``), so that splitting at spaces gives every peer
the same terms.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from synthetic import Documents, SparseVectors, Terms, UnitVectors

import hybrid
from peers import environments

FORMAT = 2
BATCH = 20_000


def real_terms(folder: Path, size: int | None) -> Path:
    """Analyse a BEIR folder's documents and queries with the English preset, and number the terms.

    A term repeated in a query counts once: parsers differ in whether they drop repetitions.
    """
    analyzer = hybrid.analyzer("english")
    numbers: dict[str, int] = {}

    def terms(text: str) -> str:
        return " ".join(f"t{numbers.setdefault(term, len(numbers))}" for term in analyzer.terms(text))

    def write(out: Path) -> dict[str, Any]:
        count = _texts(out, folder, size, terms)
        asked = (" ".join(dict.fromkeys(terms(text).split())) for _, text in _queries(folder))
        _lines(out / "queries.txt", asked)
        return {"documents": count, "terms": "analyzer 'english', numbered; in queries each term once"}

    return _cached(f"{folder.name}-terms-{size or 'all'}", folder.name, write)


def real_texts(folder: Path, size: int | None, vectors: Path | str, judged: bool = False) -> Path:
    """Write a BEIR folder's texts with vectors.

    ``vectors``: "random" for clustered vectors that have nothing to do with the texts, "encode" for
    the bundled MiniLM (slow), or a folder with vectors.npy and query_vectors.npy in corpus order.
    ``judged``: only the queries of qrels/test.tsv, whose judgements go into the folder.
    """
    qrels = hybrid.read_qrels(folder / "qrels" / "test.tsv") if judged else None
    queries = [(id, text) for id, text in _queries(folder) if qrels is None or id in qrels]

    def write(out: Path) -> dict[str, Any]:
        count = _texts(out, folder, size, _one_line)
        _lines(out / "queries.txt", (_one_line(text) for _, text in queries))
        if qrels is not None:
            (out / "qrels.json").write_text(json.dumps([qrels[id] for id, _ in queries]))
        source = _vectors(out, count, len(queries), vectors)
        return {"documents": count, "vectors": source}

    kind = vectors if isinstance(vectors, str) else f"given-{vectors.name}"
    return _cached(f"{folder.name}-texts-{size or 'all'}-{kind}", folder.name, write)


def synthetic_terms(size: int, queries: int, seed: int) -> Path:
    """Write the synthetic documents of Zipf terms."""
    source = Documents(size, seed)

    def write(out: Path) -> dict[str, Any]:
        spelled = [f"t{term}" for term in range(source.vocabulary)]
        _lines(out / "documents.txt", (row for chunk in source.chunks() for row in _spell(chunk, spelled)))
        _lines(out / "queries.txt", _spell(source.queries(queries), spelled))
        _numbered_ids(out, size)
        return {"documents": size, "terms": repr(source)}

    return _cached(f"synthetic-terms-{size}-{queries}-{seed}", f"synthetic, {size:,} documents", write)


def synthetic_sparse(size: int, queries: int, seed: int) -> Path:
    """Write the synthetic learned sparse vectors, weights rounded to float16 so that all score the same."""
    source = SparseVectors(size, seed)

    def write(out: Path) -> dict[str, Any]:
        _sparse(out, "", source.chunks())
        _sparse(out, "query_", [source.queries(queries)])
        _lines(out / "queries.txt", [""] * queries)
        _numbered_ids(out, size)
        return {"documents": size, "vectors": f"{source!r}, weights rounded to float16"}

    return _cached(f"synthetic-sparse-{size}-{queries}-{seed}", f"learned sparse, {size:,} documents", write)


def about(folder: Path) -> dict[str, Any]:
    """Return what an inputs folder holds."""
    found: dict[str, Any] = json.loads((folder / "about.json").read_text())
    return found


def _cached(label: str, name: str, write: Callable[[Path], dict[str, Any]]) -> Path:
    """Return the folder of that label; fill it first if it is not there."""
    place = environments.cache() / "inputs" / f"{FORMAT}-{label}"
    if not (place / "about.json").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        facts = write(place)
        (place / "about.json").write_text(json.dumps({"name": name} | facts))
    return place


def _queries(folder: Path) -> list[tuple[str, str]]:
    return list(hybrid.read_queries(folder / "queries.jsonl"))


def _texts(out: Path, folder: Path, size: int | None, turn: Callable[[str], str]) -> int:
    """Write the ids and the turned texts of the first ``size`` documents; return how many there are."""
    ids = []

    def texts() -> Iterator[str]:
        for document in islice(hybrid.read(folder), size):
            ids.append(document.id)
            yield turn(document.content)

    _lines(out / "documents.txt", texts())
    _lines(out / "ids.txt", ids)
    return len(ids)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _lines(path: Path, rows: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(row + "\n")


def _numbered_ids(out: Path, size: int) -> None:
    _lines(out / "ids.txt", (f"d{number:08d}" for number in range(size)))


def _spell(rows: Terms, spelled: Sequence[str]) -> Iterator[str]:
    terms = [spelled[term] for term in rows.terms.tolist()]
    return (" ".join(terms[a:b]) for a, b in pairwise(rows.starts.tolist()))


def _sparse(out: Path, prefix: str, chunks: Iterable[Any]) -> None:
    parts = list(chunks)
    lengths = np.concatenate([np.diff(part.starts) for part in parts])
    np.save(out / f"{prefix}starts.npy", np.concatenate([[0], np.cumsum(lengths)]))
    np.save(out / f"{prefix}terms.npy", np.concatenate([part.terms for part in parts]))
    weights = np.concatenate([part.weights for part in parts])
    np.save(out / f"{prefix}weights.npy", weights.astype(np.float16).astype(np.float32))


def _vectors(out: Path, count: int, queries: int, source: Path | str) -> str:
    """Write the documents' and queries' vectors; return what they are, in words."""
    if source == "random":
        generator = UnitVectors(count)
        _save_rows(out / "vectors.npy", count, generator.dimension, generator.chunks())
        np.save(out / "query_vectors.npy", generator.queries(queries))
        return f"{generator!r}; they have nothing to do with the texts"
    if source == "encode":
        from hybrid.encoders import load

        encoder = load("minilm")
        texts = (out / "documents.txt").read_text("utf-8").split("\n")[:-1]
        parts = (encoder.encode_documents(texts[n : n + BATCH]).vectors for n in range(0, count, BATCH))
        _save_rows(out / "vectors.npy", count, encoder.dimension, parts)
        asked = (out / "queries.txt").read_text("utf-8").split("\n")[:-1]
        np.save(out / "query_vectors.npy", encoder.encode_queries(asked).vectors)
        return "the bundled all-MiniLM-L6-v2"
    for name, rows in (("vectors", count), ("query_vectors", queries)):
        given = np.load(Path(source) / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        if len(given) < rows:
            raise SystemExit(f"{source}/{name}.npy has {len(given)} rows; {rows} are needed, in corpus order")
        np.save(out / f"{name}.npy", np.asarray(given[:rows], np.float32))
    return f"given in {Path(source).name}"


def _save_rows(path: Path, rows: int, dimension: int, parts: Iterable[Any]) -> None:
    """Write parts of a matrix as they come."""
    matrix = np.lib.format.open_memmap(path, "w+", np.float32, (rows, dimension))
    done = 0
    for part in parts:
        matrix[done : done + len(part)] = part
        done += len(part)
    matrix.flush()
