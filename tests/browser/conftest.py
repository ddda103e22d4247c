"""A real Chromium, of the system: the tests skip where there is none."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.server.conftest import _models, both, keys, running, words  # noqa: F401 - fixtures

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """The browser, for one module: while Playwright is open, its event loop runs in this thread."""
    path = os.environ.get("HYBRID_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium (install it, or name it in HYBRID_CHROMIUM)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(words, both) -> Iterator[str]:  # noqa: F811
    with running(both, words) as server:
        yield server.url


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of, but for answers that refuse what was asked."""
    return []


@pytest.fixture
def page(chromium, site, complaints) -> Iterator[object]:
    """The page, opened; whatever goes wrong in its scripts, or against its policy, fails the test."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    page = context.new_page()

    def complain(message):
        if message.type == "error" and "the server responded with a status of 4" not in message.text:
            complaints.append(message.text)

    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", complain)
    page.on("dialog", lambda dialog: (complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.goto(site)
    until(page, "document.querySelector('#about').textContent !== ''")
    yield page
    context.close()
    assert complaints == []


def until(page, expression: str, seconds: float = 60) -> None:
    """Wait until an expression is true; Playwright's own way compiles text, which the policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"{expression} is not true\n{page.inner_text('body')}"
        page.wait_for_timeout(30)
