"""What serving costs: requests a second and waits, beside searches in the process; overload; stopping.

    python eval/serving.py --data ../shared/data/cranfield --out eval/results/serving.json

The clients run on the same processors as the server (one process, asyncio, plain sockets), so the figures are
those of a machine that does both. Every client sends its next query when it has the answer to the one before.
Queries are asked again and again ("repeated": the model's vectors are remembered), or each once, with a
number after it ("fresh": the model runs).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provenance import provenance

import hybrid

CLIENTS = (1, 8, 64)


@dataclass
class Tally:
    """What came of requests: seconds of those answered, and how many ended in each way."""

    seconds: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)

    def record(self, elapsed: float) -> dict[str, Any]:
        """Return the figures: rate, and median and 99th percentile in milliseconds."""
        cuts = statistics.quantiles(self.seconds, n=100, method="inclusive")
        return {
            "requests_per_second": round(len(self.seconds) / elapsed, 1),
            "p50_ms": round(cuts[49] * 1e3, 2),
            "p99_ms": round(cuts[98] * 1e3, 2),
            "ends": dict(self.ends),
        }


def repeated(queries: Sequence[str]) -> Iterator[str]:
    """Yield the queries for ever; from any threads."""
    return itertools.cycle(queries)


def fresh(queries: Sequence[str]) -> Iterator[str]:
    """Yield queries that were never asked before; from any threads."""
    return map("{} {}".format, itertools.cycle(queries), _NUMBERS)


_NUMBERS = itertools.count()
KINDS = {"repeated": repeated, "fresh": fresh}


def in_process(
    index: hybrid.HybridIndex, turn: Iterator[str], clients: int, seconds: float
) -> dict[str, Any]:
    """Search from so many threads for so long."""
    tally = Tally()
    end = time.perf_counter() + seconds

    def work() -> None:
        while (began := time.perf_counter()) < end:
            index.search(next(turn))
            tally.seconds.append(time.perf_counter() - began)
            tally.ends["found"] += 1

    threads = [threading.Thread(target=work) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally.record(time.perf_counter() - began)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run ``hybrid serve``; give its process and port."""
    command = [sys.executable, "-m", "hybrid", "serve", str(folder), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("the server has no output")
        yield process, int(process.stdout.readline().split(" (")[0].rpartition(":")[2])
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


async def one_client(port: int, name: str, queries: Iterator[str], end: float, tally: Tally) -> None:
    """Send requests over one connection until the time is over, or the server asks to leave."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        tally.ends["not accepted"] += 1
        return
    try:
        while (began := time.perf_counter()) < end:
            body = json.dumps({"query": next(queries)}).encode()
            head = f"POST /v1/indexes/{name}/search HTTP/1.1\r\nhost: localhost\r\n"
            writer.write(
                f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
            )
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            size = int(answer.split("content-length: ")[1].split("\r\n")[0])
            await reader.readexactly(size)
            status = answer.split(" ")[1]
            tally.ends[status] += 1
            if status == "200":
                tally.seconds.append(time.perf_counter() - began)
            elif "retry-after: " not in answer:
                tally.ends["without retry-after"] += 1
            else:
                await asyncio.sleep(0.05)
            if "connection: close" in answer:
                tally.ends["asked to leave"] += 1
                return
    except (asyncio.IncompleteReadError, OSError):
        tally.ends["lost"] += 1
    finally:
        writer.close()


def over_http(port: int, name: str, turn: Iterator[str], clients: int, seconds: float) -> dict[str, Any]:
    """Ask from so many connections for so long."""
    tally = Tally()

    async def all_clients() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(one_client(port, name, turn, began + seconds, tally) for _ in range(clients)))
        return time.perf_counter() - began

    return tally.record(asyncio.run(all_clients()))


def stopping(folder: Path, queries: Sequence[str], clients: int) -> dict[str, Any]:
    """Stop a server under load; count what was lost, and how long it took."""
    with serving(folder) as (process, port):
        over_http(port, folder.name, repeated(queries), clients, 2)
        told: list[float] = []

        def stop() -> None:
            told.append(time.perf_counter())
            process.send_signal(signal.SIGTERM)

        timer = threading.Timer(2, stop)
        timer.start()
        record = over_http(port, folder.name, repeated(queries), clients, 20)
        timer.join()
        code = process.wait(60)
        return {**record, "exit_code": code, "stopped_after_s": round(time.perf_counter() - told[0], 2)}


def growing(
    process: subprocess.Popen[str], port: int, name: str, turn: Iterator[str], seconds: float
) -> dict[str, list[float]]:
    """Ask from 64 connections, twelve times for so long; return how many were answered, and the memory."""
    answered, held = [0], [memory(process)]
    for _ in range(12):
        step = over_http(port, name, turn, 64, seconds)
        answered.append(answered[-1] + step["ends"]["200"])
        held.append(memory(process))
    return {"answered": answered, "mib": held}


def memory(process: subprocess.Popen[str]) -> float:
    """Return a process's resident memory in MiB."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def main() -> None:
    """Measure, and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="a collection in BEIR's layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement (default 8)")
    parser.add_argument(
        "--memory-seconds", type=float, default=4.0, help="of each step of memory (default 4)"
    )
    options = parser.parse_args()
    queries = [text for _, text in hybrid.read_queries(options.data / "queries.jsonl")]
    found: dict[str, Any] = {**provenance(), "collection": options.data.name, "queries": len(queries)}
    wait = options.seconds
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / options.data.name
        with hybrid.create(folder, hybrid.read(options.data / "corpus.jsonl")) as index:
            found["documents"] = len(index)
            found["pipeline"] = repr(index.pipeline)
            for query in queries:  # what is compiled, and what is remembered of queries, is there for all
                index.search(query)
            found["in_process"] = {
                kind: {n: in_process(index, asked(queries), n, wait) for n in CLIENTS}
                for kind, asked in KINDS.items()
            }
        with serving(folder) as (process, port):
            for asked in KINDS.values():
                for n in CLIENTS:
                    over_http(port, folder.name, asked(queries), n, wait / 2)
            found["http"] = {
                kind: {n: over_http(port, folder.name, asked(queries), n, wait) for n in CLIENTS}
                for kind, asked in KINDS.items()
            }
            found["memory"] = {
                kind: growing(process, port, folder.name, asked(queries), options.memory_seconds)
                for kind, asked in KINDS.items()
            }
        with serving(folder, "--queue", "8") as (_, port):
            over_http(port, folder.name, fresh(queries), 8, 3)
            found["overload"] = over_http(port, folder.name, fresh(queries), 64, wait)
        found["stopping"] = stopping(folder, queries, 64)
    options.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
