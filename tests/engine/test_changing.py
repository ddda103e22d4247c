"""Continuous change: conditions, deletes by filter, documents that expire, merging, group commit."""

from __future__ import annotations

import threading
import time as clock
from datetime import UTC, datetime

import numpy as np
import pytest

import hybrid
from hybrid.engine import building
from hybrid.index import ages

PIPELINE = hybrid.Pipeline(branches=[hybrid.BM25(analyzer="simple")])


def documents(*ids, **options):
    return [hybrid.Document(id, f"word {id}", metadata={"n": int(id)}, **options) for id in ids]


@pytest.fixture
def index(tmp_path):
    with hybrid.create(tmp_path / "index", documents("1", "2", "3"), PIPELINE) as opened:
        yield opened


def ids(index):
    found = [hit.id for hit in index.search("word", 100)]
    assert found == [document.id for document in index.documents()] or len(found) == len(index)
    return sorted(found)


# --- versions ------------------------------------------------------------------------------------


def test_a_version_is_the_generation_that_wrote_the_document(index):
    assert [index.version(id) for id in "123"] == [1, 1, 1]
    index.update(documents("2"))
    index.delete(["1"])
    index.add(documents("1"))
    assert [index.version(id) for id in "123"] == [4, 2, 1]
    index.optimize()
    assert index.generation == 5
    assert [index.version(id) for id in "123"] == [4, 2, 1]
    with hybrid.open(index.path) as reader:
        assert reader.version("2") == 2
    with pytest.raises(hybrid.NotFoundError):
        index.version("9")


def test_a_change_of_another_version_is_refused_whole(index):
    index.update(documents("2"))
    with pytest.raises(hybrid.ConflictError, match=r"'2'.* version 1, but its version is 2") as caught:
        index.update(documents("3", "2"), if_version={"2": 1})
    assert (caught.value.id, caught.value.expected, caught.value.found) == ("2", 1, 2)
    with pytest.raises(hybrid.ConflictError, match="not to be in the index, but its version is 1"):
        index.update(documents("3"), if_version={"3": None})
    with pytest.raises(hybrid.ConflictError, match="version 1, but it is not in the index"):
        index.delete(["3"], if_version={"4": 1})
    assert (index.generation, index.version("3")) == (2, 1)
    assert index.update(documents("2", "4"), if_version={"2": 2, "4": None}) == 2
    assert index.delete(["2"], if_version={"2": 3}) == 1
    for wrong in ({"1": "1"}, {"1": True}, {"1": -1}, [1]):
        with pytest.raises(hybrid.InputError, match="version"):
            index.update(documents("1"), if_version=wrong)


def test_of_two_writers_of_one_document_one_wins(index):
    """The loop that every user of conditions writes: read, change, try again."""

    def increment():
        for _ in range(5):
            while True:
                version = index.version("1")
                count = index.get("1").metadata["n"] + 1
                try:
                    index.update(
                        [hybrid.Document("1", "word", metadata={"n": count})], if_version={"1": version}
                    )
                    break
                except hybrid.ConflictError:
                    continue

    threads = [threading.Thread(target=increment) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index.get("1").metadata["n"] == 1 + 15


# --- deletes by filter ---------------------------------------------------------------------------


def test_delete_by_filter(index):
    index.add(documents("4", "5"))
    index.delete(["4"])
    assert index.delete(where={"n": {"$gte": 3}}) == 2
    assert ids(index) == ["1", "2"]
    assert index.delete(where={"n": 77}) == 0
    assert index.generation == 4
    with pytest.raises(hybrid.FilterError):
        index.delete(where={"n": {"$above": 3}})
    with pytest.raises(hybrid.InputError, match="one of the two"):
        index.delete(["1"], where={})
    with pytest.raises(hybrid.InputError, match="one of the two"):
        index.delete()
    assert index.delete(where={}) == 2
    assert len(index) == 0


# --- documents that expire -----------------------------------------------------------------------


class Time:
    """A clock that is set by hand."""

    def __init__(self, now):
        self.now = now

    def time(self):
        return self.now


@pytest.fixture
def time(monkeypatch):
    made = Time(1_000_000.0)
    monkeypatch.setattr(ages, "time", made)
    return made


def test_an_expired_document_is_gone_everywhere(index, time):
    index.add(documents("4", "5", expires=1_000_010.9))
    index.add(documents("6", expires=datetime.fromtimestamp(1_000_020, UTC)))
    assert index.get("4").expires == datetime.fromtimestamp(1_000_010, UTC)  # whole seconds, rounded down
    reader = hybrid.open(index.path)
    time.now = 1_000_009.99
    assert ids(index) == ids(reader) == list("123456")
    time.now = 1_000_010.0
    for opened in (index, reader):
        assert ids(opened) == list("1236")
        assert "4" not in opened
        assert len(opened) == opened.stats().documents == 4
        assert opened.stats().deleted == 2
        with pytest.raises(hybrid.NotFoundError):
            opened.get("5")
        assert opened.generation == 3
    time.now = 1_000_020.0
    assert ids(index) == list("123")
    index.add(documents("4"))  # the id is free
    assert ids(index) == list("1234")
    reader.close()


def test_scores_are_those_of_an_index_without_the_expired(index, time, tmp_path):
    index.add([hybrid.Document(f"x{n}", "word " * n, expires=1_000_010) for n in range(1, 9)])
    time.now = 1_000_011
    with hybrid.create(tmp_path / "fresh", documents("1", "2", "3"), PIPELINE) as fresh:
        assert index.search("word 2", 10).hits == fresh.search("word 2", 10).hits
        before = index.search("word 2", 10)
        assert index.expire() == 8
        assert index.expire() == 0
        assert index.generation == 3
        assert index.search("word 2", 10).hits == before.hits
        assert index.stats().deleted == 0


def test_a_clock_put_back_does_not_bring_a_document_back(index, time):
    index.add(documents("4", expires=1_000_010))
    reader = hybrid.open(index.path)
    time.now = 1_000_011
    assert ids(index) == ids(reader) == list("123")
    time.now = 1_000_000
    assert ids(index) == ids(reader) == list("123")
    index.update(documents("3"))  # any commit makes it final
    assert ids(index) == list("123")
    reader.refresh()
    assert ids(reader) == list("123")
    with hybrid.open(index.path) as other:
        assert ids(other) == list("123")
    index.add(documents("5", expires=1_000_005))  # judged by the clock as it is now
    assert ids(index) == list("1235")
    reader.close()


@pytest.mark.parametrize(
    "expires",
    [datetime(2030, 1, 1), "tomorrow", -1, True, float("nan"), float("inf"), 1e300],
)
def test_what_is_no_time_is_refused(index, expires):
    with pytest.raises(hybrid.DocumentError, match=r"'9'.*expires is"):
        index.add(documents("9", expires=expires))
    assert index.generation == 1


# --- merging -------------------------------------------------------------------------------------


def test_commits_are_merged_by_tiers(tmp_path):
    with hybrid.create(
        tmp_path / "index", [], PIPELINE, merging=hybrid.MergePolicy(factor=3, floor=1)
    ) as index:
        segments = []
        for n in range(1, 28):
            index.add(documents(*(str(100 * n + m) for m in range(32))))
            segments.append(index.stats().segments)
        assert segments[:9] == [1, 2, 1, 2, 3, 2, 3, 4, 1]
        assert segments[-1] == 1
        assert max(segments) == 6
        assert len(index) == 27 * 32
        assert [index.version("100"), index.version("331")] == [2, 4]
        assert {file.stem for file in (index.path / "segments").iterdir()} == {
            view.uuid for view in index._store.snapshot.segments
        }


def test_below_the_floor_all_segments_are_alike(tmp_path):
    policy = hybrid.MergePolicy(factor=3, floor=7)
    with hybrid.create(tmp_path / "index", documents("0"), PIPELINE, merging=policy) as index:
        sizes = []
        for n in range(1, 14):
            index.add(documents(str(n)))
            sizes.append([view.live_count for view in index._store.snapshot.segments])
        assert sizes[:6] == [[1, 1], [3], [3, 1], [5], [5, 1], [7]]
        assert sizes[6:12] == [[7, 1], [7, 1, 1], [7, 3], [7, 3, 1], [7, 5], [7, 5, 1]]
        assert sizes[12:] == [[14]]  # two above it are merged


def test_merging_can_be_left_off(tmp_path):
    with hybrid.create(tmp_path / "index", [], PIPELINE, merging=None) as index:
        for n in range(20):
            index.add(documents(str(n)))
        assert index.stats().segments == 20


def test_a_segment_of_mostly_deleted_documents_is_written_anew(tmp_path):
    with hybrid.create(tmp_path / "index", documents(*map(str, range(600))), PIPELINE) as index:
        index.delete(map(str, range(300)))
        assert (index.stats().deleted, index.generation) == (300, 2)
        index.delete(["300"])
        assert (index.stats().deleted, index.stats().documents, index.generation) == (0, 299, 4)


def test_large_segments_are_left_alone(tmp_path):
    policy = hybrid.MergePolicy(factor=2, largest=1)
    with hybrid.create(tmp_path / "index", documents("1"), PIPELINE, merging=policy) as index:
        for n in range(2, 6):
            index.add(documents(str(n)))
        assert index.stats().segments == 5
        assert index.optimize()
        assert index.stats().segments == 1


@pytest.mark.parametrize(
    "error",
    [hybrid.StorageError("no space left on device"), MemoryError(), OSError(5, "bad disk")],
)
def test_a_merge_that_fails_does_not_make_the_change_fail(tmp_path, monkeypatch, caplog, error):
    policy = hybrid.MergePolicy(factor=2)
    with hybrid.create(tmp_path / "index", documents("1"), PIPELINE, merging=policy) as index:

        def full(*arguments):
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(index._store, "merge", full)
            assert index.add(documents("2")) == 1
        assert f"could not be merged ({type(error).__name__}: {error})" in caplog.text
        assert (index.stats().segments, ids(index)) == (2, ["1", "2"])
        index.add(documents("3"))
        assert index.stats().segments == 1


def test_a_reader_keeps_what_it_has_while_segments_are_merged_away(tmp_path):
    with (
        hybrid.create(
            tmp_path / "index", documents("1"), PIPELINE, merging=hybrid.MergePolicy(factor=2)
        ) as index,
        hybrid.open(index.path) as reader,
    ):
        for n in range(2, 9):
            index.update(documents(str(n), "1"))
            assert ids(reader) == ["1"]
        assert reader.refresh()
        assert ids(reader) == ids(index)


@pytest.mark.parametrize(
    "wrong", [{"factor": 1}, {"floor": 0}, {"factor": 2.5}, {"largest": 0}, {"dead": 0}, {"dead": 2}]
)
def test_a_policy_checks_its_figures(wrong):
    with pytest.raises(hybrid.InputError, match=next(iter(wrong))):
        hybrid.MergePolicy(**wrong)


# --- group commit --------------------------------------------------------------------------------


def test_a_stream_commits_in_groups_and_says_when(index):
    with index.stream(every=4, seconds=1000) as stream:
        first = [stream.update(document) for document in documents("1", "4", "5")]
        assert index.generation == 1
        last = stream.delete("2")
        assert [future.result(30) for future in [*first, last]] == [2, 2, 2, 2]
        assert index.generation == 2
        again = stream.add(documents("2")[0])
        stream.flush()
        assert again.done()
        stream.update({"id": "6", "text": "word"})
    assert index.generation == 4
    with hybrid.open(index.path) as reader:
        assert ids(reader) == list("123456")
        assert [reader.version(id) for id in "123456"] == [2, 3, 1, 2, 2, 4]


def test_a_stream_commits_after_its_time(index):
    with index.stream(every=1000, seconds=0.01) as stream:
        assert stream.update(documents("4")[0]).result(30) == 2


def test_what_is_wrong_with_one_change_does_not_touch_the_others(index):
    with index.stream(every=9, seconds=1000) as stream:
        with pytest.raises(hybrid.DocumentError, match="expires"):
            stream.add(documents("9", expires=-1)[0])
        with pytest.raises(hybrid.InputError, match="brings a vector"):
            stream.add(hybrid.Document("9", "text", vectors={"dense": [1]}))
        changes = [
            stream.add(documents("1")[0]),
            stream.add(documents("4")[0]),
            stream.update(documents("2")[0], if_version=1),
            stream.update(documents("2")[0], if_version=1),  # no longer: the change before it wins
            stream.delete("7"),
            stream.delete("7", missing="ignore"),
            stream.delete("3"),
            stream.add(documents("3")[0]),
            stream.delete("4"),
        ]
    kinds = [type(future.exception()) for future in changes]
    none = type(None)
    conflict, missing, taken = hybrid.ConflictError, hybrid.NotFoundError, hybrid.DuplicateIdError
    assert kinds == [taken, none, none, conflict, missing, none, none, none, none]
    assert (changes[3].exception().expected, changes[3].exception().found) == (1, 2)
    assert ids(index) == ["1", "2", "3"]
    assert [index.version(id) for id in "123"] == [1, 2, 2]
    assert index.generation == 2


def test_a_change_that_is_cancelled_is_not_made_and_does_not_touch_the_others(index):
    """As when a task that awaits it is cancelled."""
    with index.stream(every=9, seconds=1000) as stream:
        changes = [stream.update(documents(id)[0]) for id in "456"]
        assert changes[1].cancel()
        stream.flush()
        assert [changes[0].result(0), changes[2].result(0)] == [2, 2]
        assert ids(index) == list("12346")
        alone = stream.delete("1")
        assert alone.cancel()
        stream.flush()
        assert not changes[0].cancel()
    assert ids(index) == list("12346")
    assert index.generation == 2


def test_a_document_that_a_branch_refuses_is_alone_with_it(tmp_path):
    pipeline = hybrid.Pipeline(branches=[hybrid.Dense(model=None, dimension=2)])
    with hybrid.create(tmp_path / "index", pipeline=pipeline) as index:
        with index.stream(every=3, seconds=1000) as stream:
            changes = [
                stream.add(hybrid.Document(str(n), vectors={"dense": [1.0] * size}))
                for n, size in enumerate([2, 3, 2])
            ]
        assert isinstance(changes[1].exception(), hybrid.InputError)
        assert [change.exception() for change in changes[::2]] == [None, None]
        assert len(index) == 2


def test_a_stream_whose_disk_fails_tells_everyone(index, monkeypatch):
    stream = index.stream(every=2, seconds=1000)

    def full(*arguments, **options):
        raise hybrid.StorageError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(building.Transaction, "add", full)
        changes = [stream.update(document) for document in documents("4", "5")]
        for change in changes:
            with pytest.raises(hybrid.StorageError, match="no space"):
                change.result(30)
        with pytest.raises(hybrid.StorageError, match="no space"):
            stream.flush()
    assert stream.update(documents("6")[0])
    stream.close()
    stream.close()
    assert ids(index) == list("1236")
    with pytest.raises(hybrid.StorageError, match="closed"):
        stream.update(documents("7")[0])


def test_threads_share_commits(index):
    """Each thread waits for its own change; far fewer commits are made than changes."""

    def write(n):
        for m in range(20):
            stream.add(hybrid.Document(f"{n}-{m}", "word")).result(60)

    with index.stream(every=64, seconds=0.02) as stream:
        threads = [threading.Thread(target=write, args=[n]) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(index) == 163
    assert index._store._state.generation < 150


def test_a_stream_lets_only_so_many_wait(index, monkeypatch):
    release = threading.Event()
    add = building.Transaction.add

    def slow(*arguments, **options):
        release.wait(60)
        return add(*arguments, **options)

    monkeypatch.setattr(building.Transaction, "add", slow)
    given = []

    def feed():
        for n in range(100):
            given.append(stream.update(hybrid.Document(f"x{n}", "word")))

    with index.stream(every=2, seconds=0) as stream:
        feeder = threading.Thread(target=feed)
        feeder.start()
        clock.sleep(0.3)
        assert len(given) <= 2 * 4 + 2
        release.set()
        feeder.join()
    assert len(index) == 103
    assert np.diff([future.result() for future in given]).min() >= 0


@pytest.mark.parametrize("wrong", [{"every": 0}, {"every": 1.5}, {"seconds": -1}, {"seconds": "1"}])
def test_a_stream_checks_its_figures(index, wrong):
    with pytest.raises(hybrid.InputError, match=next(iter(wrong))):
        index.stream(**wrong)
