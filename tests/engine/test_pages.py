"""Pages that come from one generation, whatever happens to the index meanwhile."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import pytest

import hybrid
from hybrid.engine import pages
from hybrid.index import ages

PIPELINE = hybrid.Pipeline(
    branches=[hybrid.BM25(analyzer="simple"), hybrid.Dense(model=None, dimension=3)], depth=2
)
RNG = np.random.default_rng(5)


def document(n, **options):
    words = " ".join(RNG.choice(["ant", "bee", "cat"], 6))
    vector = RNG.integers(-3, 4, 3).astype(np.float32)
    return hybrid.Document(f"d{n:03}", words, metadata={"n": n}, vectors={"dense": vector}, **options)


QUERY = hybrid.Query("ant bee", {"dense": [1, 2, 0]})


@pytest.fixture
def index(tmp_path):
    with hybrid.create(tmp_path / "index", [document(n) for n in range(50)], PIPELINE) as opened:
        yield opened


def ids(result):
    return [hit.id for hit in result]


def test_pages_are_the_parts_of_one_list(index):
    whole = index.search(QUERY, 50)
    assert [hit for page in index.pages(QUERY, 7) for hit in page] == [*whole]
    assert [len(page) for page in index.pages(QUERY, 7)] == [7] * 7 + [1]
    assert [len(page) for page in index.pages(QUERY, 25)] == [25, 25]
    assert [len(page) for page in index.pages(QUERY, 100)] == [50]
    few = index.pages(QUERY, 4, where={"n": {"$lt": 10}}, branches=["dense"])
    assert [hit.id for page in few for hit in page] == ids(
        index.search(QUERY, 50, {"n": {"$lt": 10}}, branches=["dense"])
    )
    first = index.search(QUERY, 5)
    second = index.search(QUERY, 3, cursor=first.cursor)  # pages may differ in length
    assert [*first, *second] == [*whole][:8]
    assert [hit.rank for hit in second] == [6, 7, 8]
    assert second.explain(7).id == second[1].id
    with pytest.raises(IndexError, match="6 to 8"):
        second.explain(1)


def test_changes_between_pages_do_not_show(index):
    whole = ids(index.search(QUERY, 50))
    first = index.search(QUERY, 10)
    seen, cursor = ids(first), first.cursor
    for n in range(4):
        index.delete(seen[:3], missing="ignore")
        index.update([document(100 + n), document(7 * n)])
        index.optimize()
        page = index.search(QUERY, 10, cursor=cursor)
        assert page.generation == first.generation
        seen, cursor = [*seen, *ids(page)], page.cursor
    assert seen == whole
    assert index.search(QUERY, 10, cursor=cursor).hits == ()


def test_a_reader_keeps_its_pages_over_a_refresh(index):
    with hybrid.open(index.path) as reader, hybrid.open(index.path) as other:
        whole = ids(reader.search(QUERY, 50))
        cursor = reader.search(QUERY, 10).cursor
        assert ids(other.search(QUERY, 10, cursor=cursor)) == whole[10:20]  # it has the generation as well
        index.delete(where={})
        index.optimize()
        reader.refresh()
        assert ids(reader.search(QUERY, 10, cursor=cursor)) == whole[10:20]
        with (
            hybrid.open(index.path) as late,
            pytest.raises(hybrid.CursorError, match=r"generation 1.*first page"),
        ):
            late.search(QUERY, 10, cursor=cursor)


def test_generations_are_kept_for_a_while_only(index, monkeypatch):
    cursor = index.search(QUERY, 5).cursor
    index.delete(["d001"])
    index.search(QUERY, 5, cursor=cursor)
    monkeypatch.setattr(pages, "KEPT", -1.0)
    assert index.search(QUERY, 5).cursor  # what was kept too long goes when something is kept
    with pytest.raises(hybrid.CursorError, match="not kept any more"):
        index.search(QUERY, 5, cursor=cursor)
    monkeypatch.setattr(pages, "KEPT", 1000.0)
    cursors = []
    for _ in range(pages.PINNED + 2):
        cursors.append(index.search(QUERY, 5).cursor)
        index.delete([index.search(QUERY, 1)[0].id])
    assert len(index._pins._kept) == pages.PINNED
    assert index.search(QUERY, 5, cursor=cursors[-1])
    with pytest.raises(hybrid.CursorError):
        index.search(QUERY, 5, cursor=cursors[0])


def test_a_cursor_is_checked(index, tmp_path):
    cursor = index.search(QUERY, 5).cursor
    content = base64.urlsafe_b64decode(cursor + "==")
    for n in range(len(content)):
        changed = bytearray(content)
        changed[n] ^= 1
        with pytest.raises(hybrid.CursorError):
            index.search(QUERY, 5, cursor=base64.urlsafe_b64encode(changed).decode().rstrip("="))
    for wrong in ("", "x", cursor[:-2], cursor + "AAAA", 7, "é", cursor[:5] + "\n" + cursor[5:]):
        with pytest.raises(hybrid.CursorError, match="is no cursor"):
            index.search(QUERY, 5, cursor=wrong)
    for query, options in [
        (hybrid.Query("ant", QUERY.vectors), {}),
        (hybrid.Query("ant bee", {"dense": [1, 2, 1]}), {}),
        (QUERY, {"where": {"n": 1}}),
        (QUERY, {"branches": ["bm25"]}),
        (QUERY, {"fusion": hybrid.RRF()}),
    ]:
        with pytest.raises(hybrid.CursorError, match="another query"):
            index.search(query, 5, **options, cursor=cursor)
    with (
        hybrid.create(tmp_path / "other", [document(n) for n in range(9)], PIPELINE) as other,
        pytest.raises(hybrid.CursorError, match="another index"),
    ):
        other.search(QUERY, 5, cursor=cursor)


def test_a_degraded_answer_has_no_cursor(index, monkeypatch):
    def fails(*arguments):
        raise RuntimeError("out of order")

    cursor = index.search(QUERY, 5).cursor
    monkeypatch.setattr(hybrid.Dense, "scorer", fails)
    result = index.search(QUERY, 5)
    assert result.degraded == ("dense",)
    assert result.cursor is None
    with pytest.raises(hybrid.BranchError, match="dense"):
        index.search(QUERY, 5, cursor=cursor)


@pytest.mark.parametrize("exact_until", [0, 12, 1000])
def test_lists_that_do_not_continue_each_other_never_repeat_a_hit(index, exact_until, monkeypatch):
    """An approximate index finds other documents when it is asked for more; here it even shuffles them."""
    run = hybrid.engine.reader.Search.run

    def approximate(self, k):
        result = run(self, k)
        if k <= exact_until:
            return result
        mixed = sorted(result.hits, key=lambda hit: (hash((hit.id, k)) % 3, hit.id))
        return replace(result, hits=tuple(mixed), exact=False)

    monkeypatch.setattr(hybrid.engine.reader.Search, "run", approximate)
    seen = []
    for page in index.pages(QUERY, 6):
        assert [hit.rank for hit in page] == [*range(len(seen) + 1, len(seen) + len(page) + 1)] or not seen
        seen += ids(page)
    assert len(seen) == len(set(seen)) == 50


def test_what_expires_between_pages_is_left_out(index, monkeypatch):
    class Time:
        now = 1_000_000.0

        def time(self):
            return self.now

        def monotonic(self):
            return 0.0

    clock = Time()
    monkeypatch.setattr(ages, "time", clock)
    monkeypatch.setattr(pages, "time", clock)
    index.update([document(n, expires=1_000_010) for n in range(0, 50, 2)])
    whole = ids(index.search(QUERY, 50))
    cursor = index.search(QUERY, 20).cursor
    clock.now = 1_000_010
    page = index.search(QUERY, 20, cursor=cursor)
    assert ids(page) == [id for id in whole[20:40] if int(id[1:]) % 2]
    assert ids(index.search(QUERY, 20, cursor=page.cursor)) == [id for id in whole[40:] if int(id[1:]) % 2]
