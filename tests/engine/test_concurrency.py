"""One writer and many readers at once: every answer is that of one whole generation."""

from __future__ import annotations

import asyncio
import random
import threading

import numpy as np
import pytest

import hybrid
from tests.crash.workload import PIPELINE, QUERIES, WORDS


def document(id, chosen):
    vector = np.array([chosen.gauss(0, 1) for _ in range(4)], np.float32)
    return hybrid.Document(id, " ".join(chosen.choices(WORDS, k=8)), vectors={"dense": vector})


def answers(index):
    return [tuple((hit.id, hit.score, hit.text) for hit in index.search(query, 5)) for query in QUERIES]


@pytest.fixture
def index(tmp_path):
    chosen = random.Random(0)
    with hybrid.create(
        tmp_path / "index", [document(f"a{n:02d}", chosen) for n in range(30)], PIPELINE
    ) as made:
        yield made


class Busy:
    """Threads that search one reader, and one that refreshes it, until the block ends; what they saw."""

    def __init__(self, reader):
        self.reader, self.stop = reader, threading.Event()
        self.found: list[tuple[int, int, object]] = []
        self.errors: list[Exception] = []
        self.threads = [threading.Thread(target=self.work, args=(n,)) for n in range(4)]

    def work(self, number):
        try:
            while not self.stop.is_set():
                self.reader.refresh() if number == 0 else self.ask()
        except Exception as error:
            self.errors.append(error)

    def ask(self):
        for number, query in enumerate(QUERIES):
            result = self.reader.search(query, 5)
            hits = tuple((hit.id, hit.score, hit.text) for hit in result)
            self.found.append((result.generation, number, hits))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def changes(index, chosen, count):
    """Change an index in every way, in turn."""
    live = [f"a{n:02d}" for n in range(30)]
    for step in range(count):
        match step % 4:
            case 0:
                index.update([document(id, chosen) for id in chosen.sample(live, 3)])
            case 1:
                index.add([document(f"b{step:02d}", chosen)])
                live.append(f"b{step:02d}")
            case 2:
                index.delete([live.pop(chosen.randrange(len(live)))])
            case 3:
                index.optimize()
        yield


def test_threads_search_while_others_refresh_and_one_writes_and_merges(index, tmp_path):
    """What a search finds is what the generation that it names holds, as the writer saw it."""
    expected = {1: answers(index)}
    with hybrid.open(tmp_path / "index") as reader:
        with Busy(reader) as busy:
            for _ in changes(index, random.Random(1), 24):
                expected[index.generation] = answers(index)
        reader.refresh()
        assert reader.generation == index.generation
        assert answers(reader) == expected[index.generation]
    assert not busy.errors
    assert len({generation for generation, _, _ in busy.found}) > 2
    for generation, number, hits in busy.found:
        known = min(each for each in expected if each >= generation)  # merging after a change changes nothing
        assert hits == expected[known][number]


def test_a_snapshot_never_changes_under_its_reader(index, tmp_path):
    """Every file that it was opened from is merged away, and it answers as before."""
    with hybrid.open(tmp_path / "index") as reader:
        before, texts = answers(reader), [d.text for d in reader.documents()]
        chosen = random.Random(2)
        index.update([document(f"a{n:02d}", chosen) for n in range(30)])
        index.optimize()
        assert answers(reader) == before
        assert [d.text for d in reader.documents()] == texts
        assert reader.generation == 1
        assert reader.refresh()
        assert reader.generation == index.generation
        assert answers(reader) == answers(index) != before


def test_searches_go_on_during_optimize(index, monkeypatch):
    """A merge that does not end holds up nobody: searches of the same object are answered meanwhile."""
    from hybrid.index import transaction

    index.add([document("b", random.Random(3))])
    expected, merging, go_on = answers(index), threading.Event(), threading.Event()
    real = transaction.merge

    def slow(*arguments):
        merging.set()
        assert go_on.wait(60)
        return real(*arguments)

    monkeypatch.setattr(transaction, "merge", slow)
    thread = threading.Thread(target=index.optimize)
    thread.start()
    assert merging.wait(60)
    try:
        assert answers(index) == expected
    finally:
        go_on.set()
        thread.join()
    assert answers(index) == expected


def test_the_loop_ticks_while_searches_and_changes_run(index):
    """The loop gets its turn again and again before a search that waits for it comes back."""

    async def run():
        ticks = 0
        enough = threading.Event()

        def wait(stage, done, total):
            assert enough.wait(60)  # the change cannot go on before the loop has ticked

        async def tick():
            nonlocal ticks
            while ticks < 50:
                ticks += 1
                await asyncio.sleep(0)
            enough.set()

        real = index.update
        change = asyncio.to_thread(real, [document("c", random.Random(4))], wait)
        results = await asyncio.gather(change, tick(), *(index.asearch(query, 5) for query in QUERIES * 5))
        return ticks, results

    ticks, results = asyncio.run(run())
    assert ticks == 50
    assert results[0] == 1
    assert all(len(result) == 5 for result in results[2:])
