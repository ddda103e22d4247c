"""What requests pass before anything is parsed."""

from __future__ import annotations

import pytest

from hybrid.server.guard import Rates, role_needed


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/", None), ("GET", "/page/page.js", None), ("GET", "/health", None), ("GET", "/ready", None),
        ("GET", "/metrics", "read"), ("GET", "/v1/indexes", "read"), ("GET", "/page", "read"),
        ("POST", "/v1/indexes/a/search", "read"), ("POST", "/v1/indexes/a/explain", "read"),
        ("POST", "/v1/indexes/a/documents", "write"), ("PUT", "/v1/indexes/a/documents", "write"),
        ("POST", "/v1/indexes/a/delete", "write"),
        ("DELETE", "/v1/indexes/a/search", "write"), ("PATCH", "/", "write"), ("POST", "/health", "write"),
        ("OPTIONS", "/v1/indexes/a/search", None), ("TRACE", "/", "write"),
    ],
)  # fmt: skip
def test_what_is_not_known_needs_the_highest_role(method, path, role):
    assert role_needed(method, path) == role


def test_rates_are_of_each_caller_and_come_back():
    now = [0.0]
    rates = Rates(2.0, lambda: now[0])  # two a second, four at once
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 0]
    assert rates.take("a") == pytest.approx(0.5)
    assert rates.take("b") == 0
    now[0] = 0.5
    assert rates.take("a") == 0
    assert rates.take("a") == pytest.approx(0.5)
    now[0] = 100.0
    assert [rates.take("a") for _ in range(5)] == [0, 0, 0, 0, pytest.approx(0.5)]


def test_slow_rates_let_one_request_through():
    rates = Rates(0.1, lambda: 0.0)
    assert rates.take("a") == 0
    assert rates.take("a") == pytest.approx(10)
