"""A history of changes to an index, what it must hold after each of them, and how that is checked."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import hybrid

PIPELINE = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense(dimension=4)], hybrid.RRF())
QUERIES = [hybrid.Query("w1 w2", {"dense": [1, 0, 0, 1]}), hybrid.Query("w3", {"dense": [0, -1, 2, 0]})]
WORDS = [f"w{n}" for n in range(12)]


@dataclass(frozen=True)
class Operation:
    """One change: its name, and the documents or ids that it takes."""

    name: str
    documents: tuple[hybrid.Document, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """What a reader sees after a change."""

    generation: int
    texts: dict[str, str]
    answers: tuple[tuple[tuple[str, float], ...], ...]


def history(seed: int, length: int = 8) -> list[Operation]:
    """Return a creation and ``length`` random changes."""
    chosen = random.Random(seed)
    live: list[str] = []
    fresh = 0

    def document(id: str) -> hybrid.Document:
        vector = np.array([chosen.gauss(0, 1) for _ in range(4)], np.float32)
        text = " ".join(chosen.choices(WORDS, k=8))
        return hybrid.Document(id, text, metadata={"n": chosen.randrange(5)}, vectors={"dense": vector})

    def new(count: int) -> tuple[hybrid.Document, ...]:
        nonlocal fresh
        names = [f"d{fresh + n:03d}" for n in range(count)]
        fresh += count
        live.extend(names)
        return tuple(map(document, names))

    found = [Operation("create", new(3))]
    while len(found) <= length:
        name = chosen.choice(["add", "add", "update", "delete", "optimize", "reopen"])
        if name == "add":
            found.append(Operation(name, new(chosen.randint(1, 3))))
        elif name == "update":
            old = tuple(map(document, chosen.sample(live, min(len(live), 2))))
            found.append(Operation(name, old + new(1)))
        elif name == "delete" and live:
            gone = tuple(chosen.sample(live, min(len(live), chosen.randint(1, 2))))
            live[:] = [id for id in live if id not in gone]
            found.append(Operation(name, ids=gone))
        elif name in ("optimize", "reopen"):
            found.append(Operation(name))
    return found


def apply(texts: dict[str, str], operation: Operation) -> dict[str, str]:
    """Return what a plain dictionary holds after a change: the model."""
    after = {id: text for id, text in texts.items() if id not in operation.ids}
    return after | {document.id: document.text for document in operation.documents}


def states(operations: Sequence[Operation], folder: Path) -> list[State]:
    """Carry the changes out undisturbed; return what is seen before the first and after each."""
    found = [State(0, {}, ())]

    def note(index: hybrid.HybridIndex, number: int) -> None:
        texts = apply(found[-1].texts, operations[number])
        seen = seen_in(index)
        assert seen.texts == texts
        found.append(seen)

    perform(folder, operations, note)
    return found


def seen_in(index: hybrid.HybridIndex) -> State:
    """Return what an open index holds and answers."""
    answers = tuple(tuple((hit.id, hit.score) for hit in index.search(query, 5)) for query in QUERIES)
    return State(index.generation, {d.id: d.text for d in index.documents()}, answers)


def perform(
    folder: Path,
    operations: Sequence[Operation],
    done: Callable[[hybrid.HybridIndex, int], None],
    recover: Callable[[hybrid.HybridError, int], None] | None = None,
) -> None:
    """Carry out changes; call ``done`` after each, with its number from 0.

    ``recover`` is told of an error; then the index is opened anew, and the change tried again unless the
    generation says that it was made.
    """
    index: hybrid.HybridIndex | None = None
    generation = 0
    for number, operation in enumerate(operations):
        try:
            index = change(folder, index, operation)
        except hybrid.HybridError as error:
            if recover is None:
                raise
            recover(error, number)
            if index is not None:
                index.close()
            index = _again(folder, operation, generation)
        generation = index.generation
        done(index, number)
    if index is not None:
        index.close()


def _again(folder: Path, operation: Operation, generation: int) -> hybrid.HybridIndex:
    try:
        index = hybrid.open(folder, "w")
    except hybrid.NotAnIndexError:
        return change(folder, None, operation)
    return index if index.generation > generation else change(folder, index, operation)


def change(folder: Path, index: Any, operation: Operation) -> hybrid.HybridIndex:
    """Carry out one change; return the index, open for writing."""
    match operation.name:
        case "create":
            return hybrid.create(folder, operation.documents, PIPELINE)
        case "add":
            index.add(operation.documents)
        case "update":
            index.update(operation.documents)
        case "delete":
            index.delete(operation.ids)
        case "optimize":
            index.optimize()
        case "reopen":
            index.close()
            index = hybrid.open(folder, "w")
    return index


def acknowledging(path: Path) -> Callable[[hybrid.HybridIndex, int], None]:
    """Return what writes the number of each change that returned into a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def done(index: hybrid.HybridIndex, number: int) -> None:
        os.write(descriptor, b"%d\n" % (number + 1))

    return done


def acknowledged(path: Path) -> int:
    """Return how many changes were acknowledged."""
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def check(folder: Path, expected: Sequence[State], count: int, *, counted: bool = True) -> int:
    """Check what a crash left: the state after the last acknowledged change, or after the one in flight.

    With ``counted`` its generation, too; a merge that was refused, which is only logged, leaves it lower.
    Then the next writer must be able to change it, and must leave nothing behind. Return which it was.
    """
    possible = [count, count + 1] if count + 1 < len(expected) else [count]
    try:
        index = hybrid.open(folder)
    except hybrid.NotAnIndexError:
        assert count == 0, f"{count} changes were acknowledged, and there is no index"
        with hybrid.create(folder, [hybrid.Document("x", "x", vectors={"dense": [1, 0, 0, 0]})], PIPELINE):
            pass
        _is_clean(folder)
        return 0
    with index:
        seen = seen_in(index)
    matching = [n for n in possible if _is(seen, expected, n, count, counted)]
    assert matching, f"generation {seen.generation} holds {sorted(seen.texts)} after {count} changes"
    found = hybrid.verify(folder)
    assert found.ok, str(found)
    with hybrid.open(folder, "w") as writer:
        writer.update([hybrid.Document("x", "w1 again", vectors={"dense": [1, 0, 0, 0]})])
        assert {d.id for d in writer.documents()} == {*seen.texts, "x"}
    _is_clean(folder)
    return matching[0]


def _is(seen: State, expected: Sequence[State], number: int, count: int, counted: bool) -> bool:
    """Return whether a state is what was seen; a change in flight may have been made, and not yet merged."""
    state = expected[number]
    low = expected[count].generation + 1 if number > count else state.generation
    alike = (seen.texts, seen.answers) == (state.texts, state.answers)
    return alike and (not counted or low <= seen.generation <= state.generation)


def _is_clean(folder: Path) -> None:
    found = hybrid.verify(folder)
    assert not found.findings, str(found)
