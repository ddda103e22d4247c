"""An index is made equal to a folder, again and again, whatever happens to either in between."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import hybrid
from hybrid import Skipped
from hybrid.engine.syncing import plan
from hybrid.errors import CorpusError, InputError, ReadOnlyError
from hybrid.index.folder import LOOKS
from tests.corpus.files import samples
from tests.engine.test_passes import BOTH, Letters

WORDS = hybrid.Pipeline([hybrid.BM25()])
OLD = 1_700_000_000
ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, files: dict[str, str], when: int = OLD) -> None:
    """Write files whose time is long ago, so that they need not be digested again."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        os.utime(path, (when, when))


def held(index: hybrid.HybridIndex) -> dict[str, str]:
    return {document.id: document.text for document in index.documents()}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    write(tmp_path / "docs", {"a.md": "# A\nalpha", "b.txt": "beta", "sub/c.txt": "gamma"})
    return tmp_path / "docs"


def sync(tmp_path: Path, folder: Path, **options: Any) -> hybrid.SyncReport:
    return hybrid.sync(tmp_path / "index", folder, pipeline=WORDS, **options)


def test_edits_renames_and_deletions_are_followed(tmp_path: Path, docs: Path) -> None:
    first = sync(tmp_path, docs)
    assert first == hybrid.SyncReport(added=("a.md", "b.txt", "sub/c.txt"), documents=3)
    with hybrid.open(tmp_path / "index") as index:
        assert held(index) == {"docs/a.md": "# A\nalpha", "docs/b.txt": "beta", "docs/sub/c.txt": "gamma"}
        assert index.get("docs/a.md").metadata["path"] == "docs/a.md"
        assert [hit.id for hit in index.search("beta", where={"file.source": "docs"})] == ["docs/b.txt"]
    assert sync(tmp_path, docs) == hybrid.SyncReport(unchanged=3)
    assert hybrid.verify(tmp_path / "index", deep=True).findings == ()

    write(docs, {"b.txt": "beta two", "new.txt": "delta"}, OLD + 1)
    (docs / "a.md").rename(docs / "sub/z.md")
    (docs / "sub/c.txt").unlink()
    expected = hybrid.SyncReport(
        added=("new.txt",), updated=("b.txt",), renamed=(("a.md", "sub/z.md"),), removed=("sub/c.txt",)
    )
    said = sync(tmp_path, docs, dry_run=True)
    assert said == hybrid.SyncReport(**fields(expected), dry_run=True)
    with hybrid.open(tmp_path / "index") as index:
        assert index.generation == 3  # the empty index, the folder's name, and the documents
        assert index.sync(docs, dry_run=True) == said
        with pytest.raises(ReadOnlyError):
            index.sync(docs)
    assert sync(tmp_path, docs) == hybrid.SyncReport(**fields(expected), documents=3)
    with hybrid.open(tmp_path / "index") as index:
        assert held(index) == {
            "docs/b.txt": "beta two",
            "docs/new.txt": "delta",
            "docs/sub/z.md": "# A\nalpha",
        }


def fields(report: hybrid.SyncReport) -> dict[str, Any]:
    return {name: getattr(report, name) for name in ("added", "updated", "renamed", "removed")}


def test_a_dry_run_creates_nothing(tmp_path: Path, docs: Path) -> None:
    said = sync(tmp_path, docs, dry_run=True)
    assert said == hybrid.SyncReport(added=("a.md", "b.txt", "sub/c.txt"), dry_run=True)
    assert not (tmp_path / "index").exists()


def test_files_that_look_the_same_are_not_opened(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(tmp_path, docs)
    opened: list[str] = []
    digest_of = plan.digest_of

    def spied(file: Any) -> str:
        opened.append(file.name)
        return digest_of(file)

    monkeypatch.setattr(plan, "digest_of", spied)
    write(docs, {"b.txt": "BETA"})  # another content of the same size and time
    os.utime(docs / "a.md", (OLD + 5, OLD + 5))  # another time, the same content
    assert sync(tmp_path, docs) == hybrid.SyncReport(unchanged=3)
    assert opened == ["a.md"]
    opened.clear()
    assert sync(tmp_path, docs) == hybrid.SyncReport(unchanged=3)
    assert opened == []
    assert sync(tmp_path, docs, verify=True) == hybrid.SyncReport(
        updated=("b.txt",), unchanged=2, documents=1
    )
    assert opened == ["a.md", "b.txt", "sub/c.txt"]


def test_a_file_that_was_just_written_is_not_trusted(tmp_path: Path, docs: Path) -> None:
    now = time.time_ns()
    (docs / "b.txt").write_text("one")
    os.utime(docs / "b.txt", ns=(now, now))
    sync(tmp_path, docs)
    (docs / "b.txt").write_text("two")
    os.utime(docs / "b.txt", ns=(now, now))
    assert sync(tmp_path, docs).updated == ("b.txt",)


@pytest.mark.parametrize("harm", ["lost", "damaged"])
def test_the_memory_of_looks_may_be_lost(tmp_path: Path, docs: Path, harm: str) -> None:
    sync(tmp_path, docs)
    memory = tmp_path / "index" / LOOKS
    assert memory.exists()
    memory.unlink() if harm == "lost" else memory.write_bytes(b"no database" * 1000)
    write(docs, {"b.txt": "beta two"})
    assert sync(tmp_path, docs) == hybrid.SyncReport(updated=("b.txt",), unchanged=2, documents=1)
    assert sync(tmp_path, docs) == hybrid.SyncReport(unchanged=3)


def test_the_memory_of_looks_may_be_impossible(
    tmp_path: Path, docs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sync(tmp_path, docs)
    memory = tmp_path / "index" / LOOKS
    memory.unlink()
    memory.mkdir()  # SQLite can neither open nor make it
    write(docs, {"b.txt": "beta two"})
    assert sync(tmp_path, docs) == hybrid.SyncReport(updated=("b.txt",), unchanged=2, documents=1)
    assert "the next sync takes longer" in caplog.text
    assert sync(tmp_path, docs) == hybrid.SyncReport(unchanged=3)


def test_folders_do_not_touch_each_other(tmp_path: Path, docs: Path) -> None:
    write(tmp_path / "other", {"a.md": "# A\nanother alpha"})
    write(tmp_path / "deep/docs", {"a.md": "third alpha"})
    sync(tmp_path, docs)
    sync(tmp_path, tmp_path / "other")
    with hybrid.open(tmp_path / "index", "w") as index:
        index.add([hybrid.Document("mine", "by hand")])
    with pytest.raises(
        CorpusError, match=r"has another folder under the name 'docs': .*/docs; give this one an"
    ):
        sync(tmp_path, tmp_path / "deep/docs")
    sync(tmp_path, tmp_path / "deep/docs", name="third")
    shutil.rmtree(docs / "sub")
    (tmp_path / "other/a.md").unlink()
    assert sync(tmp_path, docs).removed == ("sub/c.txt",)
    with pytest.raises(CorpusError, match=r"other holds no file .* the index has 1 of it: is it mounted\?"):
        sync(tmp_path, tmp_path / "other")
    assert sync(tmp_path, tmp_path / "other", allow_empty=True).removed == ("a.md",)
    with hybrid.open(tmp_path / "index") as index:
        assert sorted(held(index)) == ["docs/a.md", "docs/b.txt", "mine", "third/a.md"]


def test_a_folder_that_moved_keeps_its_documents(tmp_path: Path, docs: Path) -> None:
    sync(tmp_path, docs)
    (tmp_path / "new").mkdir()
    docs.rename(tmp_path / "new/docs")
    with pytest.raises(CorpusError, match="there is no folder"):
        sync(tmp_path, docs)
    assert sync(tmp_path, tmp_path / "new/docs") == hybrid.SyncReport(unchanged=3)


def test_what_can_no_longer_be_read_is_kept_and_what_is_damaged_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    samples.make_pdf(folder / "a.pdf", ["first words", "second words"])
    os.utime(folder / "a.pdf", (OLD, OLD))
    assert sync(tmp_path, folder).documents == 2
    whole = (folder / "a.pdf").read_bytes()
    (folder / "a.pdf").write_bytes(whole[:300])
    os.utime(folder / "a.pdf", (OLD + 1, OLD + 1))
    (skipped,) = sync(tmp_path, folder).skipped
    assert skipped.reason.startswith("it is not a whole PDF")
    assert skipped.reason.endswith("; what was indexed of it before is kept")
    from hybrid.engine.syncing import folder as running

    with monkeypatch.context() as patch:
        patch.setattr(running, "file_documents", None)  # it is not read again
        assert sync(tmp_path, folder) == hybrid.SyncReport(skipped=(skipped,))
    with hybrid.open(tmp_path / "index") as index:
        assert held(index) == {"docs/a.pdf#1": "first words", "docs/a.pdf#2": "second words"}
    samples.make_pdf(folder / "a.pdf", ["only page"])
    assert sync(tmp_path, folder) == hybrid.SyncReport(updated=("a.pdf",), documents=1)
    with hybrid.open(tmp_path / "index") as index:
        assert held(index) == {"docs/a.pdf#1": "only page"}


def test_parts_that_somebody_deleted_come_back(tmp_path: Path) -> None:
    write(tmp_path / "docs", {"a.jsonl": '{"text": "one"}\n{"text": "two"}\nnonsense\n'})
    done = sync(tmp_path, tmp_path / "docs")
    assert (done.added, done.documents, len(done.skipped)) == (("a.jsonl",), 2, 1)
    with hybrid.open(tmp_path / "index", "w") as index:
        index.delete(["docs/a.jsonl#2"])
    assert sync(tmp_path, tmp_path / "docs").updated == ("a.jsonl",)
    with hybrid.open(tmp_path / "index") as index:
        assert held(index) == {"docs/a.jsonl#1": "one", "docs/a.jsonl#2": "two"}


def test_a_rename_encodes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "docs", {"a.md": "# Abba\ncab", "b.md": "# Zoo\nbanana"})
    encoder = Letters()
    cache = hybrid.SQLiteCache(tmp_path / "cache.sqlite")
    with hybrid.create(tmp_path / "index", [], BOTH, encoders={"letters": encoder}, cache=cache) as index:
        index.sync(tmp_path / "docs")
        encoder.passes.clear()
        (tmp_path / "docs/a.md").rename(tmp_path / "docs/c.md")
        done = index.sync(tmp_path / "docs")
        assert done == hybrid.SyncReport(renamed=(("a.md", "c.md"),), unchanged=1, documents=1)
        assert [texts for side, texts, _ in encoder.passes if side == "document"] == []
        assert sorted(held(index)) == ["docs/b.md", "docs/c.md"]


def test_every_format_and_every_damage(tmp_path: Path) -> None:
    samples.make_folder(tmp_path / "docs")
    (tmp_path / "docs/damaged").mkdir()
    expected = samples.make_damaged(tmp_path / "docs/damaged")
    shutil.rmtree(tmp_path / "docs/damaged/.whole")
    done = sync(tmp_path, tmp_path / "docs")
    assert len(done.added) == 19
    found = {skipped.path: skipped.reason for skipped in done.skipped}
    assert found.keys() == {f"damaged/{name}" for name in expected}
    for name, start in expected.items():
        assert found[f"damaged/{name}"].startswith(start)
    reading = hybrid.read(tmp_path / "docs")
    with hybrid.open(tmp_path / "index") as index:
        assert held(index) == {f"docs/{document.id}": document.text for document in reading}
    again = sync(tmp_path, tmp_path / "docs")
    assert (again.unchanged, again.changed, set(again.skipped)) == (19, False, set(done.skipped))


def test_hostile_texts_are_indexed_or_reported(tmp_path: Path) -> None:
    deep = '{"a":' * 100 + "1" + "}" * 100
    lines = [
        r'{"text": "half \ud800 pair", "k\udfff": "\ud8ff"}',
        f'{{"text": "deep", "d": {deep}}}',
        f'{{"text": "long", "n": {"9" * 900}, "f": 1e999}}',
        '{"id": "x\\u0007y", "text": "bell"}',
        '{"id": "", "text": "nameless"}',
        '{"text": 3, "title": {"a": 1}}',
    ]
    write(tmp_path / "docs", {"a.jsonl": "\n".join(lines), "a.jsonl#1.md": "the id of nothing"})
    done = sync(tmp_path, tmp_path / "docs")
    assert done.skipped == ()
    with hybrid.open(tmp_path / "index") as index:
        found = held(index)
    assert found["docs/a.jsonl#1"] == "half ? pair"
    assert found["docs/a.jsonl#x\N{REPLACEMENT CHARACTER}y"] == "bell"
    assert len(found) == 7


def test_documents_of_one_id_are_reported(tmp_path: Path) -> None:
    write(tmp_path / "docs", {"a.jsonl": '{"id": "1.md", "text": "row"}', "a.jsonl#1.md": "file"})
    done = sync(tmp_path, tmp_path / "docs")
    assert done.added == ("a.jsonl",)
    reason = "its document 'docs/a.jsonl#1.md' has the id of another file's"
    assert done.skipped == (Skipped("a.jsonl#1.md", reason),)


def test_portions_are_commits_of_whole_files(tmp_path: Path) -> None:
    rows = "".join(f'{{"text": "row {n} of many"}}\n' for n in range(50))
    write(tmp_path / "docs", {f"{n}.jsonl": rows for n in range(6)})
    with hybrid.create(tmp_path / "index", [], WORDS) as index:
        seen = []

        def progress(stage: str, done: int, total: int | None) -> None:
            if stage == "read":
                with hybrid.open(tmp_path / "index") as reader:
                    seen.append(len(reader))

        index.sync(tmp_path / "docs", portion=20_000, progress=progress)
        assert seen == [0, 100, 100, 200, 200, 300]
        assert len(index) == 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a/b"}, "the folder's name is 'a/b'; give name="),
        ({"name": " "}, "the folder's name is ' '"),
        ({"include": "*.md"}, "include is '\\*.md'; give a list"),
        ({"exclude": ["a", 3]}, "exclude is"),
    ],
)
def test_wrong_use_is_refused(tmp_path: Path, docs: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sync(tmp_path, docs, **options)
    assert not (tmp_path / "index").exists()


def test_random_histories_end_in_the_folder(tmp_path: Path) -> None:
    """Whatever is done to the folder, the index holds what reading it anew would give."""
    chance = random.Random(7)
    folder = tmp_path / "docs"
    write(folder, {"keep.txt": "always here"})
    names = [f"{'ab'[n % 2]}/{n}.{'txt' if n % 3 else 'jsonl'}" for n in range(9)]
    with hybrid.create(tmp_path / "index", [], WORDS) as index:
        for step in range(25):
            for _ in range(chance.randint(0, 4)):
                path = folder / chance.choice(names)
                path.parent.mkdir(exist_ok=True)
                match chance.randint(0, 3):
                    case 0:
                        path.unlink(missing_ok=True)
                    case 1 if path.exists():
                        other = folder / chance.choice([name for name in names if name.endswith(path.suffix)])
                        other.parent.mkdir(exist_ok=True)
                        path.rename(other)
                    case _:
                        rows = range(chance.randint(1, 3))
                        row = "".join(f'{{"text": "{chance.randint(0, 3)} {n}"}}\n' for n in rows)
                        write(folder, {path.relative_to(folder).as_posix(): row}, OLD + step)
            index.sync(folder, portion=chance.choice([1, 60, 10**6]), verify=chance.random() < 0.2)
            assert held(index) == {f"docs/{document.id}": document.text for document in hybrid.read(folder)}


KILLED = """
import sys, hybrid
from hybrid.engine.syncing import folder
folder.PORTION_DOCUMENTS = 30
def progress(stage, done, total):
    if stage == "read":
        print(flush=True)
words = hybrid.Pipeline([hybrid.BM25()])
hybrid.sync(sys.argv[1], sys.argv[2], pipeline=words, progress=progress)
"""


@pytest.mark.parametrize("after", [20, 30, 150])
def test_a_sync_that_is_killed_loses_nothing(tmp_path: Path, after: int) -> None:
    folder = tmp_path / "docs"
    write(folder, {f"{n:03}.txt": f"words of file {n} " + "filler " * 20 for n in range(200)})
    sync(tmp_path, folder)
    before = {f"docs/{document.id}": document.text for document in hybrid.read(folder)}
    write(folder, {f"{n:03}.txt": f"new words {n} " + "filler " * 20 for n in range(100)}, OLD + 1)
    write(folder, {f"{n}.txt": f"more words {n} " + "filler " * 20 for n in range(200, 300)})
    for n in range(100, 120):
        (folder / f"{n}.txt").unlink()
    wanted = {f"docs/{document.id}": document.text for document in hybrid.read(folder)}
    command = [sys.executable, "-c", KILLED, str(tmp_path / "index"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        for _ in range(after):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    with hybrid.open(tmp_path / "index") as index:
        found = held(index)
    for id in before.keys() & wanted.keys():
        assert found[id] in (before[id], wanted[id])
    for id in found:
        assert found[id] in (before.get(id), wanted.get(id))
    new = sum(found.get(id) == text for id, text in wanted.items() if before.get(id) != text)
    done = sync(tmp_path, folder)
    assert done.documents == 200 - new  # what was committed is not done again
    assert new >= after // 30 * 30
    with hybrid.open(tmp_path / "index") as index:
        assert held(index) == wanted


@pytest.mark.parametrize("way", ["system", "polling", "without"])
def test_watching_follows_changes_until_it_is_stopped(
    tmp_path: Path, docs: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "without":
        monkeypatch.setitem(sys.modules, "watchfiles", None)
        monkeypatch.setattr("hybrid.engine.watching.INTERVAL", 0.05)
    stop = threading.Event()
    with hybrid.create(tmp_path / "index", [], WORDS) as index:
        reports = hybrid.watch(index, docs, stop=stop, interval=0.05 if way == "polling" else None)
        assert next(reports).added == ("a.md", "b.txt", "sub/c.txt")
        timer = threading.Timer(0.3, write, (docs, {"late.txt": "late words"}))
        timer.start()
        assert next(reports).added == ("late.txt",)
        assert [hit.id for hit in index.search("late")] == ["docs/late.txt"]
        stop.set()
        assert list(reports) == []
        timer.join()
        with pytest.raises(InputError, match="interval is 0"):
            next(hybrid.watch(index, docs, interval=0))


def test_the_memory_is_a_plain_table(tmp_path: Path, docs: Path) -> None:
    sync(tmp_path, docs)
    with sqlite3.connect(tmp_path / "index" / LOOKS) as database:
        rows = database.execute(
            "SELECT source, path, size, modified, reason FROM seen ORDER BY path"
        ).fetchall()
    database.close()
    assert rows[0] == ("docs", "a.md", 9, OLD * 10**9, "")
    assert len(rows) == 3
