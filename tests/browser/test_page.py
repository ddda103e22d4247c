"""Every control of the search page, used in a real browser."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import httpx
import pytest

import hybrid
from tests.browser.conftest import until
from tests.server.conftest import TEXTS, running

pytestmark = pytest.mark.browser
QUERY = "bread from a warm oven"


def ask(page, text=QUERY):
    """Search and wait until the answer, reranked where the index reranks, is shown."""
    page.fill("#query", text)
    page.press("#query", "Enter")
    settled(page)


def settled(page):
    until(page, "document.querySelector('#found').getAttribute('aria-busy') === 'false'")
    until(page, "document.querySelector('#certain').textContent.includes('Reranked')")


def shown(page):
    return page.eval_on_selector_all("#hits > li", "rows => rows.map(row => row.dataset.id)")


def scores(page):
    return page.eval_on_selector_all("#hits .score", "all => all.map(one => Number(one.textContent))")


def move(page, slider, value):
    """Move a slider as a hand does: by events of input, then of change."""
    page.eval_on_selector(
        f"#{slider}",
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }",
        str(value),
    )


def drop(page, slider):
    page.eval_on_selector(f"#{slider}", "slider => slider.dispatchEvent(new Event('change'))")


def server_search(site, **body):
    answer = httpx.post(f"{site}/v1/indexes/both/search", json={"query": QUERY, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_results_come_as_one_types(page, site):
    page.type("#query", QUERY, delay=20)
    settled(page)
    assert shown(page) == [hit["id"] for hit in server_search(site)["hits"]]
    marks = page.eval_on_selector_all("#hits mark", "all => all.map(one => one.textContent.toLowerCase())")
    assert {"bread", "oven", "warm"} <= set(marks)
    assert page.url.endswith("#index=both&q=bread+from+a+warm+oven")
    page.reload()
    settled(page)
    assert page.input_value("#query") == QUERY


FUSIONS = [
    {"type": "weighted", "alpha": 0.0},
    {"type": "weighted", "alpha": 0.35},
    {"type": "weighted", "alpha": 1.0},
    {"type": "weighted", "weights": {"bm25": 0.9, "dense": 0.13}},
    {"type": "weighted", "weights": {"bm25": 0.0, "dense": 0.5}},
    {"type": "rrf", "k": 60},
    {"type": "rrf", "k": 3, "weights": {"bm25": 0.2, "dense": 0.7}},
]


@pytest.mark.parametrize("query", [QUERY, "E-4021", "the wind on a wing", "zebra"])
def test_fusion_in_the_page_is_the_servers_to_the_bit(page, site, both, query):
    """Ids, order and float32 scores, of all documents, for whatever the sliders say."""
    body = {"query": query, "depth": 100}
    columns = httpx.post(f"{site}/v1/indexes/both/candidates", json=body).json()
    code = """async ([found, specs]) => {
        const { fuse, ranking, certain } = await import("/page/fuse.js");
        return specs.map((spec) => {
            const scores = fuse(found.columns, spec);
            const order = ranking(found.columns, scores);
            const sure = certain(found.columns, spec, found.depth, scores, order, order.length);
            return [sure, order.map((n) => [found.candidates[n].id, scores[n]])];
        });
    }"""
    pages = page.evaluate(code, [columns, FUSIONS])
    pipeline = hybrid.Pipeline()
    with hybrid.open(both, pipeline=pipeline) as index:
        for spec, (sure, listed) in zip(FUSIONS, pages, strict=True):
            given = {name: value for name, value in spec.items() if name != "type"}
            fusion = hybrid.RRF(**given) if spec["type"] == "rrf" else hybrid.Weighted(**given)
            result = index.search(query, k=len(TEXTS), fusion=fusion)
            assert [(hit.id, hit.score) for hit in result] == [tuple(pair) for pair in listed], spec
            assert sure is result.exact


def test_sliders_fuse_again_without_asking(page, site):
    ask(page)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    orders = set()
    for alpha in (0, 0.25, 0.5, 0.75, 1):
        move(page, "alpha", alpha)
        assert page.text_content("#alpha-value") == str(alpha)
        assert page.input_value("#weight-dense") == str(alpha)
        assert "before reranking" in page.text_content("#certain")
        orders.add(tuple(shown(page)))
    assert asked == []
    assert len(orders) > 1
    move(page, "alpha", 0.25)
    drop(page, "alpha")  # when it is let go, the rerank stages are asked
    settled(page)
    fusion = {"type": "weighted", "alpha": 0.25}
    assert shown(page) == [hit["id"] for hit in server_search(site, fusion=fusion)["hits"]]
    assert all("/search" in url for url in asked)


def test_weights_and_methods_and_the_way_back(page, site):
    ask(page)
    first = shown(page), scores(page)
    move(page, "weight-bm25", 1)
    move(page, "weight-dense", 0)
    drop(page, "weight-dense")
    settled(page)
    fusion = {"type": "weighted", "weights": {"bm25": 1, "dense": 0}, "normalizer": "tm2c2"}
    assert shown(page) == [hit["id"] for hit in server_search(site, fusion=fusion)["hits"]]
    page.select_option("#method", "rrf")
    settled(page)
    assert page.input_value("#k") == "60"
    move(page, "k", 2)
    drop(page, "k")
    settled(page)
    assert shown(page) == [hit["id"] for hit in server_search(site, fusion={"type": "rrf", "k": 2})["hits"]]
    page.click("#reset")
    settled(page)
    assert (shown(page), scores(page)) == first
    assert page.input_value("#method") == "weighted"
    move(page, "weight-bm25", 0)
    move(page, "weight-dense", 0)  # at least one counts
    assert page.input_value("#weight-dense") == "0.01"


def test_branches_stand_side_by_side(page, both):
    ask(page)
    columns = page.eval_on_selector_all("#board .column", "all => all.map(one => one.dataset.name)")
    assert columns == ["bm25", "dense", "fused", "reranked"]
    listed = page.eval_on_selector_all(
        "#board .column",
        "all => all.map(one => [...one.querySelectorAll('button')].map(row => row.dataset.id))",
    )
    with hybrid.open(both) as index:
        for name, ids in zip(columns[:2], listed, strict=False):
            assert ids == index.retrieve(QUERY, 10, branch=name).ids
        plain = index.search(QUERY)
    with hybrid.open(both, pipeline=hybrid.Pipeline()) as index:
        assert listed[2] == [hit.id for hit in index.search(QUERY)]
    assert listed[3] == [hit.id for hit in plain] == shown(page)
    lines = page.eval_on_selector_all("#board path", "all => all.length")
    assert lines == sum(len(set(a) & set(b)) for a, b in itertools.pairwise(listed))
    page.click("#board .column[data-name='dense'] button >> nth=1")
    assert (
        page.eval_on_selector_all("#board button.chosen", "all => new Set(all.map(a => a.dataset.id)).size")
        == 1
    )
    assert page.eval_on_selector_all("#board path.chosen", "all => all.length") >= 1
    moves = dict(zip(listed[2], range(1, 100), strict=False))
    told = page.eval_on_selector_all(
        "#hits > li", "rows => rows.map(row => row.querySelector('.up, .down')?.textContent ?? '')"
    )
    for rank, (id, text) in enumerate(zip(listed[3], told, strict=True), 1):
        moved = moves[id] - rank
        assert text == ("" if not moved else f"▲{moved}" if moved > 0 else f"▼{-moved}")


def test_why_shows_branches_terms_and_tokens(page, both):
    ask(page)
    page.click("#hits .title >> nth=0")
    page.wait_for_selector("#hits .why table")
    with hybrid.open(both) as index:
        why = index.search(QUERY).explain(1)
    rows = page.eval_on_selector_all("#hits .why tbody th", "all => all.map(one => one.textContent)")
    assert rows == ["bm25", "dense"]
    cells = page.eval_on_selector_all("#hits .why tbody tr >> nth=0", "rows => rows[0].textContent")
    assert f"{why.branches[0].raw:.4f}" in cells
    titles = page.eval_on_selector_all("#hits .why h3", "all => all.map(one => one.textContent)")
    assert titles == ["Terms of bm25", "Tokens that met"]
    terms = page.eval_on_selector_all("#hits .why .term", "all => all.map(one => one.textContent)")
    expected = [*why.branches[0].terms, *why.stages[0].terms]
    assert terms == [match.term for match in expected]
    assert page.get_attribute("#hits .title >> nth=0", "aria-expanded") == "true"
    page.click("#hits .title >> nth=0")
    assert page.is_hidden("#hits .why >> nth=0")


def test_filters(page, site):
    page.click("#more summary")
    page.fill("#where", '{"year": 2023}')
    ask(page)
    assert shown(page) == [hit["id"] for hit in server_search(site, where={"year": 2023})["hits"]]
    assert set(shown(page)) == {id for n, id in enumerate(TEXTS) if n % 4 == 3}
    assert "year" in page.text_content("#fields")
    page.fill("#where", '{"year": ')
    until(page, "document.querySelector('#where-error').textContent.includes('not JSON')")
    page.fill("#where", '{"year": {"$no": 1}}')
    until(page, "document.querySelector('#error').textContent.includes('$no')")


def test_the_keyboard_is_enough(page):
    page.keyboard.type("warm bread")
    settled(page)
    focused = "document.activeElement.closest('#hits li')?.dataset.id ?? document.activeElement.id"
    first, second = shown(page)[:2]
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == first
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == second
    page.keyboard.press("Enter")
    page.wait_for_selector("#hits .why table")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == first
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == "query"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert page.evaluate(focused) == "query"
    page.focus("#reset")
    page.keyboard.press("/")
    assert page.evaluate(focused) == "query"
    page.keyboard.type("cats")
    until(page, "document.querySelector('#hits > li').dataset.id === 'cat'")
    for _ in range(60):  # every control can be reached
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement !== null")


def test_indexes_and_nothing_found(page):
    ask(page)
    page.select_option("#index", "words")
    until(page, "document.querySelectorAll('#board .column').length === 2")
    assert page.eval_on_selector_all("#sliders input", "all => all.map(one => one.id)") == ["weight-bm25"]
    page.fill("#query", "qqqq")
    until(page, "document.querySelector('#summary').textContent === 'Nothing was found.'")


def test_scripts_in_documents_stay_text(page, complaints):
    ask(page, "markup img onerror alert script")
    assert shown(page)[0] == "<script>alert(1)</script>"
    assert page.eval_on_selector_all("#hits img, #hits script, #hits b, #board img", "all => all.length") == 0
    assert "<img src=x onerror=alert(1)>" in page.text_content("#hits .snippet >> nth=0")
    ask(page, "<img src=x onerror=alert(2)> bread")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')")
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None  # the policy stops what might get in all the same
    assert len(complaints) == 1
    assert "inline event handler violates" in complaints.pop()


def test_times_are_told(page):
    ask(page)
    names = page.eval_on_selector_all("#times dt", "all => all.map(one => one.textContent)")
    assert {"candidates", "bm25", "dense", "fuse", "total"} <= set(names)
    figures = page.eval_on_selector_all("#times dd", "all => all.map(one => one.textContent)")
    assert all(re.fullmatch(r"[\d.]+ ms", text) for text in figures)


def test_a_key_is_asked_for(chromium, words, keys):
    with running(words, "--keys", keys[2]) as server:
        page = chromium.new_page()
        page.goto(server.url)
        page.wait_for_selector("#door[open]")
        page.fill("#key", keys[0].reveal())
        page.press("#key", "Enter")
        until(page, "document.querySelector('#about').textContent.includes('documents')")
        page.fill("#query", "bread")
        until(page, "document.querySelectorAll('#hits > li').length > 0")
        assert keys[0].reveal() not in page.content()
        page.close()


def test_light_and_dark(page):
    def ground():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = ground()
    page.emulate_media(color_scheme="dark")
    dark = ground()
    assert light != dark
    page.click("#theme")
    assert ground() == light
    page.reload()
    assert ground() == light  # remembered
    page.click("#theme")
    assert ground() == dark


VIEWS = [(1400, 900), (390, 844)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", VIEWS, ids=["desktop", "phone"])
def test_it_is_accessible_and_fits(page, tmp_path, size, scheme):
    """axe finds nothing, and nothing is wider than the screen."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    found = [violations(page)]
    ask(page)
    page.click("#hits .title >> nth=0")
    page.wait_for_selector("#hits .why table")
    page.click("#more summary")
    found.append(violations(page))
    assert found == [[], []]
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.screenshot(path=tmp_path / f"{size[0]}-{scheme}.png", full_page=True)


def violations(page):
    """Return what axe objects to. Its script is no part of the page: it runs outside the page's policy."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).parent / "axe.min.js"
    page.evaluate(script.read_text("utf-8") + "; undefined")
    answer = page.evaluate("axe.run()")
    return [[each["id"], [node["html"] for node in each["nodes"]]] for each in answer["violations"]]
