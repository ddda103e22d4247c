"""Damage of any kind, to any file: named by verify, mended or refused by repair, never answered from."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

import hybrid
from hybrid.cli import main
from hybrid.index import Segment, SegmentWriter
from hybrid.index import segment as segment_module
from tests.engine.test_passes import BOTH, Letters

PIPELINE = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense(dimension=4)], hybrid.RRF())


def documents(first, last, seed=0):
    chosen = random.Random(seed)
    words = [f"w{n}" for n in range(40)]
    return [
        hybrid.Document(
            f"d{n:02d}",
            " ".join(chosen.choices(words, k=12)),
            f"title {n}",
            {"year": 2000 + n % 3, "tags": ["a", "b"][: n % 3]},
            {"dense": np.array([chosen.gauss(0, 1) for _ in range(4)], np.float32)},
        )
        for n in range(first, last)
    ]


def build(path, seed=0):
    """An index of two segments, with deleted documents in both."""
    with hybrid.create(path, documents(0, 30, seed), PIPELINE) as index:
        index.add(documents(30, 40, seed))
        index.delete(["d03", "d31"])
    return path


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return build(tmp_path_factory.mktemp("pristine") / "index")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return build(tmp_path_factory.mktemp("other") / "index", seed=1)


@pytest.fixture
def path(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "index")


def contents(path):
    with hybrid.open(path) as index:
        return {d.id: (d.text, d.title, d.metadata, [*d.vectors["dense"]]) for d in index.documents()}


def answers(path):
    queries = [hybrid.Query(f"w{n} w{n + 7}", {"dense": [1, n, -1, 0]}) for n in range(5)]
    with hybrid.open(path) as index:
        return [[(h.id, h.score, h.text) for h in index.search(query, 8)] for query in queries]


def largest(path):
    return max((path / "segments").iterdir(), key=lambda file: file.stat().st_size)


def spoil(file, name, byte=0):
    """Flip one bit of an array."""
    entry = Segment.open(file)._entries[name]
    data = bytearray(file.read_bytes())
    data[entry.offset + byte] ^= 1
    file.write_bytes(data)


def arrays(pristine):
    segment = Segment.open(largest(pristine))
    return [name for name in segment.names() if segment.size_of(name)]


def test_a_whole_index_is_found_whole(path):
    found = hybrid.verify(path, deep=True)
    assert found.ok, str(found)
    assert (found.generation, found.segments, found.documents, found.findings) == (3, 2, 38, ())
    assert found.bytes == sum(file.stat().st_size for file in (path / "segments").iterdir())
    with hybrid.open(path) as index:
        assert index.verify() == hybrid.verify(path)
    nothing = hybrid.repair(path)
    assert (nothing.generation, nothing.findings, nothing.rebuilt, nothing.aside) == (3, (), 0, None)


def test_any_flipped_bit_is_found_and_never_answered_from(pristine, path):
    """One bit at many places of every file: verify finds it, and a search is right or refuses."""
    right, whole = answers(pristine), contents(pristine)
    chosen = random.Random(7)
    for file in sorted(path.rglob("*")):
        if not file.is_file() or file.name in ("write.lock", "writer.json"):
            continue
        good = file.read_bytes()
        for _ in range(60):
            place, bit = chosen.randrange(len(good)), chosen.randrange(8)
            bad = bytearray(good)
            bad[place] ^= 1 << bit
            file.write_bytes(bad)
            try:
                found = hybrid.verify(path)
            except (hybrid.FormatError, hybrid.NotAnIndexError):
                found = None
            # SQLite's file has bytes that mean nothing: free pages, counters
            harmless = file.name == "catalog.sqlite" and found is not None and found.ok
            if found is not None and not harmless:
                assert not found.ok, (file, place, bit)
                assert any(finding.file.endswith(file.name) for finding in found.findings)
            refused = False
            try:
                assert answers(path) == right, (file, place, bit)
                assert contents(path) == whole
            except hybrid.StorageError:
                refused = True
            assert not (refused and harmless), (file, place, bit)
        file.write_bytes(good)
    assert answers(path) == right


@pytest.mark.parametrize("damage", ["truncate", "delete", "swap", "empty"])
def test_any_file_cut_short_deleted_or_swapped_is_named(pristine, other, path, damage):
    right = answers(pristine)
    strange = {file.name: file for file in other.rglob("*") if file.is_file()}
    segments = sorted(file for file in strange.values() if file.suffix == ".seg")
    files = [file for file in sorted(path.rglob("*")) if file.suffix in (".seg", ".sqlite")]
    assert len(files) == 3
    for file in files:
        good = file.read_bytes()
        match damage:
            case "truncate":
                file.write_bytes(good[: len(good) * 2 // 3])
            case "delete":
                file.unlink()
            case "empty":
                file.write_bytes(b"")
            case "swap":
                file.write_bytes(strange.get(file.name, segments[0]).read_bytes())
        found = hybrid.verify(path)
        assert not found.ok
        serious = [finding for finding in found.findings if finding.kind != "leftover"]
        if file.suffix == ".seg":
            assert {finding.file for finding in serious} == {f"segments/{file.name}"}
        elif damage != "swap":  # another catalogue is whole: it names files that are not there
            assert serious[0].file == "catalog.sqlite"
        with pytest.raises(hybrid.StorageError):
            hybrid.open(path)
        file.write_bytes(good)
    assert answers(path) == right


def test_repair_of_each_array_keeps_what_is_whole(pristine, tmp_path):
    """Damage to a branch or a column costs nothing; damage to a text costs that one document."""
    whole, right = contents(pristine), answers(pristine)
    for name in arrays(pristine):
        path = shutil.copytree(pristine, tmp_path / name.replace("/", "-"))
        spoil(largest(path), name)
        done = hybrid.repair(path)
        assert [finding.part for finding in done.findings] == [name]
        gone = set(done.lost)
        kept = contents(path)
        assert len(kept) + len(gone) + done.unnamed == 38
        assert kept.items() <= whole.items()
        assert not gone & kept.keys()
        match name.split("/")[0], name:
            case "bm25", _:
                assert (gone, done.unnamed, done.rebuilt) == (set(), 0, 29)
                assert answers(path) == right
            case "dense", _:  # ready-made vectors cannot be made again
                assert len(gone) == 29
            case _, "documents/texts.data" | "documents/titles.data" | "documents/metadata.data":
                assert gone == {"d00"}
            case _, "documents/ids.data":
                assert (gone, done.unnamed) == (set(), 1)
            case _, "documents/digests":
                assert kept == whole
            case _, str() if "/fields/" in name:
                assert kept == whole
            case _:
                assert len(gone) + done.unnamed <= 29
        found = hybrid.verify(path, deep=True)
        assert found.ok, str(found)
        assert [(finding.kind, finding.file) for finding in found.findings] == [("leftover", "damaged")]
        assert [file.name for file in (path / "damaged").iterdir()] == [largest(pristine).name]
        with hybrid.open(path, "w") as index:  # and it can be changed
            index.update(documents(5, 6))
            assert "d05" in index


def test_repair_drops_a_segment_that_is_gone(path):
    largest(path).unlink()
    done = hybrid.repair(path)
    assert (done.rebuilt, done.lost, done.unnamed, done.aside) == (0, (), 29, None)
    assert [*contents(path)] == [f"d{n}" for n in range(30, 40) if n != 31]
    assert hybrid.verify(path).ok


def test_a_model_makes_its_vectors_again(tmp_path):
    encoders = {"letters": Letters()}
    texts = [hybrid.Document(f"t{n}", f"{'abcdefgh'[n]} words of text") for n in range(8)]
    hybrid.create(tmp_path / "index", texts, BOTH, encoders=encoders).close()

    def found():
        with hybrid.open(tmp_path / "index", encoders=encoders) as index:
            return [(hit.id, hit.score) for hit in index.search("c text", 8)]

    before = found()
    names = Segment.open(largest(tmp_path / "index")).names()
    name = next(name for name in names if name.endswith("/vectors"))
    spoil(largest(tmp_path / "index"), name)
    with pytest.raises(hybrid.CorruptIndexError, match=f"array '{name}' does not match"):
        hybrid.open(tmp_path / "index", encoders=encoders, verify=True)
    assert hybrid.repair(tmp_path / "index", encoders=encoders).rebuilt == 8
    assert found() == before


def test_a_failed_repair_changes_nothing(path, monkeypatch):
    spoil(largest(path), "bm25/lengths")
    before = {file: file.read_bytes() for file in (path / "segments").iterdir()}
    monkeypatch.setattr(hybrid.engine.repairing, "add_documents", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        hybrid.repair(path)
    monkeypatch.undo()
    assert {file: file.read_bytes() for file in (path / "segments").iterdir()} == before
    assert hybrid.repair(path).rebuilt == 29
    assert hybrid.verify(path).ok


def test_a_damaged_catalogue_is_refused(path):
    with closing(sqlite3.connect(path / "catalog.sqlite")) as connection:
        connection.execute("UPDATE segments SET documents = documents + 1")
        connection.commit()
    with pytest.raises(hybrid.CorruptIndexError, match="content does not match its checksum"):
        hybrid.repair(path)
    found = hybrid.verify(path)
    assert [(finding.kind, finding.file) for finding in found.findings] == [("damaged", "catalog.sqlite")]


def test_a_long_array_is_checked_by_open_if_asked_and_before_it_is_merged(path, monkeypatch):
    """What is too long to be checked at first use must not get a new checksum by a merge."""
    monkeypatch.setattr(segment_module, "CHECKED", 0)
    spoil(largest(path), "bm25/postings.values")
    with pytest.raises(hybrid.CorruptIndexError, match="'bm25/postings"):
        hybrid.open(path, verify=True)
    with hybrid.open(path, "w") as index, pytest.raises(hybrid.CorruptIndexError, match="bm25/postings"):
        index.optimize()
    assert hybrid.repair(path).rebuilt == 29
    spoil(largest(path), "documents/texts.data")
    with hybrid.open(path) as index, pytest.raises(hybrid.CorruptIndexError, match="number 0 of"):
        [*index.documents()]


def test_deep_finds_postings_of_other_texts(path):
    """Whole files that a faulty program wrote: checksums are right, and the contents are not."""
    file = largest(path)
    segment = Segment.open(file)
    counts = segment["bm25/postings.values"].copy()
    counts[0, [0, 1]] = counts[0, [0, 1]] + 1
    reseal(path, file, {"bm25/postings.values": counts})
    found = hybrid.verify(path)
    assert [(f.kind, f.part) for f in found.findings] == [("inconsistent", "bm25")]
    assert "add up" in found.findings[0].message
    fields = segment["documents/fields/codes"].copy()
    fields[0] = 1 - fields[0]
    reseal(path, file, {"documents/fields/codes": fields, "bm25/postings.values": counts * 0 + 1})
    assert {f.part for f in hybrid.verify(path, deep=True).findings} >= {"bm25"}


def mutated(array, chosen):
    """Return an array with other bytes, another length, or an extreme value."""
    flat = array.reshape(-1).copy()
    match chosen.randrange(4):
        case 0:
            data = bytearray(flat.tobytes())
            for _ in range(chosen.randint(1, 4)):
                data[chosen.randrange(len(data))] = chosen.randrange(256)
            return np.frombuffer(bytes(data), array.dtype).reshape(array.shape)
        case 1:
            return flat[: chosen.randrange(len(flat))]
        case 2:
            return np.concatenate([flat, flat[:1]])
    wide = flat.dtype.kind in "iu" and flat.dtype.itemsize >= 4
    flat[chosen.randrange(len(flat))] = chosen.choice([2**31 - 1, 0, 10**6]) if wide else 0
    return flat.reshape(array.shape)


def test_files_with_right_checksums_and_any_content_are_judged(pristine, tmp_path):
    """What no release writes: verify names it, or finds it whole; nothing else comes out of it."""
    named = 0
    for seed in range(60):
        chosen = random.Random(seed)
        path = shutil.copytree(pristine, tmp_path / str(seed))
        file = largest(path)
        segment = Segment.open(file)
        name = chosen.choice([name for name in segment.names() if segment.size_of(name)])
        reseal(path, file, {name: mutated(segment[name], chosen)})
        named += not hybrid.verify(path, deep=seed % 2 == 0).ok
    assert named > 30


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pipeline", 7),
        ("pipeline", {"bm25": 7}),
        ("branches", None),
        ("branches", {"bm25": 7}),
        ("encoders", []),
    ],
)
def test_settings_that_no_release_writes_are_refused(path, name, value):
    from hybrid.index.catalog import CATALOG, read_catalog, write_catalog

    state = read_catalog(path / CATALOG)
    (path / CATALOG).unlink()
    settings = {**state.settings, name: value}
    write_catalog(path / CATALOG, None, dataclasses.replace(state, settings=settings))
    with pytest.raises((hybrid.CorruptIndexError, hybrid.PipelineError)):
        hybrid.open(path)


def test_terms_that_are_not_text_are_named(path):
    for file in (path / "segments").iterdir():
        segment = Segment.open(file)
        for name in ("data", "offsets"):
            array = np.array(segment[f"bm25/vocabulary.{name}"])
            array[len(array) // 2] = 0xFF if name == "data" else array[-1] + 9
            copied = shutil.copytree(path, path.with_name(f"{file.stem}-{name}"))
            reseal(copied, copied / "segments" / file.name, {f"bm25/vocabulary.{name}": array})
            assert "its terms are not UTF-8" in str(hybrid.verify(copied))


def reseal(path, file, changes):
    """Write a segment with other arrays, and its new checksums everywhere."""
    from hybrid.index.catalog import CATALOG, SegmentRecord, State, read_catalog, write_catalog

    segment = Segment.open(file)
    with SegmentWriter(file.with_suffix(".new")) as out:
        for name in segment.names():
            out.add(name, changes.get(name, segment[name]))
    file.with_suffix(".new").replace(file)
    before = read_catalog(path / CATALOG)
    records = tuple(
        SegmentRecord(r.uuid, r.documents, out.info.bytes, out.info.checksum, r.created)
        if r.uuid == file.stem
        else r
        for r in before.segments
    )
    (path / CATALOG).unlink()
    write_catalog(path / CATALOG, None, State(before.generation, before.settings, records, before.tombstones))


def test_commands(path, capsys):
    assert main(["verify", str(path), "--deep"]) == 0
    assert "whole: 38 documents in 2 segments" in capsys.readouterr().out
    (path / "segments" / "note.txt").write_text("?")
    assert main(["verify", str(path)]) == 0
    assert "leftover: segments/note.txt" in capsys.readouterr().out
    spoil(largest(path), "documents/texts.data")
    assert main(["verify", str(path), "--json"]) == 1
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert (report["ok"], report["findings"][0]["part"]) == (False, "documents/texts.data")
    assert "hybrid repair" in shown.err
    assert main(["repair", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "28 documents of damaged segments built again" in shown
    assert "lost: d00; 0 more without a name" in shown
    assert main(["repair", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    assert main(["verify", str(path / "nowhere")]) == 1
    assert "holds no index" in capsys.readouterr().err
