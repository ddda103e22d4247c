"""Rerankers of the APIs, connected to the server on this machine."""

from __future__ import annotations

import contextlib

import pytest

from hybrid import Secret
from hybrid.remote import Limits, Retries
from hybrid.rerankers.api import maker_of
from tests.remote import rerankers, server

QUICK = Retries(attempts=3, first=0.01, longest=0.02, patience=2.0)


@pytest.fixture
def api():
    with server.Api(formats=rerankers.FORMATS) as running:
        running.judge = rerankers.by_relevance
        yield running


@pytest.fixture
def reranker(api):
    """Return a function that connects to the server; connections end with the test."""
    with contextlib.ExitStack() as stack:

        def make(name="cohere:some-model", **options):
            root = server.ROOTS.get(name.partition(":")[0], "")
            defaults = {
                "base_url": api.url + root,
                "api_key": Secret(server.KEY),
                "retries": QUICK,
                "timeout": 5.0,
                "limits": Limits(concurrency=3),
            }
            made = maker_of(name)(name, **(defaults | options))
            stack.callback(made.close)
            return made

        yield make
